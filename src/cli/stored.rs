//! Reads what stage 2 knows from a store on disk, without a server.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;

use crate::detect::World;
use crate::rules::RuleSet;
use crate::store::{HistoryReader, Store};

/// Opens a store for reading and rebuilds the world in it; the store may be in use.
pub(super) fn world(dir: &Path) -> anyhow::Result<World> {
    world_and_past(dir).map(|(world, _)| world)
}

/// Does the same, and keeps the store open for questions about the past.
pub(super) fn world_and_past(dir: &Path) -> anyhow::Result<(World, HistoryReader)> {
    let reader = Store::open_read_only(dir)
        .with_context(|| format!("cannot read the store in {}", dir.display()))?;
    let loaded = reader.load().context("cannot read the store")?;
    let world = World::restore(
        Arc::new(RuleSet::built_in()),
        loaded.rows.into_iter(),
        loaded.positions,
    )
    .with_context(|| format!("cannot read the state in {}", dir.display()))?;
    Ok((world, reader))
}
