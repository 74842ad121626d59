//! What the API reads: the world behind its lock, and history from the store on its own connection.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use crate::api::{
    self, Accounting, AlertFilter, ChannelAccount, HistoryBy, HistoryFilter, HistorySeries,
    NewFilter, PartitionAccount, ReadError, ReadView, SignatureFilter, SignaturePage,
};
use crate::detect::fix::{FixError, FixReport};
use crate::detect::gate::{GateDecision, GateQuery};
use crate::detect::planned::PlannedEffect;
use crate::detect::rollout::Rollouts;
use crate::detect::timeline::{Timeline, TimelineQuery};
use crate::detect::view::{ChannelView, DoctorView, NewSince, ReleaseView, SignatureDetail};
use crate::detect::{AlertQuery, NewQuery, NewSinceError, SignatureQuery, World};
use crate::model::{Alert, DeployMarker, EventTime, SignatureId};
use crate::store::{HistoryQuery, HistoryReader, SplitBy};

/// The history of signatures and channels.
#[derive(Debug)]
pub struct History(Mutex<HistoryReader>);

impl History {
    /// Reads over a connection of its own.
    pub const fn new(reader: HistoryReader) -> Self {
        Self(Mutex::new(reader))
    }
}

/// The read side of the whole program.
#[derive(Debug)]
pub struct WorldView {
    world: Arc<RwLock<World>>,
    history: History,
}

impl WorldView {
    /// Makes a view.
    pub const fn new(world: Arc<RwLock<World>>, history: History) -> Self {
        Self { world, history }
    }

    fn world(&self) -> RwLockReadGuard<'_, World> {
        self.world.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn past(&self) -> MutexGuard<'_, HistoryReader> {
        self.history
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl ReadView for WorldView {
    fn clock(&self) -> Option<EventTime> {
        self.world().clock()
    }

    fn signatures(&self, filter: &SignatureFilter) -> SignaturePage {
        let mut page = self.world().signatures(&SignatureQuery {
            from: filter.from,
            to: filter.to,
            channel: filter.channel.clone(),
            version: filter.version.clone(),
            group: filter.group.clone(),
            service: filter.service.clone(),
            text: filter.text.clone(),
            count_min: filter.min_hits,
            ..SignatureQuery::default()
        });
        page.rows.retain(|it| {
            filter.level.is_none_or(|least| it.level >= least)
                && filter
                    .owner
                    .as_ref()
                    .is_none_or(|_| it.owner == filter.owner)
                && (filter.states.is_empty() || filter.states.contains(&it.state))
        });
        let total = page.rows.len() as u64;
        page.rows.truncate(filter.limit);
        SignaturePage {
            rows: page.rows,
            total,
            hidden: page.hidden as u64,
        }
    }

    fn signature(&self, id: SignatureId) -> Option<SignatureDetail> {
        self.world().signature(id)
    }

    fn find_prefix(&self, prefix: &str) -> Vec<SignatureId> {
        self.world().find_prefix(prefix)
    }

    fn history(&self, filter: &HistoryFilter) -> Result<api::History, ReadError> {
        let id = self.world().resolve(filter.id);
        if self.world().signature(id).is_none() {
            return Err(ReadError::NotFound(
                format!("no signature {}", filter.id),
                "it may be older than the store keeps, or the id may be of another cluster"
                    .to_owned(),
            ));
        }
        let query = HistoryQuery {
            from: filter.from,
            to: filter.to,
            step_seconds: filter.step_seconds,
            by: match filter.by {
                HistoryBy::Total => SplitBy::Total,
                HistoryBy::Version => SplitBy::Version,
                HistoryBy::Group => SplitBy::Group,
            },
        };
        let reader = self
            .history
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let found = reader
            .signature_history(id, &query)
            .map_err(|error| ReadError::Failed(error.to_string()))?;
        drop(reader);
        let steps = usize::try_from(
            filter.to.millis_since(found.from).max(0) / (found.step_seconds * 1000),
        )
        .unwrap_or_default()
            + 1;
        let mut series: Vec<HistorySeries> = found
            .lines
            .iter()
            .map(|line| {
                let mut counts = vec![0; steps];
                for (at, events) in &line.points {
                    let place = at.millis_since(found.from) / (found.step_seconds * 1000);
                    if let Some(count) = usize::try_from(place)
                        .ok()
                        .and_then(|it| counts.get_mut(it))
                    {
                        *count += events;
                    }
                }
                let name = match filter.by {
                    HistoryBy::Total => "total",
                    HistoryBy::Version => line.version.as_str(),
                    HistoryBy::Group => line.group.as_str(),
                };
                HistorySeries {
                    name: if name.is_empty() { "-" } else { name }.to_owned(),
                    counts,
                }
            })
            .collect();
        series.sort_by(|a, b| a.name.cmp(&b.name));
        let step = found.step_seconds;
        let to = found
            .from
            .plus_seconds(i64::try_from(steps).unwrap_or_default() * step);
        Ok(api::History {
            from: found.from,
            to,
            step_seconds: step,
            series,
        })
    }

    fn new_since(&self, filter: &NewFilter) -> Result<NewSince, ReadError> {
        let query = NewQuery {
            since: filter.since.clone(),
            until: filter.until.clone(),
            group: filter.group.clone(),
            channel: filter.channel.clone(),
            count_min: filter.min_hits,
        };
        let at = self.world().marker_time(&query.since);
        let after = match at {
            None => None,
            Some(at) => {
                let reader = self.history.0.lock();
                let reader = reader.unwrap_or_else(PoisonError::into_inner);
                let after = reader.after(at);
                Some(after.map_err(|error| ReadError::Failed(error.to_string()))?)
            }
        };
        self.world()
            .new_since_after(&query, after.as_ref())
            .map_err(|error: NewSinceError| {
                ReadError::NotFound(
                    error.to_string(),
                    "see /api/v1/releases for what was seen".to_owned(),
                )
            })
    }

    fn channels(&self) -> Vec<ChannelView> {
        self.world().channels()
    }

    fn doctor(&self, channel: Option<&str>) -> DoctorView {
        self.world().doctor(channel)
    }

    fn releases(&self) -> Vec<ReleaseView> {
        self.world().releases()
    }

    fn markers(&self) -> Vec<DeployMarker> {
        self.world().markers()
    }

    fn alerts(&self, filter: &AlertFilter) -> Vec<Alert> {
        self.world().alerts(&AlertQuery {
            state: filter.state,
            severity_min: filter.severity,
            signature: filter.signature,
            limit: filter.limit,
            ..AlertQuery::default()
        })
    }

    fn planned(&self) -> Vec<PlannedEffect> {
        self.world().planned_effects()
    }

    fn fix(&self, marker: &str) -> Result<FixReport, ReadError> {
        let past = self.past();
        self.world()
            .fix(marker, &*past)
            .map_err(|error| match error {
                FixError::Unknown(_) => ReadError::NotFound(
                    error.to_string(),
                    "see /api/v1/deploys for those that are known".to_owned(),
                ),
                FixError::Past(error) => ReadError::Failed(error.to_string()),
            })
    }

    fn rollouts(&self) -> Result<Rollouts, ReadError> {
        let past = self.past();
        self.world()
            .rollouts(&*past)
            .map_err(|error| ReadError::Failed(error.to_string()))
    }

    fn timeline(&self, query: TimelineQuery) -> Result<Timeline, ReadError> {
        let past = self.past();
        self.world()
            .timeline(query, &*past)
            .map_err(|error| ReadError::Failed(error.to_string()))
    }

    fn gate(&self, query: &GateQuery) -> Result<GateDecision, ReadError> {
        let past = self.past();
        self.world()
            .gate(query, &*past)
            .map_err(|error| ReadError::Failed(error.to_string()))
    }

    fn kept_gate(&self, id: &str) -> Option<GateDecision> {
        self.world().kept_gate(id)
    }

    fn kept_gates(&self, limit: usize) -> Vec<GateDecision> {
        self.world().kept_gates(limit)
    }

    fn accounting(&self) -> Accounting {
        let accounting = self.world().accounting();
        Accounting {
            total: accounting.total,
            partitions: accounting
                .partitions
                .into_iter()
                .map(|it| PartitionAccount {
                    source: it.source,
                    topic: it.topic,
                    partition: it.partition,
                    next: it.next,
                    totals: it.totals,
                    gaps: it.gap_records,
                    duplicates: it.duplicates,
                })
                .collect(),
            channels: accounting
                .channels
                .into_iter()
                .map(|it| ChannelAccount {
                    channel: it.channel,
                    version: it.version,
                    counted: it.counted,
                    capped: it.capped,
                    rejected: it.rejected,
                })
                .collect(),
        }
    }
}
