//! `fatalmonitor backup` and `restore`.

use anyhow::Context;

use super::Outcome;
use super::args::{BackupArgs, RestoreArgs};
use super::output::hint;
use crate::store::{self, Store};

pub(super) fn backup(args: &BackupArgs) -> anyhow::Result<Outcome> {
    let reader = Store::open_read_only(&args.data_dir)
        .with_context(|| format!("cannot read the store in {}", args.data_dir.display()))?;
    let info = reader
        .backup(&args.to)
        .with_context(|| format!("cannot write {}", args.to.display()))?;
    hint(&format!(
        "{}: {} bytes, checksum beside it",
        args.to.display(),
        info.bytes
    ));
    Ok(Outcome::Done)
}

pub(super) fn restore(args: &RestoreArgs) -> anyhow::Result<Outcome> {
    store::restore(&args.from, &args.data_dir).with_context(|| {
        format!(
            "cannot restore {} into {}",
            args.from.display(),
            args.data_dir.display()
        )
    })?;
    hint(&format!(
        "restored; go on with: fatalmonitor serve --data-dir {}",
        args.data_dir.display()
    ));
    Ok(Outcome::Done)
}
