//! How what a signature did on one release is divided between the two sides of "new since".
//!
//! Invariant: the two parts of a release are all of it.

use super::catalogue::Cell;
use super::name::Name;
use super::new_since::After;
use crate::model::{EventTime, SignatureId};

/// One side of the comparison for one signature.
#[derive(Default)]
pub(super) struct Side {
    pub(super) events: u64,
    pub(super) first: Option<EventTime>,
    pub(super) last: Option<EventTime>,
    pub(super) groups: Vec<Name>,
    pub(super) version: Option<Name>,
}

/// A part of what a signature did on one release: events, first and last time.
#[derive(Clone, Copy)]
pub(super) struct Part {
    pub(super) events: u64,
    pub(super) first: EventTime,
    pub(super) last: EventTime,
}

/// What of it lies on each side.
pub(super) struct Parts {
    pub(super) new: Option<Part>,
    pub(super) old: Option<Part>,
}

impl Parts {
    /// Everything lies on one side.
    pub(super) fn whole(cell: &Cell, is_new: bool) -> Self {
        let part = Part {
            events: cell.events,
            first: cell.first,
            last: cell.last,
        };
        Self {
            new: is_new.then_some(part),
            old: (!is_new).then_some(part),
        }
    }

    /// A time lies between the sides.
    pub(super) fn at(id: SignatureId, cell: &Cell, at: EventTime, after: Option<&After>) -> Self {
        let spans = cell.first < at && cell.last >= at && cell.events > 1;
        let (true, Some(after)) = (spans, after) else {
            return Self::whole(cell, cell.first >= at);
        };
        let key = (id, cell.version.to_string(), cell.group.to_string());
        let known = after.events.get(&key).copied().unwrap_or_default();
        // Its first event came before and its last one after, whatever the buckets of history say.
        let events = known.clamp(1, cell.events - 1);
        Self {
            new: Some(Part {
                events,
                first: at,
                last: cell.last,
            }),
            old: Some(Part {
                events: cell.events - events,
                first: cell.first,
                last: at,
            }),
        }
    }
}

impl Side {
    pub(super) fn add(&mut self, cell: &Cell, part: Part) {
        self.events += part.events;
        if self.first.is_none_or(|it| part.first < it) {
            self.first = Some(part.first);
            self.version = Some(cell.version.clone());
        }
        self.last = self.last.max(Some(part.last));
        if let Err(place) = self.groups.binary_search(&cell.group) {
            self.groups.insert(place, cell.group.clone());
        }
    }
}
