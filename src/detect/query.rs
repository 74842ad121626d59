//! Questions about what is known, answered from memory as of the last closed bucket.
//!
//! Invariant: every answer is sorted by names, times or scores, never by the order of arrival.

use super::World;
use super::catalogue::Signature;
use super::channels::minute_before;
use super::releases::shown;
use super::view::{
    ReleaseCount, ReleaseView, SampleView, SignatureDetail, SignatureState, SignatureSummary,
};
use crate::model::{
    Alert, AlertKind, AlertState, DeployMarker, EventTime, LevelClass, Sample, Severity,
    SignatureDef, SignatureId,
};
use crate::rules::Known;

/// Minutes for which resolved alerts are sent again.
// UX.md §7: resent for 15 minutes.
const RESENT_MINUTES: i64 = 15;

/// Share from which a host is named in the list.
const MAIN_HOST_SHARE: f64 = 0.9;

/// Milliseconds for which counts by minute are held here; what is older is in the store's history.
const HELD_MILLIS: i64 = 3_600_000;

/// Order of the list of signatures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SignatureOrder {
    /// By the "needs attention" score.
    #[default]
    Attention,
    /// By events in the range.
    Count,
    /// By first event, newest first.
    FirstSeen,
    /// By last event, newest first.
    LastSeen,
    /// By rate, highest first.
    Rate,
}

/// Which signatures to list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SignatureQuery {
    /// Only with events at or after this time.
    pub from: Option<EventTime>,
    /// Only with events before this time.
    pub to: Option<EventTime>,
    /// Only of this channel.
    pub channel: Option<String>,
    /// Only seen on this version.
    pub version: Option<String>,
    /// Only seen on this group.
    pub group: Option<String>,
    /// Only of this service.
    pub service: Option<String>,
    /// Only of this class of level.
    pub severity: Option<LevelClass>,
    /// Only in this state.
    pub state: Option<SignatureState>,
    /// Only with this text in template, exception, channel or id, whatever its case.
    pub text: Option<String>,
    /// Those with fewer events in the range are counted as hidden, not listed.
    pub count_min: u64,
    /// Order.
    pub order: SignatureOrder,
    /// Rows to skip.
    pub offset: usize,
    /// Rows to list; 0 lists all.
    pub limit: usize,
}

/// Which alerts to list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AlertQuery {
    /// Only in this state.
    pub state: Option<AlertState>,
    /// Only of this kind.
    pub kind: Option<AlertKind>,
    /// Only of this severity or a higher one.
    pub severity_min: Option<Severity>,
    /// Only about this signature.
    pub signature: Option<SignatureId>,
    /// Only about this channel.
    pub channel: Option<String>,
    /// Alerts to list; 0 lists all.
    pub limit: usize,
}

/// A page of signatures.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SignaturePage {
    /// The rows.
    pub rows: Vec<SignatureSummary>,
    /// How many match, those on other pages included, the hidden ones not.
    pub total: usize,
    /// How many match but have too few events.
    pub hidden: usize,
}

impl World {
    /// Lists signatures.
    pub fn signatures(&self, query: &SignatureQuery) -> SignaturePage {
        let now = self.clock.closed.unwrap_or_default();
        let text = query.text.as_deref().map(str::to_lowercase);
        let mut hidden = 0;
        let mut rows: Vec<SignatureSummary> = Vec::new();
        for (id, signature) in self.catalogue.iter() {
            if !matches(query, text.as_deref(), signature) {
                continue;
            }
            if Self::count_in(query, signature, now) < query.count_min {
                hidden += 1;
                continue;
            }
            if query
                .state
                .is_some_and(|it| it != self.state_of(*id, signature, now))
            {
                continue;
            }
            rows.push(self.summarise(*id, signature, query));
        }
        let total = rows.len();
        sort_rows(&mut rows, query.order);
        let limit = if query.limit == 0 { total } else { query.limit };
        SignaturePage {
            rows: rows.into_iter().skip(query.offset).take(limit).collect(),
            total,
            hidden,
        }
    }

    /// Returns everything about one signature.
    pub fn signature(&self, id: SignatureId) -> Option<SignatureDetail> {
        let alias = Some(id).filter(|it| self.resolve(*it) != *it);
        let id = self.resolve(id);
        let signature = self.catalogue.get(id)?;
        let now = self.clock.closed.unwrap_or(signature.last);
        let summary = self.summarise(id, signature, &SignatureQuery::default());
        let rates = Self::rates(signature, now);
        let mut cells: Vec<_> = signature.cells.iter().collect();
        cells.sort_by(|a, b| {
            self.releases
                .order(&b.version, &a.version)
                .then_with(|| a.group.cmp(&b.group))
        });
        let first = signature.first_sample.iter();
        let newest = signature
            .samples
            .iter()
            .filter(|it| signature.first_sample.as_ref() != Some(*it));
        let mut alerts: Vec<Alert> = self
            .book
            .all()
            .filter(|it| it.key.signature.map(|it| self.resolve(it)) == Some(id))
            .cloned()
            .collect();
        alerts.sort_by(|a, b| (b.fired_at, &b.key).cmp(&(a.fired_at, &a.key)));
        Some(SignatureDetail {
            alias,
            renamed_from: self.renamed_from(signature),
            merge: self.merges_of(id),
            verdict: self.verdict(signature, summary.state, &rates),
            frame: signature.def.frame.clone(),
            joined: signature.def.joined.clone(),
            releases: cells
                .into_iter()
                .map(|it| ReleaseCount {
                    version: shown(&it.version, "unknown"),
                    group: shown(&it.group, "-"),
                    first_seen: it.first,
                    last_seen: it.last,
                    events: it.events,
                })
                .collect(),
            hosts: signature.hosts.view(),
            facets: signature
                .facets
                .iter()
                .map(|(name, it)| it.view(name))
                .collect(),
            samples: first.chain(newest).map(sample_view).collect(),
            alerts,
            summary,
        })
    }

    /// Lists the ids that begin with these hex digits, at most ten; of several aliases of one signature the first.
    pub fn find_prefix(&self, prefix: &str) -> Vec<SignatureId> {
        let hex = prefix.len() <= 32 && prefix.bytes().all(|it| it.is_ascii_hexdigit());
        if prefix.is_empty() || !hex {
            return Vec::new();
        }
        let low = format!("{prefix:0<32}").parse::<SignatureId>();
        let high = format!("{prefix:f<32}").parse::<SignatureId>();
        match (low, high) {
            (Ok(low), Ok(high)) => self.ids_between(low..=high),
            _ => Vec::new(),
        }
    }

    fn ids_between(&self, range: std::ops::RangeInclusive<SignatureId>) -> Vec<SignatureId> {
        let own = self.catalogue.range(range.clone()).take(10);
        let mut ids: Vec<SignatureId> = own.copied().collect();
        for id in self.catalogue.learned.range(range) {
            let root = self.resolve(*id);
            if !ids.iter().any(|it| self.resolve(*it) == root) {
                ids.push(*id);
            }
            if ids.len() > 10 {
                break;
            }
        }
        ids.sort_unstable();
        ids.truncate(10);
        ids
    }

    /// Lists the releases, latest deployment first.
    pub fn releases(&self) -> Vec<ReleaseView> {
        let now = self.clock.closed.unwrap_or_default();
        self.releases.views(now)
    }

    /// Lists the deploy markers, earliest first.
    pub fn markers(&self) -> Vec<DeployMarker> {
        self.releases.sorted_markers()
    }

    /// Lists alerts, newest first.
    pub fn alerts(&self, query: &AlertQuery) -> Vec<Alert> {
        let mut alerts: Vec<&Alert> = self
            .book
            .all()
            .filter(|it| query.state.is_none_or(|state| it.state == state))
            .filter(|it| query.kind.is_none_or(|kind| it.key.kind == kind))
            .filter(|it| query.severity_min.is_none_or(|least| it.severity >= least))
            .filter(|it| {
                query.signature.is_none_or(|id| {
                    it.key.signature.map(|it| self.resolve(it)) == Some(self.resolve(id))
                })
            })
            .filter(|it| {
                query
                    .channel
                    .as_deref()
                    .is_none_or(|channel| it.key.channel == channel)
            })
            .collect();
        alerts.sort_by(|a, b| (b.fired_at, &b.key).cmp(&(a.fired_at, &a.key)));
        let limit = if query.limit == 0 {
            alerts.len()
        } else {
            query.limit
        };
        alerts.into_iter().take(limit).cloned().collect()
    }

    /// Lists what is to be sent to Alertmanager again: what fires, and what was resolved in the last 15 minutes.
    pub fn active_alerts(&self) -> Vec<Alert> {
        let now = self.clock.closed.unwrap_or_default();
        let since = now.plus_seconds(-60 * RESENT_MINUTES);
        let mut alerts: Vec<Alert> = self
            .book
            .all()
            .filter(|it| {
                it.state == AlertState::Firing || it.resolved_at.is_some_and(|at| at >= since)
            })
            .cloned()
            .collect();
        alerts.sort_by(|a, b| (&a.key, a.started_at).cmp(&(&b.key, b.started_at)));
        alerts
    }

    /// Returns the events in a range as far as they are held here: exactly within the last hour, else in all.
    fn count_in(query: &SignatureQuery, signature: &Signature, now: EventTime) -> u64 {
        let Some(from) = query.from else {
            return signature.events;
        };
        if from <= signature.first {
            return signature.events;
        }
        let span = now.millis_since(from);
        if span > HELD_MILLIS {
            return signature.events;
        }
        let minutes = span / 60_000 + i64::from(span % 60_000 > 0);
        signature.minutes.sum(minute_before(now), minutes.max(1))
    }

    fn summarise(
        &self,
        id: SignatureId,
        signature: &Signature,
        query: &SignatureQuery,
    ) -> SignatureSummary {
        let now = self.clock.closed.unwrap_or(signature.last);
        let rates = Self::rates(signature, now);
        let state = self.state_of(id, signature, now);
        let mut versions: Vec<&super::name::Name> = Vec::new();
        for cell in &signature.cells {
            if !cell.version.is_empty() && !versions.contains(&&cell.version) {
                versions.push(&cell.version);
            }
        }
        versions.sort_by(|a, b| self.releases.order(b, a));
        let known = self.known(id, &signature.def);
        SignatureSummary {
            id,
            channel: signature.def.channel.clone(),
            level: signature.def.level,
            service: signature.service.to_string(),
            template: signature.def.template.clone(),
            exception: signature.def.exception.clone(),
            state,
            score: Self::score(signature, state, &rates),
            count: Self::count_in(query, signature, now),
            total: signature.events,
            rate_per_min: rates.now,
            expected_per_min: rates.expected,
            spark: signature.minutes.spark(minute_before(now)),
            first_seen: signature.first,
            first_version: signature.first_version.to_string(),
            last_seen: signature.last,
            versions: versions.into_iter().map(ToString::to_string).collect(),
            hosts: signature.hosts.distinct(),
            main_host: signature
                .hosts
                .main(signature.events)
                .filter(|(_, share)| *share >= MAIN_HOST_SHARE)
                .map(|(host, _)| host.to_string()),
            owner: known.owner.map(str::to_owned),
            ticket: known.ticket.map(str::to_owned),
            noise: known.noise.map(str::to_owned),
        }
    }

    /// Returns what the rules know about a signature.
    fn known(&self, id: SignatureId, def: &SignatureDef) -> Known<'_> {
        if self.rules.known.is_empty() {
            return Known::default();
        }
        self.rules
            .known(&def.channel, &def.template, &id.to_string())
    }
}

fn matches(query: &SignatureQuery, text: Option<&str>, signature: &Signature) -> bool {
    let def = &signature.def;
    let is = |asked: &Option<String>, value: &str| asked.as_deref().is_none_or(|it| it == value);
    let seen = |version: &Option<String>, group: &Option<String>| {
        if version.is_none() && group.is_none() {
            return true;
        }
        signature.cells.iter().any(|cell| {
            is(version, &shown(&cell.version, "unknown")) && is(group, &shown(&cell.group, "-"))
        })
    };
    let holds = |needle: &str| {
        def.template.to_lowercase().contains(needle)
            || def.channel.to_lowercase().contains(needle)
            || def.id.to_string().starts_with(needle)
            || def
                .exception
                .as_ref()
                .is_some_and(|it| it.to_lowercase().contains(needle))
    };
    is(&query.channel, &def.channel)
        && is(&query.service, &signature.service)
        && query.severity.is_none_or(|it| it == signature.class())
        && query.from.is_none_or(|from| signature.last >= from)
        && query.to.is_none_or(|to| signature.first < to)
        && seen(&query.version, &query.group)
        && text.is_none_or(holds)
}

fn sort_rows(rows: &mut [SignatureSummary], order: SignatureOrder) {
    rows.sort_by(|a, b| {
        let main = match order {
            SignatureOrder::Attention => b.score.total_cmp(&a.score),
            SignatureOrder::Count => b.count.cmp(&a.count),
            SignatureOrder::FirstSeen => b.first_seen.cmp(&a.first_seen),
            SignatureOrder::LastSeen => b.last_seen.cmp(&a.last_seen),
            SignatureOrder::Rate => b.rate_per_min.total_cmp(&a.rate_per_min),
        };
        main.then_with(|| b.total.cmp(&a.total))
            .then_with(|| a.id.cmp(&b.id))
    });
}

fn sample_view(sample: &Sample) -> SampleView {
    SampleView {
        at: sample.at,
        host: sample.host.clone(),
        version: sample.version.clone(),
        message: sample.message.clone(),
        trace: sample.trace.clone(),
        url: sample.url.clone(),
        request_id: sample.request_id.clone(),
    }
}
