//! Kind `bad_host`: nearly all events of a new or rising signature come from one host, while others run the same version clean.
//!
//! It takes the place of the alert that would blame the code. Invariant: no host is blamed while fewer
//! than a stated number of other hosts are known to run the same version without the error.

use super::World;
use super::catalogue::Signature;
use super::channels::as_f64;
use super::lifecycle::Condition;
use super::name::Name;
use super::words;
use crate::model::{
    AlertId, AlertKey, AlertKind, EventTime, Evidence, LevelClass, Severity, SignatureId,
};

/// Seconds within which a host counts as running a version.
const RUNNING_SECONDS: i64 = 900;

/// A host that has nearly all of a signature's recent events.
struct Suspect {
    host: Name,
    version: Name,
    events: u64,
    share: f64,
    /// Hosts that run the version without the error, and hosts that run it.
    clean: usize,
    running: usize,
}

impl World {
    /// Blames a host for a signature if it has nearly all of its events; returns whether a host is blamed.
    pub(super) fn blame_host(&mut self, id: SignatureId, at: EventTime) -> bool {
        let Some(signature) = self.catalogue.get(id) else {
            return false;
        };
        let Some(suspect) = self.suspect(signature, at) else {
            return false;
        };
        let condition = self.host_condition(id, signature, &suspect, at);
        self.raise(at, condition);
        let absorbed: Vec<AlertId> = self
            .book
            .about(id)
            .into_iter()
            .filter(|it| it.key.kind != AlertKind::BadHost)
            .map(|it| it.id.clone())
            .collect();
        for alert in absorbed {
            self.book.resolve(&alert, at);
        }
        true
    }

    /// Looks whether a host is to blame for what already fires.
    pub(super) fn look_for_bad_hosts(&mut self, touched: &[(SignatureId, u64)], at: EventTime) {
        for &(id, _) in touched {
            let blamable = self.book.about(id).into_iter().any(|it| {
                matches!(
                    it.key.kind,
                    AlertKind::New | AlertKind::Spike | AlertKind::Regressed | AlertKind::BadHost
                )
            });
            if blamable {
                self.blame_host(id, at);
            }
        }
    }

    fn suspect(&self, signature: &Signature, at: EventTime) -> Option<Suspect> {
        let detect = &self.rules.detect;
        let (host, events, share, buckets) = signature.recent.main()?;
        if events < detect.bad_host_events_min || share < detect.bad_host_share || buckets < 2 {
            return None;
        }
        if host.is_empty() || &*host == super::name::OTHER {
            return None;
        }
        let version = signature
            .cells
            .iter()
            .max_by(|a, b| (a.last, &a.version).cmp(&(b.last, &b.version)))
            .map(|it| it.version.clone())?;
        let since = at.plus_seconds(-RUNNING_SECONDS);
        let mut running = 0;
        let mut clean = 0;
        for other in self.hosts.running(&version, since) {
            running += 1;
            if other != &host && !signature.recent.has(other) {
                clean += 1;
            }
        }
        (clean >= detect.bad_host_clean_min).then_some(Suspect {
            host,
            version,
            events,
            share,
            clean,
            running,
        })
    }

    fn host_condition(
        &self,
        id: SignatureId,
        signature: &Signature,
        suspect: &Suspect,
        at: EventTime,
    ) -> Condition {
        let Suspect {
            host,
            version,
            events,
            share,
            clean,
            running,
        } = suspect;
        let key = AlertKey {
            kind: AlertKind::BadHost,
            service: signature.service.to_string(),
            group: signature.recent_group(version, at).to_string(),
            version: version.to_string(),
            channel: signature.def.channel.clone(),
            signature: Some(id),
            host: Some(host.to_string()),
        };
        let severity = match signature.class() {
            LevelClass::Error => Severity::Warning,
            _ => Severity::Info,
        };
        let minute = super::channels::minute_before(at);
        let rate = as_f64(signature.minutes.sum(minute, 5)) / 5.0;
        Condition {
            severity,
            started_at: signature.onset(at),
            last_at: signature.last,
            resolve_after: self.rules.detect.resolve_after_seconds,
            template: signature.def.template.clone(),
            summary: words::summary(&format!(
                "{} of these errors come from {host}, 1 of {running} hosts on {version}; {clean} others run it clean: the host, not the code: {}",
                words::percent(*share),
                signature.def.template
            )),
            description: format!(
                "{} of the {} events of the last minutes are from host {host}; {clean} of the {running} hosts that run {version} \
                 have none of them. That points to the host (a broken sync, disk or cache), not to the release: \
                 take {host} out and repair it, and leave the release as it is.",
                words::percent(*share),
                words::count(*events),
            ),
            evidence: Evidence {
                count: signature.events,
                rate_per_min: Some(rate),
                hosts: signature.hosts.distinct(),
                top_host_share: Some(*share),
                ..Evidence::default()
            },
            withheld: self.planned(&key, &signature.def.template, rate),
            key,
        }
    }
}
