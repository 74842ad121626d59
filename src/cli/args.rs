//! Arguments of every command, with the help that teaches them.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::rollout_args::{FixArgs, GateArgs, PlannedArgs, TimelineArgs};
use crate::model::EventTime;

/// Watches application logs in Kafka and says what is new, worse, silent or coming from one bad host.
///
/// Try it: `fatalmonitor demo` plays a real incident and serves the dashboard while it does.
/// Point it at your own Kafka: `fatalmonitor init --brokers HOST:9092 --topic TOPIC > fatalmonitor.toml`,
/// then `fatalmonitor serve --config fatalmonitor.toml`.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 100, after_help = EXIT_CODES)]
pub(super) struct Cli {
    /// What of our own log is shown on stderr, such as `info` or `fatalmonitor=debug`.
    #[arg(long, global = true, env = "FATALMONITOR_LOG", value_name = "FILTER")]
    pub(super) log: Option<String>,
    #[command(subcommand)]
    pub(super) command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 pass or done; 1 findings or FAIL; 2 trouble (usage, configuration, network); 3 inconclusive; 75 start me again; 130 interrupted.";

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Read the sources, detect, alert, and serve the dashboard, API and metrics.
    Serve(ServeArgs),
    /// Play the session incident of January 2016 through the whole pipeline.
    Demo(DemoArgs),
    /// Sample a topic or file, guess its dialect and fields, and print a commented configuration.
    Init(InitArgs),
    /// List the errors that are new, worse or gone since a version or a deploy marker.
    New(NewArgs),
    /// Decide whether a version may go on: PASS 0, FAIL 1, INCONCLUSIVE 3.
    Gate(GateArgs),
    /// Say whether a fix worked: 0 gone, 1 still there, 3 not proven yet.
    Fix(FixArgs),
    /// List, declare or end planned effects: silent within a bound, told past it.
    Planned(PlannedArgs),
    /// Write the timeline of an incident.
    Timeline(TimelineArgs),
    /// Run log files or a scenario through the same pipeline, apart from any live state.
    Replay(ReplayArgs),
    /// Run pre-counted series through the same detector.
    Backtest(BacktestArgs),
    /// Print the signature and template of every line.
    Fingerprint(FingerprintArgs),
    /// Check a configuration or rules without running anything.
    Check(CheckArgs),
    /// Run the examples that rules files hold.
    Test(TestArgs),
    /// List what is deployed where, or announce a deployment.
    Deploys(DeploysArgs),
    /// Say which channels use many texts for one thing, what varies in them, and what to do about it.
    Doctor(DoctorArgs),
    /// Copy the store while it is in use.
    Backup(BackupArgs),
    /// Put a backup back.
    Restore(RestoreArgs),
}

#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    /// Configuration file [default: /etc/fatalmonitor/config.toml if it exists].
    #[arg(long, env = "FATALMONITOR_CONFIG", value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    #[command(flatten)]
    pub(super) overrides: Overrides,
}

/// Settings that a flag or variable may set over the file.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct Overrides {
    /// Address of the dashboard, API and metrics.
    #[arg(long, env = "FATALMONITOR_LISTEN", value_name = "ADDR:PORT")]
    pub(super) listen: Option<SocketAddr>,
    /// Folder of the store.
    #[arg(long, env = "FATALMONITOR_DATA_DIR", value_name = "DIR")]
    pub(super) data_dir: Option<PathBuf>,
    /// File or folder of rules; may be given several times.
    #[arg(
        long,
        env = "FATALMONITOR_RULES",
        value_name = "PATH",
        value_delimiter = ':'
    )]
    pub(super) rules: Vec<PathBuf>,
    /// Alertmanager to send to; may be given several times.
    #[arg(
        long,
        env = "FATALMONITOR_ALERTMANAGER",
        value_name = "URL",
        value_delimiter = ','
    )]
    pub(super) alertmanager: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// Open no dashboard; play as fast as possible, print the table and exit.
    #[arg(long)]
    pub(super) headless: bool,
    /// How many times faster than real time the incident itself is played [default: so that it takes five minutes].
    #[arg(long, value_name = "FACTOR", conflicts_with = "headless", value_parser = speed)]
    pub(super) speed: Option<f64>,
    /// Folder of the store [default: a temporary one].
    #[arg(long, value_name = "DIR")]
    pub(super) data_dir: Option<PathBuf>,
    /// Print the report as JSON on stdout.
    #[arg(long, value_name = "FORMAT")]
    pub(super) report: Option<ReportFormat>,
    /// Address of the dashboard.
    #[arg(
        long,
        env = "FATALMONITOR_LISTEN",
        value_name = "ADDR:PORT",
        default_value = "127.0.0.1:9477"
    )]
    pub(super) listen: SocketAddr,
    /// Seed of the scenario's randomness.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(super) seed: u64,
    /// Stop when the incident is over, instead of serving the dashboard until Ctrl-C.
    #[arg(long)]
    pub(super) exit: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ReportFormat {
    /// One JSON object.
    Json,
}

#[derive(Debug, Args)]
pub(super) struct InitArgs {
    /// `host:port` of the brokers, several separated by commas.
    #[arg(long, value_name = "HOST:PORT", required_unless_present = "file")]
    pub(super) brokers: Option<String>,
    /// Topic, or `^regex`; may be given several times.
    #[arg(long, value_name = "TOPIC", required_unless_present = "file")]
    pub(super) topic: Vec<String>,
    /// A librdkafka property such as `security.protocol=SASL_SSL`; may be given several times.
    #[arg(long, value_name = "NAME=VALUE")]
    pub(super) property: Vec<String>,
    /// Sample a file instead of Kafka.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["brokers", "topic"])]
    pub(super) file: Option<PathBuf>,
    /// Records to look at.
    #[arg(long, value_name = "N", default_value_t = 500)]
    pub(super) samples: usize,
}

/// Where a question is asked: a server, or a store on disk.
#[derive(Clone, Debug, Args)]
pub(super) struct Target {
    /// Server to ask.
    #[arg(
        global = true,
        long,
        env = "FATALMONITOR_URL",
        value_name = "URL",
        default_value = "http://127.0.0.1:9477"
    )]
    pub(super) url: String,
    /// Read this store instead of asking a server.
    #[arg(long, global = true, value_name = "DIR")]
    pub(super) data_dir: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Args)]
pub(super) struct OutputArgs {
    /// Form of the output; `json` and `tsv` are stable.
    #[arg(short, long, value_enum, default_value_t = super::output::Format::Table)]
    pub(super) output: super::output::Format,
    /// Leave the heading out of tables, tsv and md.
    #[arg(long)]
    pub(super) no_headers: bool,
}

#[derive(Debug, Args)]
pub(super) struct NewArgs {
    /// Version or deploy marker; it and everything deployed before it is the baseline.
    #[arg(long, value_name = "VERSION|MARKER")]
    pub(super) since: String,
    /// Last version to look at.
    #[arg(long, value_name = "VERSION")]
    pub(super) until: Option<String>,
    /// Only this group.
    #[arg(long, value_name = "GROUP")]
    pub(super) group: Option<String>,
    /// Only this channel.
    #[arg(long, value_name = "CHANNEL")]
    pub(super) channel: Option<String>,
    /// Leave out what has fewer events.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(super) min_hits: u64,
    /// Exit with 1 if something is new.
    #[arg(long)]
    pub(super) fail_on_new: bool,
    #[command(flatten)]
    pub(super) target: Target,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

#[derive(Debug, Args)]
pub(super) struct DoctorArgs {
    /// Only this channel.
    #[arg(long, value_name = "CHANNEL")]
    pub(super) channel: Option<String>,
    #[command(flatten)]
    pub(super) target: Target,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

#[derive(Debug, Args)]
pub(super) struct ReplayArgs {
    /// Log files (`-` is stdin), a scenario file (`.toml`), or `incident` for the built-in one.
    #[arg(value_name = "FILE|SCENARIO", required = true)]
    pub(super) input: Vec<PathBuf>,
    /// NDJSON file with deploy markers and exposure records.
    #[arg(long, value_name = "FILE")]
    pub(super) markers: Option<PathBuf>,
    /// File or folder of rules; may be given several times.
    #[arg(long, value_name = "PATH")]
    pub(super) rules: Vec<PathBuf>,
    /// Keep the resulting store here; must not exist yet or be empty.
    #[arg(long, value_name = "DIR")]
    pub(super) data_dir: Option<PathBuf>,
    /// Print the report as JSON on stdout.
    #[arg(long, value_name = "FORMAT")]
    pub(super) report: Option<ReportFormat>,
    /// Dialect of the records: auto, mediawiki, ecs, otlp-json, gelf or plain.
    #[arg(long, value_name = "DIALECT", default_value = "auto")]
    pub(super) dialect: String,
    /// Seed of a scenario's randomness.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(super) seed: u64,
    /// Multiplies every rate of a scenario.
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, value_parser = rate)]
    pub(super) rate: f64,
    /// First moment of a scenario to play.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(super) from: Option<EventTime>,
    /// Moment at which a scenario ends.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(super) to: Option<EventTime>,
}

#[derive(Debug, Args)]
pub(super) struct BacktestArgs {
    /// Counts as NDJSON (`.gz` and `.zst` are unpacked): `{t, signature, version, group, count}` a minute.
    #[arg(long, value_name = "FILE")]
    pub(super) counts: PathBuf,
    /// Exposure as NDJSON `{t, version, group, exposure}`, or `inline` for the field in the counts; without it, it is estimated.
    #[arg(long, value_name = "FILE|inline")]
    pub(super) exposure: Option<PathBuf>,
    /// Where to write `{t, signature, version, kind}` lines; `-` is stdout.
    #[arg(long, value_name = "FILE")]
    pub(super) out: PathBuf,
    /// File or folder of rules; may be given several times.
    #[arg(long, value_name = "PATH")]
    pub(super) rules: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct FingerprintArgs {
    /// Files of plain lines (`-` is stdin).
    #[arg(value_name = "FILE", required = true)]
    pub(super) files: Vec<PathBuf>,
    /// Only the pure first stage, without learned merges.
    #[arg(long)]
    pub(super) stage1: bool,
    /// Decode each line as a record of this dialect first.
    #[arg(long, value_name = "DIALECT")]
    pub(super) dialect: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    #[command(subcommand)]
    pub(super) what: CheckWhat,
}

#[derive(Debug, Subcommand)]
pub(super) enum CheckWhat {
    /// Check a configuration file, and the rules that it names.
    Config {
        /// The file.
        #[arg(value_name = "FILE", env = "FATALMONITOR_CONFIG")]
        file: PathBuf,
        /// Print every value with where it comes from; secrets are masked.
        #[arg(long)]
        show_effective: bool,
        #[command(flatten)]
        overrides: Overrides,
    },
    /// Check rules files.
    Rules {
        /// Files or folders; none checks the built-in rules.
        #[arg(value_name = "PATH")]
        paths: Vec<PathBuf>,
    },
}

#[derive(Debug, Args)]
pub(super) struct TestArgs {
    #[command(subcommand)]
    pub(super) what: TestWhat,
}

#[derive(Debug, Subcommand)]
pub(super) enum TestWhat {
    /// Run each `[[test]]` of rules files: records in, expected template, signature, owner out.
    Rules {
        /// Files or folders; none runs those of the built-in rules.
        #[arg(value_name = "PATH")]
        paths: Vec<PathBuf>,
    },
}

#[derive(Debug, Args)]
pub(super) struct DeploysArgs {
    #[command(subcommand)]
    pub(super) action: Option<DeploysAction>,
    #[command(flatten)]
    pub(super) target: Target,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

#[derive(Debug, Subcommand)]
pub(super) enum DeploysAction {
    /// Announce a deployment to a running server.
    Add {
        /// Version that now runs.
        version: String,
        /// Group that it runs on; all groups if left out.
        #[arg(long)]
        group: Option<String>,
        /// When it took effect [default: now].
        #[arg(long, value_name = "TIME", value_parser = time)]
        at: Option<EventTime>,
        /// What happened.
        #[arg(long, value_enum, default_value_t = Kind::Deploy)]
        kind: Kind,
        /// Name of the marker [default: made from the other values].
        #[arg(long)]
        id: Option<String>,
        /// Change number, commit or ticket.
        #[arg(long = "ref", value_name = "REF")]
        reference: Option<String>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Kind {
    Deploy,
    Revert,
    Hotfix,
    Config,
    Maintenance,
    HostFix,
}

#[derive(Debug, Args)]
pub(super) struct BackupArgs {
    /// Folder of the store.
    #[arg(long, env = "FATALMONITOR_DATA_DIR", value_name = "DIR")]
    pub(super) data_dir: PathBuf,
    /// File to write.
    #[arg(value_name = "FILE")]
    pub(super) to: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct RestoreArgs {
    /// Backup to read.
    #[arg(value_name = "FILE")]
    pub(super) from: PathBuf,
    /// Folder of the store to make; must not hold one.
    #[arg(long, env = "FATALMONITOR_DATA_DIR", value_name = "DIR")]
    pub(super) data_dir: PathBuf,
}

/// Largest factor by which the rates of a scenario are multiplied.
// The incident has some 10 million records; a thousand times as many is a day's work, more is a slip of the pen.
const RATE_MAX: f64 = 1_000.0;

fn rate(text: &str) -> Result<f64, String> {
    let factor: Option<f64> = text.parse().ok();
    factor
        .filter(|it| *it > 0.0 && *it <= RATE_MAX)
        .ok_or_else(|| format!("`{text}` is no number above 0 and up to {RATE_MAX}"))
}

fn speed(text: &str) -> Result<f64, String> {
    let factor: Option<f64> = text.parse().ok();
    factor
        .filter(|it| *it > 0.0 && it.is_finite())
        .ok_or_else(|| format!("`{text}` is no number above 0"))
}

/// Reads a time.
pub(super) fn time(text: &str) -> Result<EventTime, String> {
    EventTime::parse_rfc3339(text)
        .ok_or_else(|| format!("`{text}` is no time such as 2016-01-19T22:00:00Z"))
}
