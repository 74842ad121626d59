//! The rows of the error list as they travel: the view's summary with its sparkline packed.

use serde::Serialize;
use utoipa::ToSchema;

use super::schema;
use crate::detect::view::{
    FacetView, HostsView, MergeView, ReleaseCount, RenamedFrom, SampleView, SignatureDetail,
    SignatureState, SignatureSummary,
};
use crate::model::{Alert, EventTime, Level, SignatureId};

/// One row of the error list.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(super) struct SignatureRow<'a> {
    /// Id, 32 hex digits, the same for ever.
    #[schema(value_type = String, example = "5f0c1d2e3b4a59687786950a1b2c3d4e")]
    id: SignatureId,
    /// Logger channel.
    channel: &'a str,
    /// Level.
    #[schema(value_type = schema::Level)]
    level: Level,
    /// Service.
    service: &'a str,
    /// Message text with the variable parts masked.
    template: &'a str,
    /// Exception class, if any.
    exception: Option<&'a str>,
    /// What to think of it now.
    #[schema(value_type = schema::SignatureState)]
    state: SignatureState,
    /// "Needs attention" score.
    score: f64,
    /// Events in the range asked for.
    count: u64,
    /// Events in all.
    total: u64,
    /// Events per minute over the last 5 minutes.
    rate_per_min: f64,
    /// Expected events per minute; null where there is no baseline yet.
    expected_per_min: Option<f64>,
    /// Events per minute for the last 60 minutes, oldest first: base64 of one byte each, 255 = `spark_max`.
    spark: String,
    /// The largest minute of the sparkline.
    spark_max: u32,
    /// First event.
    #[schema(value_type = String, format = DateTime)]
    first_seen: EventTime,
    /// Version of the first event.
    first_version: &'a str,
    /// Last event.
    #[schema(value_type = String, format = DateTime)]
    last_seen: EventTime,
    /// Versions on which it was seen, newest first.
    versions: &'a [String],
    /// Number of distinct hosts.
    hosts: u64,
    /// The host's name where one has at least 90 % of the events.
    main_host: Option<&'a str>,
    /// Who looks after it, by the rules.
    owner: Option<&'a str>,
    /// Link to its ticket, by the rules.
    ticket: Option<&'a str>,
    /// Why the rules call it noise, if they do.
    noise: Option<&'a str>,
}

impl<'a> From<&'a SignatureSummary> for SignatureRow<'a> {
    fn from(it: &'a SignatureSummary) -> Self {
        let (spark, spark_max) = pack(&it.spark);
        Self {
            id: it.id,
            channel: &it.channel,
            level: it.level,
            service: &it.service,
            template: &it.template,
            exception: it.exception.as_deref(),
            state: it.state,
            score: it.score,
            count: it.count,
            total: it.total,
            rate_per_min: it.rate_per_min,
            expected_per_min: it.expected_per_min,
            spark,
            spark_max,
            first_seen: it.first_seen,
            first_version: &it.first_version,
            last_seen: it.last_seen,
            versions: &it.versions,
            hosts: it.hosts,
            main_host: it.main_host.as_deref(),
            owner: it.owner.as_deref(),
            ticket: it.ticket.as_deref(),
            noise: it.noise.as_deref(),
        }
    }
}

/// The page of one signature.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(super) struct SignaturePageBody<'a> {
    /// The id that was asked for, if it became an alias of this signature; null otherwise.
    #[schema(value_type = Option<String>)]
    alias: Option<SignatureId>,
    /// The signature that it is a new wording of, or was before its file moved; null if it is none.
    #[schema(value_type = Option<schema::RenamedFrom>)]
    renamed_from: Option<&'a RenamedFrom>,
    /// Why several texts are this signature; null where nothing was merged.
    #[schema(value_type = Option<schema::Merge>)]
    merge: Option<&'a MergeView>,
    /// The row of the list.
    summary: SignatureRow<'a>,
    /// One sentence with its numbers.
    verdict: &'a str,
    /// Top in-app frame, if any.
    frame: Option<&'a str>,
    /// Context fields joined to its identity, as pairs of name and value.
    #[schema(value_type = Vec<Vec<String>>)]
    joined: &'a [(String, String)],
    /// Counts by version and group, newest release first.
    #[schema(value_type = Vec<schema::ReleaseCount>)]
    releases: &'a [ReleaseCount],
    /// Hosts.
    #[schema(value_type = schema::Hosts)]
    hosts: &'a HostsView,
    /// Facets.
    #[schema(value_type = Vec<schema::Facet>)]
    facets: &'a [FacetView],
    /// First example, then the newest ones. Redacted.
    #[schema(value_type = Vec<schema::Sample>)]
    samples: &'a [SampleView],
    /// Alerts about it, newest first.
    #[schema(value_type = Vec<schema::Alert>)]
    alerts: &'a [Alert],
}

impl<'a> From<&'a SignatureDetail> for SignaturePageBody<'a> {
    fn from(it: &'a SignatureDetail) -> Self {
        Self {
            alias: it.alias,
            renamed_from: it.renamed_from.as_ref(),
            merge: it.merge.as_ref(),
            summary: SignatureRow::from(&it.summary),
            verdict: &it.verdict,
            frame: it.frame.as_deref(),
            joined: &it.joined,
            releases: &it.releases,
            hosts: &it.hosts,
            facets: &it.facets,
            samples: &it.samples,
            alerts: &it.alerts,
        }
    }
}

/// Packs a sparkline: 80 characters instead of up to 400 for the numbers; the list has thousands of them.
pub(super) fn pack(spark: &[u32]) -> (String, u32) {
    let max = spark.iter().copied().max().unwrap_or_default();
    let bytes: Vec<u8> = spark.iter().map(|&it| scale(it, max)).collect();
    (base64(&bytes), max)
}

/// Scales to one byte; what is not zero stays visible.
fn scale(value: u32, max: u32) -> u8 {
    if value == 0 || max == 0 {
        return 0;
    }
    let scaled = u64::from(value) * 255 / u64::from(max);
    u8::try_from(scaled.max(1)).unwrap_or(u8::MAX)
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digit = |it: u32| {
        DIGITS
            .get((it & 63) as usize)
            .map_or('A', |&it| char::from(it))
    };
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let at = |idx| u32::from(chunk.get(idx).copied().unwrap_or_default());
        let word = at(0) << 16 | at(1) << 8 | at(2);
        for (idx, shift) in [18, 12, 6, 0].into_iter().enumerate() {
            out.push(if idx <= chunk.len() {
                digit(word >> shift)
            } else {
                '='
            });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_agrees_with_rfc_4648() {
        for (plain, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(plain.as_bytes()), text);
        }
    }

    #[test]
    fn a_single_event_stays_visible_beside_a_flood() {
        assert_eq!(scale(1, 1_000_000), 1);
        assert_eq!(scale(0, 1_000_000), 0);
        assert_eq!(scale(u32::MAX, u32::MAX), 255);
    }
}
