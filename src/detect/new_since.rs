//! "New errors since version X": what first appears on later releases, what got worse, what is gone.
//!
//! Versions are compared by when they were deployed. Invariant: a signature that any release of the baseline
//! had before is never called new.

use super::World;
use super::catalogue::{Cell, Signature};
use super::channels::as_f64;
use super::name::Name;
use super::view::{NewEntry, NewSince};
use crate::model::{EventTime, SignatureId};

/// Name and version of the answer's form.
const SCHEMA: &str = "fatalmonitor/new/v1";

/// Records of the new side below which "nothing new" means nothing.
// A problem in one of a thousand records is then seen with a chance of 63 %.
const RECORDS_MIN: u64 = 1_000;

/// Lower end of the interval from which a rate counts as worse.
const WORSE_RATIO_LOW: f64 = 1.5;

/// Events of a signature that got worse.
const WORSE_EVENTS_MIN: u64 = 5;

/// Expected events of a signature that is called gone.
// None where 10 are expected has a chance of 5e-5.
const GONE_EXPECTED_MIN: f64 = 10.0;

/// A question.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewQuery {
    /// Version or name of a marker: the end of the baseline.
    pub since: String,
    /// The last version that is looked at; all later ones if absent.
    pub until: Option<String>,
    /// Only this group.
    pub group: Option<String>,
    /// Only this channel.
    pub channel: Option<String>,
    /// Least events of a new signature.
    pub count_min: u64,
}

/// Why a question has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NewSinceError {
    /// Neither a version nor a marker has this name.
    #[error("no version and no deploy marker is called `{asked}`; known versions: {known}")]
    Unknown {
        /// What was asked for.
        asked: String,
        /// The versions that are known, latest first.
        known: String,
    },
    /// The group was never seen.
    #[error("no group is called `{asked}`; known groups: {known}")]
    UnknownGroup {
        /// What was asked for.
        asked: String,
        /// The groups that are known.
        known: String,
    },
}

/// Where the line between the sides lies.
enum Line {
    Version(String),
    Time(EventTime),
}

/// One side of the comparison for one signature.
#[derive(Default)]
struct Side {
    events: u64,
    first: Option<EventTime>,
    last: Option<EventTime>,
    groups: Vec<Name>,
    version: Option<Name>,
}

impl World {
    /// Answers "new errors since version X".
    pub fn new_since(&self, query: &NewQuery) -> Result<NewSince, NewSinceError> {
        let line = self.line(&query.since)?;
        if let Some(until) = &query.until {
            self.known_version(until)?;
        }
        if let Some(group) = query.group.as_deref().filter(|it| *it != "*") {
            self.known_group(group)?;
        }
        let (versions, baseline) = self.sides(&line, query);
        let mut answer = self.frame(query, &versions, &baseline);
        for (id, signature) in self.catalogue.iter() {
            let other = query
                .channel
                .as_deref()
                .is_some_and(|it| it != signature.def.channel);
            if !other {
                self.place(&mut answer, query, &line, (*id, signature));
            }
        }
        for list in [&mut answer.new, &mut answer.renamed] {
            list.sort_by(|a, b| b.events.cmp(&a.events).then_with(|| a.id.cmp(&b.id)));
        }
        // What goes on in other words is not gone.
        let gone_on: Vec<_> = answer.renamed.iter().map(|it| it.renamed_from).collect();
        answer.gone.retain(|it| !gone_on.contains(&Some(it.id)));
        answer.worse.sort_by(|a, b| {
            let (x, y) = (a.ratio.unwrap_or(0.0), b.ratio.unwrap_or(0.0));
            y.total_cmp(&x).then_with(|| a.id.cmp(&b.id))
        });
        answer
            .gone
            .sort_by(|a, b| b.events.cmp(&a.events).then_with(|| a.id.cmp(&b.id)));
        Ok(answer)
    }

    fn line(&self, since: &str) -> Result<Line, NewSinceError> {
        if self.releases.versions.contains(&Name::from(since)) {
            return Ok(Line::Version(since.to_owned()));
        }
        if let Some(marker) = self.releases.markers.get(&since.to_owned()) {
            return Ok(Line::Time(marker.at));
        }
        self.known_version(since)?;
        Ok(Line::Version(since.to_owned()))
    }

    fn known_version(&self, version: &str) -> Result<(), NewSinceError> {
        if self.releases.versions.contains(&Name::from(version)) {
            return Ok(());
        }
        let mut known: Vec<&Name> = self
            .releases
            .versions
            .iter()
            .map(|(name, _)| name)
            .filter(|it| !it.is_empty())
            .collect();
        known.sort_by(|a, b| self.releases.order(b, a));
        let names: Vec<&str> = known.iter().take(8).map(|it| it.as_str()).collect();
        Err(NewSinceError::Unknown {
            asked: version.to_owned(),
            known: if names.is_empty() {
                "none yet".to_owned()
            } else {
                names.join(", ")
            },
        })
    }

    fn known_group(&self, group: &str) -> Result<(), NewSinceError> {
        if self.releases.groups.contains(&Name::from(group)) {
            return Ok(());
        }
        let known: Vec<&str> = self
            .releases
            .groups
            .iter()
            .map(|(name, _)| name.as_str())
            .filter(|it| !it.is_empty())
            .collect();
        Err(NewSinceError::UnknownGroup {
            asked: group.to_owned(),
            known: known.join(", "),
        })
    }

    /// Returns the versions of the new side and of the baseline, in the order of their deployment.
    fn sides(&self, line: &Line, query: &NewQuery) -> (Vec<Name>, Vec<Name>) {
        let mut all: Vec<&Name> = self
            .releases
            .versions
            .iter()
            .map(|(name, _)| name)
            .filter(|it| !it.is_empty())
            .collect();
        all.sort_by(|a, b| self.releases.order(a, b));
        let Line::Version(since) = line else {
            return (
                all.iter().map(|it| (*it).clone()).collect(),
                all.iter().map(|it| (*it).clone()).collect(),
            );
        };
        let late = |it: &Name| {
            query
                .until
                .as_deref()
                .is_some_and(|until| self.releases.order(it, until).is_gt())
        };
        let (baseline, later): (Vec<&Name>, Vec<&Name>) = all
            .into_iter()
            .partition(|it| self.releases.order(it, since).is_le());
        (
            later.into_iter().filter(|it| !late(it)).cloned().collect(),
            baseline.into_iter().cloned().collect(),
        )
    }

    fn frame(&self, query: &NewQuery, versions: &[Name], baseline: &[Name]) -> NewSince {
        let in_group = |group: &Name| {
            query
                .group
                .as_deref()
                .is_none_or(|it| it == "*" || it == &**group)
        };
        let sum = |side: &[Name]| {
            let releases = self
                .releases
                .table
                .iter()
                .filter(|((version, group), _)| side.contains(version) && in_group(group));
            releases.fold((0, 0.0), |(events, exposure), (_, it)| {
                (events + it.events, exposure + it.exposure)
            })
        };
        let (events_new, exposure_new) = sum(versions);
        let (events_baseline, exposure_baseline) = sum(baseline);
        let names = |side: &[Name]| side.iter().map(ToString::to_string).collect();
        NewSince {
            schema: SCHEMA,
            since: query.since.clone(),
            until: query.until.clone(),
            group: query.group.clone().unwrap_or_else(|| "*".to_owned()),
            versions: names(versions),
            baseline: names(baseline),
            events_new,
            events_baseline,
            exposure_new,
            exposure_baseline,
            exposure_source: self.exposure.state.source.name().to_owned(),
            enough_data: events_new >= RECORDS_MIN && events_baseline >= RECORDS_MIN,
            new: Vec::new(),
            renamed: Vec::new(),
            worse: Vec::new(),
            gone: Vec::new(),
        }
    }

    /// Puts one signature into the list where it belongs, if into any.
    fn place(
        &self,
        answer: &mut NewSince,
        query: &NewQuery,
        line: &Line,
        (id, signature): (SignatureId, &Signature),
    ) {
        let asked_group = query.group.as_deref().filter(|it| *it != "*");
        let mut new = Side::default();
        let mut old = Side::default();
        let mut old_anywhere: Option<EventTime> = None;
        for cell in &signature.cells {
            if cell.version.is_empty() {
                continue;
            }
            let later = match line {
                Line::Version(since) => self.releases.order(&cell.version, since).is_gt(),
                Line::Time(at) => cell.first >= *at,
            };
            let past_until = query
                .until
                .as_deref()
                .is_some_and(|until| self.releases.order(&cell.version, until).is_gt());
            if !later {
                old_anywhere = Some(old_anywhere.map_or(cell.first, |it| it.min(cell.first)));
            }
            if past_until || asked_group.is_some_and(|it| it != &*cell.group) {
                continue;
            }
            if later { &mut new } else { &mut old }.add(cell);
        }
        let Some(first) = new.first else {
            place_gone(answer, line, (id, signature), &old);
            return;
        };
        // A release of the baseline that had it only later (after a way back) does not make it old.
        if old_anywhere.is_none_or(|it| it > first) {
            let list = match self.renamed_from(signature) {
                Some(from) if self.was_before(from.id, line) => {
                    let mut renamed = entry(id, signature, &new);
                    renamed.renamed_from = Some(from.id);
                    renamed.renamed_from_template = Some(from.template);
                    answer.renamed.push(renamed);
                    return;
                }
                _ => &mut answer.new,
            };
            if new.events >= query.count_min {
                list.push(entry(id, signature, &new));
            }
            return;
        }
        if matches!(line, Line::Version(_)) {
            place_worse(answer, (id, signature), &new, &old);
        }
    }
}

impl World {
    /// Tells whether a signature was seen on the baseline's side.
    fn was_before(&self, id: SignatureId, line: &Line) -> bool {
        self.catalogue.get(id).is_some_and(|it| {
            it.cells.iter().any(|cell| match line {
                Line::Version(since) => self.releases.order(&cell.version, since).is_le(),
                Line::Time(at) => cell.first < *at,
            })
        })
    }
}

impl Side {
    fn add(&mut self, cell: &Cell) {
        self.events += cell.events;
        if self.first.is_none_or(|it| cell.first < it) {
            self.first = Some(cell.first);
            self.version = Some(cell.version.clone());
        }
        self.last = self.last.max(Some(cell.last));
        if let Err(place) = self.groups.binary_search(&cell.group) {
            self.groups.insert(place, cell.group.clone());
        }
    }
}

fn place_gone(
    answer: &mut NewSince,
    line: &Line,
    (id, signature): (SignatureId, &Signature),
    old: &Side,
) {
    if !matches!(line, Line::Version(_)) || answer.exposure_baseline <= 0.0 {
        return;
    }
    let expected = as_f64(old.events) / answer.exposure_baseline * answer.exposure_new;
    if expected >= GONE_EXPECTED_MIN {
        answer.gone.push(entry(id, signature, old));
    }
}

fn place_worse(
    answer: &mut NewSince,
    (id, signature): (SignatureId, &Signature),
    new: &Side,
    old: &Side,
) {
    if new.events < WORSE_EVENTS_MIN
        || answer.exposure_new <= 0.0
        || answer.exposure_baseline <= 0.0
    {
        return;
    }
    let (x, y) = (as_f64(new.events), as_f64(old.events) + 0.5);
    let ratio = x / answer.exposure_new / (y / answer.exposure_baseline);
    // Log-normal interval of a ratio of two counts, each scattered twice as much as Poisson counts.
    let half_width = 1.645 * (2.0 / x + 2.0 / y).sqrt();
    let (low, high) = (ratio * (-half_width).exp(), ratio * half_width.exp());
    if low >= WORSE_RATIO_LOW {
        answer.worse.push(NewEntry {
            ratio: Some(ratio),
            ratio_low: Some(low),
            ratio_high: Some(high),
            ..entry(id, signature, new)
        });
    }
}

fn entry(id: SignatureId, signature: &Signature, side: &Side) -> NewEntry {
    NewEntry {
        id,
        channel: signature.def.channel.clone(),
        level: signature.def.level,
        template: signature.def.template.clone(),
        version: side
            .version
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        groups: side.groups.iter().map(ToString::to_string).collect(),
        first_seen: side.first.unwrap_or(signature.first),
        last_seen: side.last.unwrap_or(signature.last),
        events: side.events,
        hosts: signature.hosts.distinct(),
        renamed_from: None,
        renamed_from_template: None,
        ratio: None,
        ratio_low: None,
        ratio_high: None,
    }
}
