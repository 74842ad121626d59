//! Counts by bucket for the store's history: collected as buckets close, handed over with the next checkpoint.
//!
//! Invariant: the points of all checkpoints together are the events of all closed and late buckets.

use std::collections::BTreeMap;

use super::buckets::{ChannelCell, CountCell};
use super::name::Name;
use super::{ChannelPoint, SeriesPoint};
use crate::model::{EventTime, Level, SignatureId};

/// Sums of one channel point: counted, capped, rejected, bytes.
type ChannelSums = [u64; 4];

/// Points since the last checkpoint.
#[derive(Debug, Default)]
pub(super) struct History {
    series: BTreeMap<(SignatureId, Name, Name, EventTime), u64>,
    channels: BTreeMap<(Name, Name, Name, Level, EventTime), ChannelSums>,
}

impl History {
    pub(super) fn signature(&mut self, id: SignatureId, cell: &CountCell, bucket: EventTime) {
        let key = (id, cell.version.clone(), cell.group.clone(), bucket);
        *self.series.entry(key).or_default() += cell.events;
    }

    /// Gives the points of one signature to another one.
    pub(super) fn absorb(&mut self, younger: SignatureId, older: SignatureId) {
        let least: Name = "".into();
        let from = (younger, least.clone(), least, EventTime::MIN);
        let keys: Vec<_> = self
            .series
            .range(from..)
            .map(|(key, _)| key)
            .take_while(|it| it.0 == younger)
            .cloned()
            .collect();
        for key in keys {
            if let Some(events) = self.series.remove(&key) {
                *self.series.entry((older, key.1, key.2, key.3)).or_default() += events;
            }
        }
    }

    pub(super) fn channel(&mut self, channel: &Name, cell: &ChannelCell, bucket: EventTime) {
        let key = (
            channel.clone(),
            cell.version.clone(),
            cell.group.clone(),
            cell.level,
            bucket,
        );
        let sums = self.channels.entry(key).or_default();
        let adds = [cell.counted, cell.capped, cell.rejected, cell.bytes];
        for (mine, add) in sums.iter_mut().zip(adds) {
            *mine += add;
        }
    }

    /// Hands the points over.
    pub(super) fn take(&mut self) -> (Vec<SeriesPoint>, Vec<ChannelPoint>) {
        let series = std::mem::take(&mut self.series)
            .into_iter()
            .map(
                |((signature, version, group, bucket), events)| SeriesPoint {
                    signature,
                    version: version.to_string(),
                    group: group.to_string(),
                    bucket,
                    events,
                },
            )
            .collect();
        let channels = std::mem::take(&mut self.channels)
            .into_iter()
            .map(
                |((channel, version, group, level, bucket), [counted, capped, rejected, bytes])| {
                    ChannelPoint {
                        channel: channel.to_string(),
                        version: version.to_string(),
                        group: group.to_string(),
                        level,
                        bucket,
                        counted,
                        capped,
                        rejected,
                        bytes,
                    }
                },
            )
            .collect();
        (series, channels)
    }
}
