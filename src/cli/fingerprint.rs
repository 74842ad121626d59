//! `fatalmonitor fingerprint`: the signature and template of every line.

use std::io::{BufWriter, Write};
use std::sync::Arc;

use anyhow::{Context, bail};

use super::Outcome;
use super::args::FingerprintArgs;
use crate::ingest::decode::Dialect;
use crate::node::lines::{LineSignature, Lines};
use crate::rules::RuleSet;

pub(super) fn run(args: &FingerprintArgs) -> anyhow::Result<Outcome> {
    let dialect = match &args.dialect {
        Some(name) => match name.parse::<Dialect>() {
            Ok(it) => Some(it),
            Err(error) => bail!("--dialect {name}: {error}"),
        },
        None => None,
    };
    let mut lines = Lines::new(Arc::new(RuleSet::built_in()), dialect, args.stage1);
    for file in &args.files {
        lines
            .read(file)
            .with_context(|| format!("reading {}", file.display()))?;
    }
    let mut out = BufWriter::new(std::io::stdout().lock());
    for LineSignature {
        file,
        line,
        signature,
        template,
    } in lines.finish()
    {
        serde_json::to_writer(
            &mut out,
            &serde_json::json!({
                "file": file, "line": line, "signature": signature, "template": template,
            }),
        )?;
        writeln!(out)?;
    }
    out.flush()?;
    Ok(Outcome::Done)
}
