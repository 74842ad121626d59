//! Rules that speak of channels: caps, budgets, silence, joined fields, watched mixes, drops.

use serde::Deserialize;

use super::RuleProblem;
use super::place::Placed;
use crate::model::Level;

/// Tells whether a name matches a glob in which `*` stands for any run of characters.
pub fn glob_matches(glob: &str, name: &str) -> bool {
    let mut parts = glob.split('*');
    let Some(first) = parts.next() else {
        return false;
    };
    let Some(mut rest) = name.strip_prefix(first) else {
        return false;
    };
    let mut tail = None;
    for part in parts {
        if let Some(previous) = tail.replace(part) {
            let Some((_, after)) = rest.split_once(previous) else {
                return false;
            };
            rest = after;
        }
    }
    tail.map_or(rest.is_empty(), |it| rest.ends_with(it))
}

/// A cap: how much of a channel is looked at in detail.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CapRule {
    /// Channel or glob; the first rule that matches wins.
    pub channel: String,
    /// Records a second of event time and source partition that are fingerprinted; the rest is counted by channel only.
    pub events_per_second: u32,
}

/// Finds caps under which nothing could be seen.
pub(super) fn check_caps(rules: &[Placed<CapRule>], problems: &mut Vec<RuleProblem>) {
    for rule in rules.iter().filter(|it| it.events_per_second == 0) {
        problems.push(rule.problem(&format!(
            "[[cap]] for `{}` keeps 0 events a second, so its errors could never be seen: use at least 1",
            rule.channel
        )));
    }
}

/// All caps, with the default for channels that no rule names.
#[derive(Clone, Debug)]
pub struct CapRules {
    rules: Vec<CapRule>,
}

/// Records a second of one channel and partition that are looked at in detail when no rule says otherwise.
// RELIABILITY.md §3, "runaway channel".
const CAP_DEFAULT: u32 = 2000;

impl CapRules {
    pub(super) const fn new(rules: Vec<CapRule>) -> Self {
        Self { rules }
    }

    /// Returns how many records a second of a channel are looked at in detail.
    pub fn events_per_second(&self, channel: &str) -> u32 {
        self.rules
            .iter()
            .find(|it| glob_matches(&it.channel, channel))
            .map_or(CAP_DEFAULT, |it| it.events_per_second)
    }
}

/// Budget and silence of a channel.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelRule {
    /// Channel or glob; the first rule that matches wins.
    pub name: String,
    /// Bytes a day that the channel may write before it is called a flood.
    #[serde(default)]
    pub bytes_per_day_max: Option<u64>,
    /// Records a minute that the channel may write before it is called a flood.
    #[serde(default)]
    pub events_per_minute_max: Option<u64>,
    /// Seconds without a record after which it is silent, whatever its learned rate; 0 switches silence off.
    #[serde(default)]
    pub silent_after_seconds: Option<u64>,
    /// Whether problems in this channel are alerted at all.
    #[serde(default = "yes")]
    pub alert: bool,
}

const fn yes() -> bool {
    true
}

/// Context fields that join the identity of a channel's signatures.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JoinRule {
    /// Channel or glob.
    pub channel: String,
    /// Only for messages that start with this text.
    #[serde(default)]
    pub message: Option<String>,
    /// Names from `context` in `[fields]`.
    pub fields: Vec<String>,
}

/// A field whose mix of values is watched within a constant message.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MixRule {
    /// Channel.
    pub channel: String,
    /// Text that the message starts with.
    pub message: String,
    /// Name from `context` in `[fields]`.
    pub field: String,
    /// Change of a share, as a difference between 0 and 1, below which it is not told.
    #[serde(default = "mix_difference")]
    pub difference_min: f64,
}

const fn mix_difference() -> f64 {
    0.1
}

/// Records that are dropped on purpose, counted as `rejected{reason="filtered"}`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DropRule {
    /// Channel or glob.
    pub channel: String,
    /// Only at or below this level.
    #[serde(default)]
    pub level_max: Option<Level>,
    /// Only messages that hold this text.
    #[serde(default)]
    pub contains: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::glob_matches;

    #[test]
    fn a_star_stands_for_any_run() {
        for (glob, name, expected) in [
            ("session", "session", true),
            ("session", "sessions", false),
            ("*wiki", "enwiki", true),
            ("*wiki", "enwikt", false),
            ("a*c*e", "abcde", true),
            ("a*c*e", "abde", false),
            ("*", "", true),
            ("ab*b", "ab", false),
            ("", "", true),
        ] {
            assert_eq!(glob_matches(glob, name), expected, "{glob} on {name}");
        }
    }
}
