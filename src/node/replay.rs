//! Stage 1 and stage 2 in one thread, for replay and reports: the same lines as live, without queues.
//!
//! It touches no live state: it has its own world, and a store only where it is told to keep one.

use std::sync::Arc;

use crate::detect::{Action, ActionError, World};
use crate::ingest::decode::Dialect;
use crate::ingest::{Clock, Ingest, PartitionIndex, Resume};
use crate::link;
use crate::model::{AlertTransition, DeployMarker, EventTime, ExposureRecord, RawRecord};
use crate::node::watermark::Watermarks;
use crate::rules::RuleSet;
use crate::store::{Store, StoreError};

/// Records between two cuts. The result does not depend on it (ARCHITECTURE.md, invariant 2).
const RECORDS_A_CUT: u32 = 20_000;

/// Cuts between two commits, where a store is kept.
const CUTS_A_COMMIT: u32 = 20;

/// Plays records through both stages.
#[derive(Debug)]
pub struct Player {
    ingest: Ingest,
    partitions: Vec<(PartitionIndex, u64)>,
    watermarks: Watermarks,
    world: World,
    store: Option<Store>,
    transitions: Vec<AlertTransition>,
    records: u32,
    cuts: u32,
}

impl Player {
    /// Makes a player with this many partitions.
    pub fn new(
        rules: &Arc<RuleSet>,
        dialect: Dialect,
        partitions: usize,
        store: Option<Store>,
    ) -> Self {
        let mut ingest = Ingest::new(Arc::clone(rules), dialect, Clock::Record);
        let mut watermarks = Watermarks::new(i64::MAX / 1000);
        let partitions = (0..partitions)
            .map(|it| {
                let partition = i32::try_from(it).unwrap_or(i32::MAX);
                watermarks.restore(SOURCE, TOPIC, partition, None);
                (ingest.open(SOURCE, TOPIC, partition, &Resume::default()), 0)
            })
            .collect();
        Self {
            ingest,
            partitions,
            watermarks,
            world: World::new(Arc::clone(rules)),
            store,
            transitions: Vec::new(),
            records: 0,
            cuts: 0,
        }
    }

    /// Plays one record.
    pub fn record(
        &mut self,
        partition: usize,
        payload: &[u8],
        arrived: EventTime,
    ) -> Result<(), StoreError> {
        let Some((index, next)) = self.partitions.get_mut(partition) else {
            return Ok(());
        };
        let record = RawRecord {
            offset: *next,
            next_offset: *next + 1,
            payload: Some(payload),
            arrived,
        };
        *next += 1;
        self.ingest.record(*index, &record);
        self.records += 1;
        if self.records >= RECORDS_A_CUT {
            self.records = 0;
            self.cut()?;
        }
        Ok(())
    }

    /// Notes a deploy marker that does not travel in the stream.
    pub fn marker(&mut self, marker: DeployMarker) -> Result<(), ActionError> {
        self.world.act(marker.at, Action::Marker(marker))
    }

    /// Notes an exposure count that does not travel in the stream.
    pub fn exposure(&mut self, exposure: ExposureRecord) -> Result<(), ActionError> {
        self.world.act(exposure.t, Action::Exposure(exposure))
    }

    /// Ends the stream: everything that is open is closed and decided.
    pub fn finish(&mut self) -> Result<(), StoreError> {
        self.cut()?;
        self.world.finish();
        self.take(true)
    }

    /// Returns what stage 2 knows.
    pub const fn world(&self) -> &World {
        &self.world
    }

    /// Returns the alert log so far.
    pub fn transitions(&self) -> &[AlertTransition] {
        &self.transitions
    }

    fn cut(&mut self) -> Result<(), StoreError> {
        for batch in self.ingest.cut() {
            let batch = link::carry(batch);
            self.watermarks.batch(&batch);
            self.world.apply(&batch);
        }
        if let Some(low) = self.watermarks.low(EventTime::MIN) {
            self.world.advance(low);
        }
        self.take(false)
    }

    fn take(&mut self, last: bool) -> Result<(), StoreError> {
        self.transitions.extend(self.world.take_transitions());
        self.cuts += 1;
        if last || self.cuts >= CUTS_A_COMMIT {
            self.cuts = 0;
            let checkpoint = self.world.take_checkpoint();
            if let Some(store) = &mut self.store {
                store.commit(&checkpoint)?;
            }
        }
        Ok(())
    }
}

/// Name of the source under which replayed records stand.
const SOURCE: &str = "replay";

/// Name of the topic under which replayed records stand.
const TOPIC: &str = "replay";
