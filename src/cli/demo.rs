//! `fatalmonitor demo`: the incident of January 2016 through a Kafka cluster and the whole pipeline.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail};
use tokio_util::sync::CancellationToken;

use super::args::DemoArgs;
use super::output::{Format, hint, say};
use super::{Outcome, output, progress, report, serve};
use crate::config::{Config, KafkaSource, SourceConfig, SourceKind, Start};
use crate::ingest::Clock;
use crate::model::EventTime;
use crate::node::demo::{DemoCluster, Pace, Played, TOPIC, produce};
use crate::node::{self, Shared};
use crate::rules::RuleSet;
use crate::scenario::{Scenario, StreamOptions};
use crate::source::Finite;
use crate::store::Store;
use crate::telemetry::Mode;

/// How long the visible part takes when nobody says otherwise.
const VISIBLE_SECONDS: f64 = 300.0;

pub(super) fn run(args: &DemoArgs) -> anyhow::Result<Outcome> {
    let started = node::instant();
    let scenario = Arc::new(Scenario::incident());
    let (dir, _kept) = data_dir(args)?;
    let cluster = DemoCluster::start()?;
    let finite = Arc::new(Finite::default());
    let rules = RuleSet::parse(&scenario.rules())
        .map_err(|problems| anyhow::anyhow!("the built-in rules are wrong: {problems:?}"))?;
    let options = node::ServeOptions {
        config: config(args, &cluster, dir.clone()),
        rules: Arc::new(rules),
        mode: Mode::Demo,
        clock: Clock::Record,
        listens: !args.headless,
        on_listen: Some(|address| {
            hint(&format!(
                "dashboard: http://{address}/   (Ctrl-C ends the demo)"
            ));
        }),
        finite: Some(Arc::clone(&finite)),
    };
    let stop = CancellationToken::new();
    let played: Played = Arc::new(AtomicI64::new(scenario.from().millis()));
    let producer = start_producer(
        args,
        &scenario,
        cluster.brokers(),
        (&finite, &played),
        &stop,
    )?;
    let bar = show_progress(&scenario, &played, &stop);
    let shared: Arc<Mutex<Option<Shared>>> = Arc::default();
    let outcome = Arc::new(Mutex::new(Ok(Outcome::Interrupted)));
    serve::runtime()?.block_on(async {
        serve::stop_on_signals(&stop);
        let (keep, take, told) = (
            Arc::clone(&shared),
            Arc::clone(&shared),
            Arc::clone(&outcome),
        );
        let leave = stop.clone();
        let (exits, wants_json) = (args.exit || args.headless, args.report.is_some());
        node::serve(
            options,
            stop.clone(),
            move |it| *keep.lock().unwrap_or_else(PoisonError::into_inner) = Some(it),
            move || {
                let shared = take.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let seconds = started.elapsed().as_secs_f64();
                *told.lock().unwrap_or_else(PoisonError::into_inner) =
                    conclude(&scenario, &dir, shared, (seconds, wants_json));
                if exits {
                    leave.cancel();
                } else {
                    hint("the incident is over; the dashboard stays open until Ctrl-C");
                }
            },
        )
        .await
    })?;
    stop.cancel();
    if bar.join().is_err() {
        bail!("the progress display panicked");
    }
    match producer.join() {
        Ok(result) => drop(result.context("the demo's producer failed")?),
        Err(_) => bail!("the demo's producer panicked"),
    }
    let mut outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner);
    std::mem::replace(&mut *outcome, Ok(Outcome::Done))
}

/// The given folder, which must be empty, or a temporary one that goes away with the returned guard.
fn data_dir(args: &DemoArgs) -> anyhow::Result<(std::path::PathBuf, Option<TemporaryFolder>)> {
    if let Some(dir) = &args.data_dir {
        if dir.read_dir().is_ok_and(|mut it| it.next().is_some()) {
            bail!(
                "--data-dir {} is not empty: the demo needs a folder of its own",
                dir.display()
            );
        }
        return Ok((dir.clone(), None));
    }
    let name = format!(
        "fatalmonitor-demo-{}-{}",
        std::process::id(),
        node::now().millis()
    );
    let dir = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    Ok((dir.clone(), Some(TemporaryFolder(dir))))
}

/// Removes the folder when it goes out of scope.
struct TemporaryFolder(std::path::PathBuf);

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            hint(&format!("cannot remove {}: {error}", self.0.display()));
        }
    }
}

fn config(args: &DemoArgs, cluster: &DemoCluster, data_dir: std::path::PathBuf) -> Config {
    Config {
        listen: args.listen,
        data_dir,
        source: vec![SourceConfig {
            name: "demo".to_owned(),
            dialect: "auto".to_owned(),
            kind: SourceKind::Kafka(KafkaSource {
                brokers: cluster.brokers(),
                topics: vec![TOPIC.to_owned()],
                start: Start::Earliest,
                deadletter_topic: None,
                deadletter_redacted: false,
                properties: std::collections::BTreeMap::new(),
            }),
        }],
        ..Config::default()
    }
}

fn start_producer(
    args: &DemoArgs,
    scenario: &Arc<Scenario>,
    brokers: String,
    (finite, played): (&Arc<Finite>, &Played),
    stop: &CancellationToken,
) -> anyhow::Result<std::thread::JoinHandle<anyhow::Result<u64>>> {
    #[expect(clippy::cast_precision_loss, reason = "a factor, not a count")]
    let visible = scenario.to().millis_since(scenario.show_from()) as f64 / 1000.0;
    let speed = if args.headless {
        None
    } else {
        Some(args.speed.unwrap_or(visible / VISIBLE_SECONDS))
    };
    let pace = Pace {
        from: scenario.show_from(),
        speed,
    };
    let options = StreamOptions {
        seed: args.seed,
        ..StreamOptions::default()
    };
    let (scenario, finite, played, stop) = (
        Arc::clone(scenario),
        Arc::clone(finite),
        Arc::clone(played),
        stop.clone(),
    );
    std::thread::Builder::new()
        .name("demo-producer".to_owned())
        .spawn(move || {
            let result = produce(
                &scenario,
                &options,
                &brokers,
                (&pace, &finite, &played),
                &stop,
            );
            if result.is_err() {
                stop.cancel();
            }
            result
        })
        .context("cannot start a thread")
}

/// Shows on stderr how far the story is.
fn show_progress(
    scenario: &Scenario,
    played: &Played,
    stop: &CancellationToken,
) -> std::thread::JoinHandle<()> {
    let (from, to, show_from) = (scenario.from(), scenario.to(), scenario.show_from());
    let (played, stop) = (Arc::clone(played), stop.clone());
    std::thread::spawn(move || {
        let total = u64::try_from(to.millis_since(from)).unwrap_or_default();
        let bar = progress::bar(total, "{msg} {bar:40} {percent}% {elapsed}");
        while !stop.is_cancelled() {
            let at = EventTime::from_millis(played.load(Ordering::Relaxed));
            let what = if at < show_from {
                "learning the two days before"
            } else {
                "playing the incident"
            };
            bar.set_message(format!("{what}: {at}"));
            bar.set_position(u64::try_from(at.millis_since(from)).unwrap_or_default());
            if at >= to {
                break;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        bar.finish_and_clear();
    })
}

/// Prints what was said when, and decides the exit code: 0 only if every dated symptom was said in time.
fn conclude(
    scenario: &Scenario,
    dir: &std::path::Path,
    shared: Option<Shared>,
    (seconds, json): (f64, bool),
) -> anyhow::Result<Outcome> {
    let Some(shared) = shared else {
        bail!("the demo ended before it began")
    };
    let reader = Store::open_read_only(dir).context("cannot read the demo's store")?;
    let transitions = reader
        .alert_log(0, u32::MAX)
        .context("cannot read the alert log")?;
    let judged = report::judge(scenario, &transitions);
    let world = shared.world.read().unwrap_or_else(PoisonError::into_inner);
    if json {
        let value = report::report(&world, &transitions, Some(&judged), seconds);
        say(&serde_json::to_string_pretty(&value)?)?;
    } else {
        output::print::<()>(Format::Table, false, &(), (&[], &report::table(&judged)))?;
    }
    let totals = world.accounting().total;
    hint(&format!(
        "{} records read, {} counted, {} capped, {} rejected; {} signatures; {} loud alerts; {seconds:.0} s",
        totals.read,
        totals.counted,
        totals.capped,
        totals.rejected_sum(),
        world.counts().signatures,
        judged.firings.warning + judged.firings.critical
    ));
    Ok(if report::all_in_time(&judged) {
        Outcome::Done
    } else {
        Outcome::Findings
    })
}
