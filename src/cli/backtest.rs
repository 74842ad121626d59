//! `fatalmonitor backtest`: pre-counted series through the same detector as live.

use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::path::Path;

use anyhow::Context;
use serde::de::DeserializeOwned;

use super::args::BacktestArgs;
use super::output::hint;
use super::{Outcome, progress};
use crate::config::read_rules;
use crate::detect::scan::backtest::{CountLine, ExposureLine, run as backtest};
use crate::detect::scan_params;

pub(super) fn run(args: &BacktestArgs) -> anyhow::Result<Outcome> {
    let rules = read_rules(&args.rules)?;
    let inline = args
        .exposure
        .as_deref()
        .is_some_and(|it| it.as_os_str() == "inline");
    let exposure_file = args.exposure.as_deref().filter(|_| !inline);
    let bar = progress::counter("{spinner} {human_pos} counts, {per_sec}");
    let mut bad = 0_u64;
    let counts = lines::<CountLine>(&args.counts)?.inspect(|_| bar.inc(1));
    let exposure = exposure_file.map(lines::<ExposureLine>).transpose()?;
    let mut out: BufWriter<Box<dyn Write>> = BufWriter::new(if args.out.as_os_str() == "-" {
        Box::new(std::io::stdout().lock())
    } else {
        Box::new(
            std::fs::File::create(&args.out)
                .with_context(|| format!("cannot write {}", args.out.display()))?,
        )
    });
    let mut failed = None;
    let done = backtest(
        scan_params(&rules.detect),
        counts.filter_map(|it| it.inspect_err(|_| bad += 1).ok()),
        exposure.map(|lines| lines.filter_map(Result::ok)),
        inline,
        |line| {
            let written = serde_json::to_writer(&mut out, &line)
                .map_err(std::io::Error::from)
                .and_then(|()| writeln!(out));
            if let Err(error) = written {
                failed.get_or_insert(error);
            }
        },
    );
    bar.finish_and_clear();
    if let Some(error) = failed {
        return Err(error).context("writing the alerts");
    }
    out.flush().context("writing the alerts")?;
    if bad > 0 {
        hint(&format!(
            "{bad} lines of {} could not be read and were left out",
            args.counts.display()
        ));
    }
    if done.late() > 0 {
        hint(&format!(
            "{} counts came out of order and were taken in the minute at hand",
            done.late()
        ));
    }
    Ok(Outcome::Done)
}

fn lines<T: DeserializeOwned>(
    path: &Path,
) -> anyhow::Result<impl Iterator<Item = serde_json::Result<T>> + use<T>> {
    let file =
        std::fs::File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let reader: Box<dyn Read> = match path.extension().and_then(|it| it.to_str()) {
        Some("gz") => Box::new(flate2::read::MultiGzDecoder::new(file)),
        Some("zst" | "zstd") => Box::new(
            zstd::stream::read::Decoder::new(file)
                .with_context(|| format!("cannot unpack {}", path.display()))?,
        ),
        _ => Box::new(file),
    };
    Ok(BufReader::with_capacity(1 << 20, reader)
        .lines()
        .map_while(Result::ok)
        .filter(|it| !it.trim().is_empty())
        .map(|it| serde_json::from_str(&it)))
}
