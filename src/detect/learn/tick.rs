//! The comparison of signatures at the end of a minute of event time, and what follows from it.
//!
//! It must never look at anything but the closed minutes. Invariant: the signatures that wait are taken in the order of
//! their contexts and ids, so neither their order of arrival nor a restart can be seen in the result.

use std::collections::BTreeMap;

use super::super::World;
use super::super::catalogue::Catalogue;
use super::super::merge::{Group as Found, Rule, canonical, compare};
use super::context::Context;
use super::group::TEMPLATES_MAX;
use super::{Learned, patterns, texts};
use crate::model::{EventTime, SignatureId};

/// Seconds within which signatures count as equally old.
const TICK_SECONDS: i64 = 60;

/// A text that takes part in a comparison, and its signature.
type Entry = (SignatureId, String);

/// Signatures that a comparison puts together, the oldest first, with the reason for each but the first.
type Union = (SignatureId, Vec<(SignatureId, Option<(Rule, String)>)>);

impl World {
    /// Compares what is new with what is known, context by context.
    pub(in crate::detect) fn learn_merges(&mut self, minute: i64, at: EventTime) {
        for context in self.catalogue.learned.due(minute) {
            let entries = self.catalogue.compared(context);
            self.catalogue.learned.waiting.remove(&context);
            if entries.len() < 2 {
                continue;
            }
            let found: Vec<&str> = entries.iter().map(|(_, text)| text.as_str()).collect();
            let found = compare(&found);
            for group in &found {
                self.unite(&entries, group, at);
            }
            self.learn_templates(&entries, &found);
        }
    }

    fn unite(&mut self, entries: &[Entry], group: &Found, at: EventTime) {
        let Some((oldest, younger)) = self.catalogue.union(entries, group) else {
            return;
        };
        for (id, reason) in younger {
            if self.is_new_wording(id, oldest) {
                continue;
            }
            self.absorb((id, oldest), |group| group.reason(reason), at);
        }
    }

    /// Tells whether one signature is the other in the words of a later release: it stays its own page, linked to the
    /// other, so that people see what was reworded.
    fn is_new_wording(&self, id: SignatureId, older: SignatureId) -> bool {
        self.catalogue
            .get(id)
            .is_some_and(|it| it.renamed_from == Some(older) && self.explains(it))
    }

    /// Lets every signature with aliases have the templates that its texts have now.
    fn learn_templates(&mut self, entries: &[Entry], found: &[Found]) {
        let mut templates: BTreeMap<SignatureId, Vec<Box<str>>> = BTreeMap::new();
        let mut shown: BTreeMap<SignatureId, &str> = BTreeMap::new();
        // The first text of a signature is that of the fingerprint whose id it has.
        let mut own: BTreeMap<SignatureId, usize> = BTreeMap::new();
        for (at, (root, _)) in entries.iter().enumerate() {
            own.entry(*root).or_insert(at);
        }
        for group in found {
            for at in &group.members {
                let Some((root, _)) = entries.get(*at) else {
                    continue;
                };
                let now = self.catalogue.learned.root(*root);
                let list = templates.entry(now).or_default();
                if !list.iter().any(|it| **it == *group.template) {
                    list.push(group.template.as_str().into());
                }
                if own.get(&now) == Some(at) {
                    shown.insert(now, &group.template);
                }
            }
        }
        for (root, mut list) in templates {
            list.sort_by(|a, b| (a.len(), a).cmp(&(b.len(), b)));
            list.truncate(TEMPLATES_MAX);
            self.catalogue
                .set_templates(root, list, shown.get(&root).copied());
        }
    }
}

impl Learned {
    /// Lists the contexts that are to be compared now.
    fn due(&self, minute: i64) -> Vec<u128> {
        self.waiting
            .iter()
            .filter(|(key, waiting)| {
                let context = self.contexts.get(key);
                waiting.is_due(context.map_or(0, |it| self.size(it)), minute)
            })
            .map(|(key, _)| *key)
            .collect()
    }

    /// Returns about how many texts of a context are compared.
    fn size(&self, context: &Context) -> usize {
        let texts = |root| self.members.get(root).map_or(0, Vec::len);
        let most = context.texts_max();
        let groups = context.groups.iter().map(|it| 1 + texts(it).min(most));
        context.singles.len() + groups.sum::<usize>()
    }
}

impl Catalogue {
    /// Lists the texts of a context that take part in a comparison, each signature's own first.
    fn compared(&self, context: u128) -> Vec<Entry> {
        let Some(context) = self.learned.contexts.get(&context) else {
            return Vec::new();
        };
        let mut entries: Vec<Entry> = context
            .singles
            .iter()
            .filter_map(|id| Some((*id, canonical(&self.get(*id)?.def.template))))
            .collect();
        for root in &context.groups {
            let Some(group) = self.learned.group(*root) else {
                continue;
            };
            let (aliases, members) = (&self.learned.aliases, &self.learned.members);
            let texts = texts(aliases, members, group, *root);
            let texts = texts.into_iter().take(1 + context.texts_max());
            entries.extend(texts.map(|(_, text)| (*root, text)));
        }
        entries
    }

    /// Returns which signatures a found group puts together; `None` if it is one signature already.
    fn union(&self, entries: &[Entry], group: &Found) -> Option<Union> {
        let mut reasons: BTreeMap<(EventTime, SignatureId), Option<(Rule, String)>> =
            BTreeMap::new();
        for (at, why) in group.members.iter().zip(&group.why) {
            let root = self.learned.root(entries.get(*at)?.0);
            let first = self.get(root)?.first.floor(TICK_SECONDS);
            let reason = reasons.entry((first, root)).or_default();
            if reason.is_none() {
                reason.clone_from(why);
            }
        }
        let mut by_age = reasons.into_iter();
        let ((_, oldest), own) = by_age.next()?;
        let younger: Vec<_> = by_age
            .map(|((_, id), reason)| (id, reason.or_else(|| own.clone())))
            .collect();
        (!younger.is_empty()).then_some((oldest, younger))
    }

    /// Gives a signature with aliases its learned templates, and the one that people see.
    fn set_templates(&mut self, root: SignatureId, list: Vec<Box<str>>, shown: Option<&str>) {
        let Some(group) = self.learned.group(root) else {
            return;
        };
        let own = group.own.clone();
        let changed = group.templates != list;
        if changed && let Some(group) = self.learned.groups.get_mut(&root) {
            group.templates = list;
        }
        self.learned
            .relearn(root, self.get(root).map(|it| it.def.clone()).as_ref());
        if let Some(shown) = shown {
            self.retitle(root, &typed(&own, shown));
        }
    }
}

impl Learned {
    /// Makes the patterns of a signature anew.
    pub(super) fn relearn(&mut self, root: SignatureId, def: Option<&crate::model::SignatureDef>) {
        let (Some(group), Some(def)) = (self.groups.get(&root), def) else {
            return;
        };
        let texts = texts(&self.aliases, &self.members, group, root);
        let patterns = patterns(group, &texts);
        let context = self.contexts.entry(super::context::key(def)).or_default();
        context.learn(root, patterns);
        let place = self.places.entry(super::context::place(def)).or_default();
        place.insert(super::context::key(def));
    }
}

/// Returns a learned template with the typed masks of the signature's own template where they stand for the same.
fn typed(own: &str, learned: &str) -> String {
    const MASK: &str = "<*>";
    let plain = canonical(own);
    if plain == learned {
        return own.to_owned();
    }
    let masks = masks_of(own, &plain);
    let mut out = String::with_capacity(learned.len() + 16);
    let mut at = 0;
    let mut literals = learned.split(MASK);
    let first = literals.next().unwrap_or_default();
    if !plain.starts_with(first) {
        return learned.to_owned();
    }
    out.push_str(first);
    at += first.len();
    for literal in literals {
        let rest = plain.get(at..).unwrap_or_default();
        let mask = masks.iter().find(|(place, _)| *place == at);
        let same = mask.filter(|_| {
            rest.get(MASK.len()..)
                .is_some_and(|it| it.starts_with(literal))
        });
        if let Some((_, mask)) = same {
            out.push_str(mask);
            at += MASK.len() + literal.len();
        } else {
            let skip = rest.chars().next().map_or(0, char::len_utf8);
            let tail = rest.get(skip..).unwrap_or_default();
            let Some(found) = tail.find(literal) else {
                return learned.to_owned();
            };
            let end = if literal.is_empty() {
                tail.len()
            } else {
                found
            };
            out.push_str(MASK);
            at += skip + end + literal.len();
        }
        out.push_str(literal);
    }
    if at == plain.len() {
        out
    } else {
        learned.to_owned()
    }
}

/// Lists the places of the masks in the compared form, with their typed names.
fn masks_of<'a>(own: &'a str, plain: &str) -> Vec<(usize, &'a str)> {
    let mut masks = Vec::new();
    let (mut at, mut rest) = (0, own);
    for literal in plain.split("<*>") {
        rest = rest.strip_prefix(literal).unwrap_or_default();
        at += literal.len();
        let close = if rest.starts_with('{') { '}' } else { '>' };
        if let Some(end) = rest.find(close)
            && let Some((mask, after)) = rest.split_at_checked(end + 1)
        {
            masks.push((at, mask));
            rest = after;
            at += "<*>".len();
        }
    }
    masks
}

#[cfg(test)]
mod tests {
    use super::typed;

    #[test]
    fn typed_masks_are_kept_where_they_stand_for_the_same() {
        for (own, learned, expected) in [
            (
                "took <num> ms of a.b now",
                "took <*> ms of <*> now",
                "took <num> ms of <*> now",
            ),
            (
                "get for <id> took <num>",
                "get for <*> took <*>",
                "get for <id> took <num>",
            ),
            (
                "Cannot fetch: Broken pipe",
                "Cannot fetch: <*>",
                "Cannot fetch: <*>",
            ),
            ("a <num> b <ip> c", "a <*> c", "a <*> c"),
            (
                "Session {id}: Bad data",
                "Session <*>: Bad <*>",
                "Session {id}: Bad <*>",
            ),
        ] {
            assert_eq!(typed(own, learned), expected, "{own}");
        }
    }
}
