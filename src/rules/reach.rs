//! Finds rules that can never match because an earlier one takes everything that they name.

use super::RuleProblem;
use super::channels::{CapRule, ChannelRule, DropRule, JoinRule};
use super::groups::GroupRule;
use super::place::Placed;

/// Tells whether every name that `inner` matches is also matched by `outer`; both are globs with `*`.
pub(super) fn covers(outer: &str, inner: &str) -> bool {
    let (outer, inner) = (outer.as_bytes(), inner.as_bytes());
    // covered[i] says whether the part of `outer` so far covers the first i bytes of `inner`.
    let mut covered: Vec<bool> = (0..=inner.len()).map(|it| it == 0).collect();
    for &o in outer {
        let mut next = vec![false; inner.len() + 1];
        let mut any = false;
        for (i, slot) in next.iter_mut().enumerate() {
            let here = covered.get(i).copied().unwrap_or(false);
            any |= here;
            let same = i > 0
                && o != b'*'
                && inner.get(i - 1) == Some(&o)
                && covered.get(i - 1).copied().unwrap_or(false);
            *slot = if o == b'*' { any } else { same };
        }
        covered = next;
    }
    covered.last().copied().unwrap_or(false)
}

/// What a table calls a first match on: its name and the globs of one rule.
fn shadowed<T>(
    table: &str,
    rules: &[Placed<T>],
    takes_all: impl Fn(&T, &T) -> bool,
    name: impl Fn(&T) -> &str,
    problems: &mut Vec<RuleProblem>,
) {
    for (at, rule) in rules.iter().enumerate() {
        if let Some(earlier) = rules.iter().take(at).find(|it| takes_all(it, rule)) {
            problems.push(rule.problem(&format!(
                "[[{table}]] for `{}` can never match: `{}` at {} takes everything before it; put the narrower rule first",
                name(rule),
                name(earlier),
                earlier.place(),
            )));
        }
    }
}

/// Finds caps that an earlier one hides.
pub(super) fn caps(rules: &[Placed<CapRule>], problems: &mut Vec<RuleProblem>) {
    shadowed(
        "cap",
        rules,
        |a, b| covers(&a.channel, &b.channel),
        |it| &it.channel,
        problems,
    );
}

/// Finds channel rules that an earlier one hides.
pub(super) fn channels(rules: &[Placed<ChannelRule>], problems: &mut Vec<RuleProblem>) {
    shadowed(
        "channel",
        rules,
        |a, b| covers(&a.name, &b.name),
        |it| &it.name,
        problems,
    );
}

/// Finds joins that an earlier one hides.
pub(super) fn joins(rules: &[Placed<JoinRule>], problems: &mut Vec<RuleProblem>) {
    let starts = |a: &JoinRule, b: &JoinRule| match (&a.message, &b.message) {
        (None, _) => true,
        (Some(a), Some(b)) => b.starts_with(a.as_str()),
        (Some(_), None) => false,
    };
    shadowed(
        "join",
        rules,
        |a, b| covers(&a.channel, &b.channel) && starts(a, b),
        |it| &it.channel,
        problems,
    );
}

/// Finds joins and channels whose records are all dropped before they get there.
pub(super) fn dropped(
    drops: &[Placed<DropRule>],
    joins: &[Placed<JoinRule>],
    problems: &mut Vec<RuleProblem>,
) {
    let whole = |it: &&Placed<DropRule>| it.level_max.is_none() && it.contains.is_none();
    for join in joins {
        if let Some(drop) = drops
            .iter()
            .filter(whole)
            .find(|it| covers(&it.channel, &join.channel))
        {
            problems.push(join.problem(&format!(
                "[[join]] for `{}` can never match: [[drop]] at {} drops that channel",
                join.channel,
                drop.place()
            )));
        }
    }
}

/// Finds group entries that an earlier group takes.
pub(super) fn groups(rules: &[Placed<GroupRule>], problems: &mut Vec<RuleProblem>) {
    for (at, rule) in rules.iter().enumerate() {
        for entry in &rule.matches {
            let earlier = rules
                .iter()
                .take(at)
                .find(|it| it.matches.iter().any(|outer| covers(outer, entry)));
            if let Some(earlier) = earlier {
                problems.push(rule.problem(&format!(
                    "[[group]] `{}`: the entry `{entry}` can never match, `{}` at {} takes it first",
                    rule.name,
                    earlier.name,
                    earlier.place()
                )));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glob_covers_what_it_matches_and_nothing_else() {
        for (outer, inner, expected) in [
            ("*", "session", true),
            ("*", "a*b", true),
            ("session", "session", true),
            ("session", "session*", false),
            ("s*", "se*n", true),
            ("se*n", "s*", false),
            ("*wiki", "*twiki", true),
            ("a*b*c", "a*c", false),
            ("", "", true),
            ("a", "", false),
        ] {
            assert_eq!(covers(outer, inner), expected, "{outer} over {inner}");
        }
    }
}
