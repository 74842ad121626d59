//! Arguments of the commands about a rollout: gate, fix, planned, timeline.

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use super::args::{OutputArgs, Target, time};
use crate::model::EventTime;

#[derive(Debug, Args)]
pub(super) struct GateArgs {
    /// Version that is to go on.
    #[arg(long, value_name = "VERSION")]
    pub(super) version: String,
    /// Only this group [default: every group in which the version was seen].
    #[arg(long, value_name = "GROUP")]
    pub(super) group: Option<String>,
    /// Ask again until it is decided, for at most this long, such as `15m`.
    #[arg(long, value_name = "TIME", value_parser = span)]
    pub(super) wait: Option<Duration>,
    /// Decide as of this moment, from what was known by then.
    #[arg(long, value_name = "TIME", value_parser = time, conflicts_with = "wait")]
    pub(super) at: Option<EventTime>,
    /// Records of the version that are needed to pass [default: 1000, so that an error which never showed makes up less than 0.3 % of them with 95 % certainty].
    #[arg(long, value_name = "N")]
    pub(super) min_exposure: Option<u64>,
    #[command(flatten)]
    pub(super) target: Target,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

#[derive(Debug, Args)]
pub(super) struct FixArgs {
    /// Marker of the fix. Its reference names what it fixes: a signature (8 hex digits or more) or a ticket that stands in a mute or acknowledgement; else all that fired about its version is looked at.
    #[arg(value_name = "MARKER")]
    pub(super) marker: String,
    #[command(flatten)]
    pub(super) target: Target,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

#[derive(Debug, Args)]
pub(super) struct PlannedArgs {
    #[command(subcommand)]
    pub(super) action: Option<PlannedAction>,
    #[command(flatten)]
    pub(super) target: Target,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

#[derive(Debug, Subcommand)]
pub(super) enum PlannedAction {
    /// List the planned effects with where they stand.
    List,
    /// Declare an effect to a running server.
    Add(PlannedAdd),
    /// End an effect; its marker stays in the history.
    Remove {
        /// Name of its marker.
        #[arg(value_name = "MARKER")]
        marker: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct PlannedAdd {
    /// Channel that may rise.
    #[arg(long, value_name = "CHANNEL", required_unless_present = "template")]
    pub(super) channel: Option<String>,
    /// Message that may rise; `<anything>` stands for its variable parts.
    #[arg(long, value_name = "TEXT")]
    pub(super) template: Option<String>,
    /// Events per minute of one signature past which it is an alert all the same.
    #[arg(long, value_name = "RATE", value_parser = bound)]
    pub(super) max_per_min: f64,
    /// Group that it concerns; all groups if left out.
    #[arg(long)]
    pub(super) group: Option<String>,
    /// Version that it concerns.
    #[arg(long)]
    pub(super) version: Option<String>,
    /// From when on [default: now].
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(super) at: Option<EventTime>,
    /// Name of the marker [default: made from the time].
    #[arg(long)]
    pub(super) id: Option<String>,
    /// Change number, commit or ticket.
    #[arg(long = "ref", value_name = "REF")]
    pub(super) reference: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct TimelineArgs {
    /// Start [default: a day before the end].
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(super) from: Option<EventTime>,
    /// End [default: now].
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(super) to: Option<EventTime>,
    /// Tell alerts of severity info as well.
    #[arg(long)]
    pub(super) all: bool,
    /// Form of the output.
    #[arg(short, long, value_enum, default_value_t = TimelineForm::Md)]
    pub(super) output: TimelineForm,
    #[command(flatten)]
    pub(super) target: Target,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum TimelineForm {
    /// Markdown.
    Md,
    /// Wikitext.
    Wikitext,
    /// One JSON object.
    Json,
}

fn bound(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|it: &f64| it.is_finite() && *it >= 0.0)
        .ok_or_else(|| format!("`{text}` is no rate such as 2500"))
}

/// Reads a length of time such as `90s`, `15m` or `2h`.
fn span(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no length of time such as 90s, 15m or 2h");
    let digits = text.trim_end_matches(|it: char| it.is_ascii_alphabetic());
    let unit = match text.strip_prefix(digits).unwrap_or_default() {
        "" | "s" => 1,
        "m" | "min" => 60,
        "h" => 3_600,
        _ => return Err(wrong()),
    };
    let number: u32 = digits.parse().map_err(|_| wrong())?;
    Ok(Duration::from_secs(u64::from(number) * unit))
}
