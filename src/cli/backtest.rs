//! `fatalmonitor backtest`: pre-counted series through the same detector as live.

use std::cell::{Cell, RefCell};
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::path::Path;

use anyhow::{Context, bail};
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
    let troubles = Troubles::default();
    let counts = lines::<CountLine>(&args.counts, &troubles)?.inspect(|_| bar.inc(1));
    let exposure = exposure_file
        .map(|it| lines::<ExposureLine>(it, &troubles))
        .transpose()?;
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
        counts,
        exposure,
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
    if let Some(error) = troubles.fatal.into_inner() {
        return Err(error);
    }
    if troubles.bad.get() > 0 {
        hint(&format!(
            "{} lines could not be read and were left out, the first is {}",
            troubles.bad.get(),
            troubles.first.into_inner()
        ));
        if troubles.good.get() == 0 {
            bail!("no line of {} could be read", args.counts.display());
        }
    }
    if done.late() > 0 {
        hint(&format!(
            "{} counts came out of order and were taken in the minute at hand",
            done.late()
        ));
    }
    Ok(Outcome::Done)
}

/// What was wrong with the input, collected while the detector reads it.
#[derive(Debug, Default)]
struct Troubles {
    /// A file that cannot be read on.
    fatal: RefCell<Option<anyhow::Error>>,
    /// Lines that were read.
    good: Cell<u64>,
    /// Lines that were left out.
    bad: Cell<u64>,
    /// Place of the first line that was left out, and what is wrong with it.
    first: RefCell<String>,
}

fn lines<'a, T: DeserializeOwned>(
    path: &'a Path,
    troubles: &'a Troubles,
) -> anyhow::Result<impl Iterator<Item = T> + use<'a, T>> {
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
    let parse = |(place, line): (usize, Vec<u8>)| match serde_json::from_slice(&line) {
        Ok(it) => {
            troubles.good.set(troubles.good.get() + 1);
            Some(it)
        }
        Err(error) => {
            if troubles.bad.replace(troubles.bad.get() + 1) == 0 {
                troubles
                    .first
                    .replace(format!("{}:{}: {error}", path.display(), place + 1));
            }
            None
        }
    };
    Ok(BufReader::with_capacity(1 << 20, reader)
        .split(b'\n')
        .map_while(|it| {
            it.map_err(|error| {
                let what = format!("cannot read {}", path.display());
                let error = anyhow::Error::new(error).context(what);
                troubles.fatal.borrow_mut().get_or_insert(error);
            })
            .ok()
        })
        .enumerate()
        .filter(|it| !it.1.trim_ascii().is_empty())
        .filter_map(parse))
}
