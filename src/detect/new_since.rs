//! "New errors since version X": what first appears on later releases, what got worse, what is gone.
//!
//! Versions are compared by when they were deployed; the two sides of a marker by what history says came after
//! its time. Invariant: a signature that any release of the baseline
//! had before is never called new.

use std::collections::BTreeMap;

use super::World;
use super::catalogue::Signature;
use super::channels::as_f64;
use super::name::Name;
use super::sides::{Parts, Side};
use super::view::{NewEntry, NewSince};
use crate::model::{EventTime, SignatureId};

/// Name and version of the answer's form.
const SCHEMA: &str = "fatalmonitor/new/v1";

/// Records of the new side below which "nothing new" means nothing.
// A problem in one of a thousand records is then seen with a chance of 63 %.
const RECORDS_MIN: u64 = 1_000;

/// Lower end of the interval from which a rate counts as worse.
const WORSE_RATIO_LOW: f64 = 1.5;

/// Events of a signature that got worse.
const WORSE_EVENTS_MIN: u64 = 5;

/// Expected events of a signature that is called gone.
// None where 10 are expected has a chance of 5e-5.
const GONE_EXPECTED_MIN: f64 = 10.0;

/// A question.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewQuery {
    /// Version or name of a marker: the end of the baseline.
    pub since: String,
    /// The last version that is looked at; all later ones if absent.
    pub until: Option<String>,
    /// Only this group.
    pub group: Option<String>,
    /// Only this channel.
    pub channel: Option<String>,
    /// Least events of a new signature.
    pub count_min: u64,
}

/// Why a question has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NewSinceError {
    /// Neither a version nor a marker has this name.
    #[error("no version and no deploy marker is called `{asked}`; known versions: {known}")]
    Unknown {
        /// What was asked for.
        asked: String,
        /// The versions that are known, latest first.
        known: String,
    },
    /// The group was never seen.
    #[error("no group is called `{asked}`; known groups: {known}")]
    UnknownGroup {
        /// What was asked for.
        asked: String,
        /// The groups that are known.
        known: String,
    },
}

/// What history says happened at or after a time; the rest of what is known happened before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct After {
    /// Events by signature, version and group.
    pub events: BTreeMap<(SignatureId, String, String), u64>,
    /// Records by version and group.
    pub records: BTreeMap<(String, String), u64>,
}

/// Where the line between the sides lies.
enum Line<'a> {
    Version(String),
    Time(EventTime, Option<&'a After>),
}

impl Line<'_> {
    /// Tells whether it is known how much lies on each side.
    const fn is_measured(&self) -> bool {
        matches!(self, Self::Version(_) | Self::Time(_, Some(_)))
    }
}

impl World {
    /// Returns the time of the marker that a question is about, if it is not about a version.
    pub fn marker_time(&self, since: &str) -> Option<EventTime> {
        match self.line(since, None) {
            Ok(Line::Time(at, _)) => Some(at),
            _ => None,
        }
    }

    /// Answers "new errors since version X", or since a marker; then only what is new is told.
    pub fn new_since(&self, query: &NewQuery) -> Result<NewSince, NewSinceError> {
        self.new_since_after(query, None)
    }

    /// Answers the same, with what history says came after the marker's time: then what is worse or gone is told too.
    pub fn new_since_after(
        &self,
        query: &NewQuery,
        after: Option<&After>,
    ) -> Result<NewSince, NewSinceError> {
        let line = self.line(&query.since, after)?;
        if let Some(until) = &query.until {
            self.known_version(until)?;
        }
        if let Some(group) = query.group.as_deref().filter(|it| *it != "*") {
            self.known_group(group)?;
        }
        let (versions, baseline) = self.sides(&line, query);
        let mut answer = self.frame(query, &versions, &baseline);
        if let Line::Time(_, Some(after)) = &line {
            self.measure(&mut answer, query, after);
        }
        for (id, signature) in self.catalogue.iter() {
            let other = query
                .channel
                .as_deref()
                .is_some_and(|it| it != signature.def.channel);
            if !other {
                self.place(&mut answer, query, &line, (*id, signature));
            }
        }
        for list in [&mut answer.new, &mut answer.renamed] {
            list.sort_by(|a, b| b.events.cmp(&a.events).then_with(|| a.id.cmp(&b.id)));
        }
        // What goes on in other words is not gone.
        let gone_on: Vec<_> = answer.renamed.iter().map(|it| it.renamed_from).collect();
        answer.gone.retain(|it| !gone_on.contains(&Some(it.id)));
        answer.worse.sort_by(|a, b| {
            let (x, y) = (a.ratio.unwrap_or(0.0), b.ratio.unwrap_or(0.0));
            y.total_cmp(&x).then_with(|| a.id.cmp(&b.id))
        });
        answer
            .gone
            .sort_by(|a, b| b.events.cmp(&a.events).then_with(|| a.id.cmp(&b.id)));
        Ok(answer)
    }

    fn line<'a>(&self, since: &str, after: Option<&'a After>) -> Result<Line<'a>, NewSinceError> {
        if self.releases.versions.contains(&Name::from(since)) {
            return Ok(Line::Version(since.to_owned()));
        }
        if let Some(marker) = self.releases.markers.get(&since.to_owned()) {
            return Ok(Line::Time(marker.at, after));
        }
        self.known_version(since)?;
        Ok(Line::Version(since.to_owned()))
    }

    fn known_version(&self, version: &str) -> Result<(), NewSinceError> {
        if self.releases.versions.contains(&Name::from(version)) {
            return Ok(());
        }
        let mut known: Vec<&Name> = self
            .releases
            .versions
            .iter()
            .map(|(name, _)| name)
            .filter(|it| !it.is_empty())
            .collect();
        known.sort_by(|a, b| self.releases.order(b, a));
        let names: Vec<&str> = known.iter().take(8).map(|it| it.as_str()).collect();
        Err(NewSinceError::Unknown {
            asked: version.to_owned(),
            known: if names.is_empty() {
                "none yet".to_owned()
            } else {
                names.join(", ")
            },
        })
    }

    fn known_group(&self, group: &str) -> Result<(), NewSinceError> {
        if self.releases.groups.contains(&Name::from(group)) {
            return Ok(());
        }
        let known: Vec<&str> = self
            .releases
            .groups
            .iter()
            .map(|(name, _)| name.as_str())
            .filter(|it| !it.is_empty())
            .collect();
        Err(NewSinceError::UnknownGroup {
            asked: group.to_owned(),
            known: known.join(", "),
        })
    }

    /// Returns the versions of the new side and of the baseline, in the order of their deployment.
    fn sides(&self, line: &Line<'_>, query: &NewQuery) -> (Vec<Name>, Vec<Name>) {
        let mut all: Vec<&Name> = self
            .releases
            .versions
            .iter()
            .map(|(name, _)| name)
            .filter(|it| !it.is_empty())
            .collect();
        all.sort_by(|a, b| self.releases.order(a, b));
        let Line::Version(since) = line else {
            return (
                all.iter().map(|it| (*it).clone()).collect(),
                all.iter().map(|it| (*it).clone()).collect(),
            );
        };
        let late = |it: &Name| {
            query
                .until
                .as_deref()
                .is_some_and(|until| self.releases.order(it, until).is_gt())
        };
        let (baseline, later): (Vec<&Name>, Vec<&Name>) = all
            .into_iter()
            .partition(|it| self.releases.order(it, since).is_le());
        (
            later.into_iter().filter(|it| !late(it)).cloned().collect(),
            baseline.into_iter().cloned().collect(),
        )
    }

    fn frame(&self, query: &NewQuery, versions: &[Name], baseline: &[Name]) -> NewSince {
        let in_group = |group: &Name| {
            query
                .group
                .as_deref()
                .is_none_or(|it| it == "*" || it == &**group)
        };
        let sum = |side: &[Name]| {
            let releases = self
                .releases
                .table
                .iter()
                .filter(|((version, group), _)| side.contains(version) && in_group(group));
            releases.fold((0, 0.0), |(events, exposure), (_, it)| {
                (events + it.events, exposure + it.exposure)
            })
        };
        let (events_new, exposure_new) = sum(versions);
        let (events_baseline, exposure_baseline) = sum(baseline);
        let names = |side: &[Name]| side.iter().map(ToString::to_string).collect();
        NewSince {
            schema: SCHEMA,
            since: query.since.clone(),
            until: query.until.clone(),
            group: query.group.clone().unwrap_or_else(|| "*".to_owned()),
            versions: names(versions),
            baseline: names(baseline),
            events_new,
            events_baseline,
            exposure_new,
            exposure_baseline,
            exposure_source: self.exposure.state.source.name().to_owned(),
            enough_data: events_new >= RECORDS_MIN && events_baseline >= RECORDS_MIN,
            new: Vec::new(),
            renamed: Vec::new(),
            worse: Vec::new(),
            gone: Vec::new(),
        }
    }

    /// Says how much lies on each side of a time, in records.
    fn measure(&self, answer: &mut NewSince, query: &NewQuery, after: &After) {
        let asked_group = query.group.as_deref().filter(|it| *it != "*");
        let (mut new, mut old) = ((0, Vec::new()), (0, Vec::new()));
        for ((version, group), release) in self.releases.table.iter() {
            if version.is_empty() || asked_group.is_some_and(|it| it != &**group) {
                continue;
            }
            let key = (version.to_string(), group.to_string());
            let n = after.records.get(&key).copied().unwrap_or_default();
            let n = n.min(release.events);
            for (side, n) in [(&mut new, n), (&mut old, release.events - n)] {
                side.0 += n;
                if n > 0 {
                    side.1.push(version.to_string());
                }
            }
        }
        answer.versions.retain(|it| new.1.contains(it));
        answer.baseline.retain(|it| old.1.contains(it));
        (answer.events_new, answer.events_baseline) = (new.0, old.0);
        (answer.exposure_new, answer.exposure_baseline) = (as_f64(new.0), as_f64(old.0));
        "records".clone_into(&mut answer.exposure_source);
        answer.enough_data = new.0 >= RECORDS_MIN && old.0 >= RECORDS_MIN;
    }

    /// Puts one signature into the list where it belongs, if into any.
    fn place(
        &self,
        answer: &mut NewSince,
        query: &NewQuery,
        line: &Line<'_>,
        (id, signature): (SignatureId, &Signature),
    ) {
        let asked_group = query.group.as_deref().filter(|it| *it != "*");
        let mut new = Side::default();
        let mut old = Side::default();
        let mut old_anywhere: Option<EventTime> = None;
        for cell in &signature.cells {
            if cell.version.is_empty() {
                continue;
            }
            let parts = match line {
                Line::Version(since) => {
                    Parts::whole(cell, self.releases.order(&cell.version, since).is_gt())
                }
                Line::Time(at, after) => Parts::at(id, cell, *at, *after),
            };
            let past_until = query
                .until
                .as_deref()
                .is_some_and(|until| self.releases.order(&cell.version, until).is_gt());
            if parts.old.is_some() {
                old_anywhere = Some(old_anywhere.map_or(cell.first, |it| it.min(cell.first)));
            }
            if past_until || asked_group.is_some_and(|it| it != &*cell.group) {
                continue;
            }
            for (side, part) in [(&mut new, parts.new), (&mut old, parts.old)] {
                if let Some(part) = part {
                    side.add(cell, part);
                }
            }
        }
        let Some(first) = new.first else {
            place_gone(answer, line, (id, signature), &old);
            return;
        };
        // A release of the baseline that had it only later (after a way back) does not make it old.
        if old_anywhere.is_none_or(|it| it > first) {
            let list = match self.renamed_from(signature) {
                Some(from) if self.was_before(from.id, line) => {
                    let mut renamed = entry(id, signature, &new);
                    renamed.renamed_from = Some(from.id);
                    renamed.renamed_from_template = Some(from.template);
                    answer.renamed.push(renamed);
                    return;
                }
                _ => &mut answer.new,
            };
            if new.events >= query.count_min {
                list.push(entry(id, signature, &new));
            }
            return;
        }
        if line.is_measured() {
            place_worse(answer, (id, signature), &new, &old);
        }
    }
}

impl World {
    /// Tells whether a signature was seen on the baseline's side.
    fn was_before(&self, id: SignatureId, line: &Line<'_>) -> bool {
        self.catalogue.get(id).is_some_and(|it| {
            it.cells.iter().any(|cell| match line {
                Line::Version(since) => self.releases.order(&cell.version, since).is_le(),
                Line::Time(at, _) => cell.first < *at,
            })
        })
    }
}

fn place_gone(
    answer: &mut NewSince,
    line: &Line<'_>,
    (id, signature): (SignatureId, &Signature),
    old: &Side,
) {
    if !line.is_measured() || answer.exposure_baseline <= 0.0 {
        return;
    }
    let expected = as_f64(old.events) / answer.exposure_baseline * answer.exposure_new;
    if expected >= GONE_EXPECTED_MIN {
        answer.gone.push(entry(id, signature, old));
    }
}

fn place_worse(
    answer: &mut NewSince,
    (id, signature): (SignatureId, &Signature),
    new: &Side,
    old: &Side,
) {
    if new.events < WORSE_EVENTS_MIN
        || answer.exposure_new <= 0.0
        || answer.exposure_baseline <= 0.0
    {
        return;
    }
    let (x, y) = (as_f64(new.events), as_f64(old.events) + 0.5);
    let ratio = x / answer.exposure_new / (y / answer.exposure_baseline);
    // Log-normal interval of a ratio of two counts, each scattered twice as much as Poisson counts.
    let half_width = 1.645 * (2.0 / x + 2.0 / y).sqrt();
    let (low, high) = (ratio * (-half_width).exp(), ratio * half_width.exp());
    if low >= WORSE_RATIO_LOW {
        answer.worse.push(NewEntry {
            ratio: Some(ratio),
            ratio_low: Some(low),
            ratio_high: Some(high),
            ..entry(id, signature, new)
        });
    }
}

fn entry(id: SignatureId, signature: &Signature, side: &Side) -> NewEntry {
    NewEntry {
        id,
        channel: signature.def.channel.clone(),
        level: signature.def.level,
        template: signature.def.template.clone(),
        version: side
            .version
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        groups: side.groups.iter().map(ToString::to_string).collect(),
        first_seen: side.first.unwrap_or(signature.first),
        last_seen: side.last.unwrap_or(signature.last),
        events: side.events,
        hosts: signature.hosts.distinct(),
        renamed_from: None,
        renamed_from_template: None,
        ratio: None,
        ratio_low: None,
        ratio_high: None,
    }
}
