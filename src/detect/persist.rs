//! State as rows, and back: what a checkpoint holds and how a world is made from it.
//!
//! Invariant: a world restored from all rows of all checkpoints goes on exactly like the one that wrote them.

use std::sync::Arc;

use super::learn;
use super::name::Name;
use super::scan::{Globals, Series};
use super::table::{RestoreError, decode_value, encode_value};
use super::world::{Sort, World};
use super::{Checkpoint, Position, SignatureRow, StateRow};
use crate::rules::RuleSet;

/// Kind of the rows of which there is one each.
const GLOBAL: &str = "global";

/// Kind of the rows of the rate scan, one for each signature.
const SERIES: &str = "series";

impl World {
    /// Returns everything that changed since the last call, positions included.
    pub fn take_checkpoint(&mut self) -> Checkpoint {
        let mut rows = Vec::new();
        let signatures = self.signature_rows();
        self.chain.flush(&mut rows);
        self.ledger.pairs.flush("account", &mut rows);
        self.open.flush("open_bucket", &mut rows);
        self.catalogue.flush(&mut rows);
        self.channels.flush(&mut rows);
        self.hosts.flush(&mut rows);
        self.releases.flush(&mut rows);
        self.exposure.given.flush("exposure", &mut rows);
        self.errors.table.flush("errors", &mut rows);
        self.mixes.table.flush("mix", &mut rows);
        self.book.flush(&mut rows);
        self.gates.table.flush("gate", &mut rows);
        self.flush_globals(&mut rows);
        self.flush_scan(&mut rows);
        let (series, channels) = self.history.take();
        Checkpoint {
            rows,
            merged: std::mem::take(&mut self.merged),
            signatures,
            series,
            channels,
            transitions: self.book.take_log(),
            positions: self.chain.positions(),
        }
    }

    fn signature_rows(&mut self) -> Vec<SignatureRow> {
        let mut changed: Vec<_> = self.catalogue.table().changed().copied().collect();
        changed.sort_unstable();
        changed.dedup();
        changed
            .into_iter()
            .filter_map(|id| {
                let it = self.catalogue.get(id)?;
                Some(SignatureRow {
                    id,
                    channel: it.def.channel.clone(),
                    level: it.def.level,
                    template: it.def.template.clone(),
                    first_seen: it.first,
                    last_seen: it.last,
                    first_version: it.first_version.to_string(),
                    events: it.events,
                })
            })
            .collect()
    }

    fn flush_globals(&mut self, rows: &mut Vec<StateRow>) {
        let mut push = |name: &str, value: Vec<u8>| {
            rows.push(StateRow {
                kind: GLOBAL,
                key: name.as_bytes().to_vec(),
                value: Some(value),
            });
        };
        push("clock", encode_value(&self.clock));
        push("minute", encode_value(&self.minute));
        push(
            "alerts",
            encode_value(&(self.book.next_seq, self.book.refused)),
        );
        push("numbers", encode_value(&self.catalogue.next_number));
        if self.scan_dirty {
            push("exposure", encode_value(&self.exposure.state));
            push("scan", encode_value(&self.scan.globals()));
        }
    }

    fn flush_scan(&mut self, rows: &mut Vec<StateRow>) {
        if !std::mem::take(&mut self.scan_dirty) {
            return;
        }
        for number in self.scan.dirty() {
            rows.push(StateRow {
                kind: SERIES,
                key: number.to_be_bytes().to_vec(),
                value: self.scan.series(number).map(encode_value),
            });
        }
    }

    /// Makes a world from stored rows and positions.
    pub fn restore(
        rules: Arc<RuleSet>,
        rows: impl Iterator<Item = (String, Vec<u8>, Vec<u8>)>,
        positions: Vec<Position>,
    ) -> Result<Self, RestoreError> {
        let mut world = Self::new(rules);
        let mut series = Vec::new();
        for (kind, key, value) in rows {
            if kind == SERIES {
                series.push((series_number(&key)?, decode_value(SERIES, &value)?));
            } else {
                world.restore_row(&kind, &key, &value)?;
            }
        }
        series.sort_by_key(|(number, _): &(u32, Series)| *number);
        for (number, it) in series {
            world.scan.restore(number, it);
        }
        world.chain.restore_positions(positions);
        let rules = Arc::clone(&world.rules);
        world.catalogue.reindex(&rules.signatures);
        let learned = &world.catalogue.learned;
        world.book.reindex(|id| learned.root(id));
        world.open_rows = world
            .open
            .values()
            .map(|it| it.signatures.len())
            .sum::<usize>();
        world.refill_names();
        Ok(world)
    }

    fn restore_row(&mut self, kind: &str, key: &[u8], value: &[u8]) -> Result<(), RestoreError> {
        match kind {
            "partition" => self.chain.table().restore(kind, key, value),
            "account" => self.ledger.pairs.restore(kind, key, value),
            "open_bucket" => self.open.restore(kind, key, value),
            "signature" => self.catalogue.table().restore(kind, key, value),
            "channel" => self.channels.table.restore(kind, key, value),
            "host" => self.hosts.table.restore(kind, key, value),
            "version" => self.releases.versions.restore(kind, key, value),
            "group" => self.releases.groups.restore(kind, key, value),
            "release" => self.releases.table.restore(kind, key, value),
            "marker" => self.releases.markers.restore(kind, key, value),
            "exposure" => self.exposure.given.restore(kind, key, value),
            "errors" => self.errors.table.restore(kind, key, value),
            "mix" => self.mixes.table.restore(kind, key, value),
            learn::ALIAS | learn::GROUP | learn::WAITING => {
                self.catalogue.learned.restore(kind, key, value)
            }
            "alert" => self.book.restore(key, value),
            "mute" => self.book.mutes.restore(key, value),
            "gate" => self.gates.table.restore(kind, key, value),
            GLOBAL => self.restore_global(key, value),
            _ => Err(RestoreError::UnknownKind {
                kind: kind.to_owned(),
            }),
        }
    }

    fn restore_global(&mut self, key: &[u8], value: &[u8]) -> Result<(), RestoreError> {
        match key {
            b"clock" => self.clock = decode_value("clock", value)?,
            b"minute" => self.minute = decode_value("minute", value)?,
            b"alerts" => {
                (self.book.next_seq, self.book.refused) = decode_value("alerts", value)?;
            }
            b"numbers" => self.catalogue.next_number = decode_value("numbers", value)?,
            b"exposure" => self.exposure.state = decode_value("exposure", value)?,
            b"scan" => {
                let globals: Globals = decode_value("scan", value)?;
                self.scan.restore_globals(globals);
            }
            _ => {
                return Err(RestoreError::UnknownKind {
                    kind: format!("{GLOBAL}/{}", String::from_utf8_lossy(key)),
                });
            }
        }
        Ok(())
    }

    /// Puts the names that are held back into their pools, so that their limits hold on.
    fn refill_names(&mut self) {
        let names: Vec<(Sort, Name)> = self
            .channels
            .table
            .iter()
            .map(|(it, _)| (Sort::Channel, it.clone()))
            .chain(
                self.hosts
                    .table
                    .iter()
                    .map(|(it, _)| (Sort::Host, it.clone())),
            )
            .chain(
                self.releases
                    .versions
                    .iter()
                    .map(|(it, _)| (Sort::Version, it.clone())),
            )
            .chain(
                self.releases
                    .groups
                    .iter()
                    .map(|(it, _)| (Sort::Group, it.clone())),
            )
            .collect();
        for (sort, name) in names {
            self.name(sort, &name);
        }
    }
}

fn series_number(key: &[u8]) -> Result<u32, RestoreError> {
    <[u8; 4]>::try_from(key)
        .map(u32::from_be_bytes)
        .map_err(|_| RestoreError::Damaged {
            kind: SERIES.to_owned(),
        })
}
