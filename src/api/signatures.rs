//! The error list, one signature and its counts over time.
#![expect(
    unused_qualifications,
    reason = "the OpenAPI macro qualifies parameter types"
)]

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::error::{ApiError, ErrorBody};
use super::extract::{Params, Part, choice, time};
use super::row::{SignaturePageBody, SignatureRow};
use super::schema;
use super::state::{ApiState, HistoryBy, HistoryFilter, ReadView, SignatureFilter, SignaturePage};
use crate::detect::view::SignatureSummary;
use crate::model::{EventTime, SignatureId};

/// Range of `count` where the question names none: the last hour, as in the sparkline.
pub(super) const DEFAULT_RANGE_SECONDS: i64 = 3_600;

/// Rows of one answer.
const LIMIT_MAX: usize = 500;

/// Rows that can be reached by cursor, and sorted by anything but the score.
const REACH_MAX: usize = 20_000;

/// Points of one history.
const POINTS_MAX: i64 = 10_000;

/// Fewest hex digits of an id that are looked up.
const PREFIX_MIN: usize = 8;

/// Longest search text in bytes.
const TEXT_MAX: usize = 256;

/// Which signatures to list.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct ListParams {
    /// Start of the range in which `count` is taken: RFC 3339 or seconds since 1970. Default: an hour before its end.
    from: Option<String>,
    /// End of that range. Default: now, by the records.
    to: Option<String>,
    /// Only this channel.
    channel: Option<String>,
    /// Only signatures seen on this version.
    version: Option<String>,
    /// Only signatures seen in this group.
    group: Option<String>,
    /// Only this service.
    service: Option<String>,
    /// Only what this person or team looks after, by `[[known]]` in the rules.
    owner: Option<String>,
    /// Only this level and above, such as `ERROR`.
    level: Option<String>,
    /// Only these states, separated by commas: `new`, `spike`, `regressed`, `resurfaced`, `known`, `quiet`, `muted`.
    state: Option<String>,
    /// Only signatures whose template, channel, exception or id contains this text, in any case.
    q: Option<String>,
    /// Only signatures with at least this many events in the range; others are counted as hidden.
    min_hits: u64,
    /// Order: `score` (default), `count`, `rate`, `first_seen`, `last_seen`, `hosts`, `channel`, `id`. By `id` no row is
    /// missed or repeated while others change.
    sort: Option<String>,
    /// Rows in the answer, at most 500.
    limit: Option<usize>,
    /// Where the previous answer ended.
    cursor: Option<String>,
}

/// The error list.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
struct ListBody<'a> {
    /// `fatalmonitor/signatures/v1`.
    schema: &'static str,
    /// Now, by the records; null before the first one.
    #[schema(value_type = Option<String>, format = DateTime)]
    clock: Option<EventTime>,
    /// Start of the range of `count`.
    #[schema(value_type = Option<String>, format = DateTime)]
    from: Option<EventTime>,
    /// End of the range of `count`.
    #[schema(value_type = Option<String>, format = DateTime)]
    to: Option<EventTime>,
    /// Signatures that match.
    total: u64,
    /// Signatures that match but have fewer than `min_hits` events.
    hidden: u64,
    /// Rows.
    rows: Vec<SignatureRow<'a>>,
    /// Where the next answer starts; null at the end.
    next_cursor: Option<String>,
}

/// Lists signatures, those that need attention first.
#[utoipa::path(
    get,
    path = "/api/v1/signatures",
    params(ListParams),
    responses((status = 200, body = ListBody<'_>), (status = 400, body = ErrorBody)),
)]
pub(super) async fn list(
    State(state): State<ApiState>,
    Params(params): Params<ListParams>,
) -> Result<Response, ApiError> {
    let order = Order::parse(params.sort.as_deref())?;
    let cursor = Cursor::parse(order, params.cursor.as_deref())?;
    let limit = params.limit.unwrap_or(100).clamp(1, LIMIT_MAX);
    let mut filter = params.filter()?;
    filter.limit = match order {
        Order::Score => cursor.offset + limit + 1,
        _ => REACH_MAX,
    };
    let (clock, from, to, page) = state
        .ask(move |view| {
            let clock = view.clock();
            filter.to = filter.to.or(clock);
            filter.from = filter
                .from
                .or(filter.to.map(|it| it.plus_seconds(-DEFAULT_RANGE_SECONDS)));
            let mut page = view.signatures(&filter);
            order.sort(&mut page.rows);
            (clock, filter.from, filter.to, page)
        })
        .await?;
    let SignaturePage {
        rows,
        total,
        hidden,
    } = page;
    let skipped = match cursor.after {
        Some(after) => rows.partition_point(|it| it.id <= after),
        None => cursor.offset,
    };
    let end = skipped + limit;
    let next_cursor = match rows.get(end.saturating_sub(1)) {
        Some(last) if rows.len() > end && order == Order::Id => Some(last.id.to_string()),
        Some(_) if rows.len() > end && end < REACH_MAX => Some(end.to_string()),
        _ => None,
    };
    let body = ListBody {
        schema: "fatalmonitor/signatures/v1",
        clock,
        from,
        to,
        total,
        hidden,
        rows: rows
            .iter()
            .skip(skipped)
            .take(limit)
            .map(SignatureRow::from)
            .collect(),
        next_cursor,
    };
    Ok(Json(body).into_response())
}

impl ListParams {
    /// Makes the filter, or names the parameter that is wrong.
    pub(super) fn filter(self) -> Result<SignatureFilter, ApiError> {
        let from = time("from", self.from.as_deref())?;
        let to = time("to", self.to.as_deref())?;
        if let (Some(from), Some(to)) = (from, to)
            && from >= to
        {
            return Err(ApiError::bad_request("from is not before to", ""));
        }
        let mut states = Vec::new();
        for name in self.state.iter().flat_map(|it| it.split(',')) {
            let known = "new, spike, regressed, resurfaced, known, quiet, muted";
            states.extend(schema::SignatureState::parse(name, known)?);
        }
        let known = "DEBUG, INFO, NOTICE, WARNING, ERROR, CRITICAL, ALERT, EMERGENCY";
        let level = self.level.map(|it| it.to_ascii_uppercase());
        if self.q.as_ref().is_some_and(|it| it.len() > TEXT_MAX) {
            return Err(ApiError::bad_request("q is too long", "at most 256 bytes"));
        }
        let given = |it: Option<String>| it.filter(|it| !it.is_empty());
        Ok(SignatureFilter {
            from,
            to,
            channel: given(self.channel),
            version: given(self.version),
            group: given(self.group),
            service: given(self.service),
            owner: given(self.owner),
            level: choice("level", level.as_deref(), known)?,
            states,
            text: given(self.q),
            min_hits: self.min_hits,
            limit: LIMIT_MAX,
        })
    }
}

/// Orders of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Score,
    Count,
    Rate,
    FirstSeen,
    LastSeen,
    Hosts,
    Channel,
    Id,
}

impl Order {
    fn parse(text: Option<&str>) -> Result<Self, ApiError> {
        Ok(match text.unwrap_or_default() {
            "" | "score" => Self::Score,
            "count" => Self::Count,
            "rate" => Self::Rate,
            "first_seen" => Self::FirstSeen,
            "last_seen" => Self::LastSeen,
            "hosts" => Self::Hosts,
            "channel" => Self::Channel,
            "id" => Self::Id,
            other => {
                return Err(ApiError::bad_request(
                    format!("sort is unknown: {other:?}"),
                    "one of score, count, rate, first_seen, last_seen, hosts, channel, id",
                ));
            }
        })
    }

    /// Sorts rows that come by score; the sort is stable, so the score decides between equals.
    fn sort(self, rows: &mut [SignatureSummary]) {
        match self {
            Self::Score => {}
            Self::Count => rows.sort_by_key(|it| std::cmp::Reverse(it.count)),
            Self::Rate => rows.sort_by(|a, b| b.rate_per_min.total_cmp(&a.rate_per_min)),
            Self::FirstSeen => rows.sort_by_key(|it| std::cmp::Reverse(it.first_seen)),
            Self::LastSeen => rows.sort_by_key(|it| std::cmp::Reverse(it.last_seen)),
            Self::Hosts => rows.sort_by_key(|it| std::cmp::Reverse(it.hosts)),
            Self::Channel => rows.sort_by(|a, b| a.channel.cmp(&b.channel)),
            Self::Id => rows.sort_by_key(|it| it.id),
        }
    }
}

/// Where an answer starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Cursor {
    /// Rows before it.
    offset: usize,
    /// In the order of ids: the last id before it.
    after: Option<SignatureId>,
}

impl Cursor {
    fn parse(order: Order, text: Option<&str>) -> Result<Self, ApiError> {
        let Some(text) = text.filter(|it| !it.is_empty()) else {
            return Ok(Self::default());
        };
        let offset = text.parse().ok().filter(|&it| it <= REACH_MAX);
        let cursor = match order {
            Order::Id => text.parse().ok().map(|it| Self {
                after: Some(it),
                ..Self::default()
            }),
            _ => offset.map(|offset| Self {
                offset,
                ..Self::default()
            }),
        };
        cursor.ok_or_else(|| {
            let hint = "pass next_cursor of the answer before";
            ApiError::bad_request(format!("cursor is none of ours: {text:?}"), hint)
        })
    }
}

/// Finds the one signature that an id or a prefix of it names.
pub(super) async fn resolve(state: &ApiState, text: &str) -> Result<SignatureId, ApiError> {
    let lower = text.to_ascii_lowercase();
    if let Ok(id) = lower.parse() {
        return Ok(id);
    }
    let is_prefix =
        (PREFIX_MIN..32).contains(&lower.len()) && lower.bytes().all(|it| it.is_ascii_hexdigit());
    if !is_prefix {
        return Err(ApiError::bad_request(
            format!("{text:?} is no signature id"),
            "give 32 hex digits, or a unique prefix of at least 8",
        ));
    }
    let found = state.ask(move |view| view.find_prefix(&lower)).await?;
    match found.as_slice() {
        [id] => Ok(*id),
        [] => Err(gone(text)),
        several => {
            let ids: Vec<String> = several.iter().map(ToString::to_string).collect();
            Err(ApiError::new(
                axum::http::StatusCode::CONFLICT,
                format!("{text} is the start of several ids"),
                format!("one of {}", ids.join(", ")),
            ))
        }
    }
}

fn gone(id: &str) -> ApiError {
    ApiError::not_found(
        format!("no signature {id}"),
        "it was never seen, or it is older than what is kept",
    )
}

/// Shows one signature.
#[utoipa::path(
    get,
    path = "/api/v1/signatures/{id}",
    params(("id" = String, Path, description = "Id, or a unique prefix of at least 8 hex digits")),
    responses(
        (status = 200, body = SignaturePageBody<'_>),
        (status = 404, body = ErrorBody),
        (status = 409, body = ErrorBody, description = "Several ids start so"),
    ),
)]
pub(super) async fn detail(
    State(state): State<ApiState>,
    Part(text): Part<String>,
) -> Result<Response, ApiError> {
    let id = resolve(&state, &text).await?;
    let detail = state
        .ask(move |view| view.signature(id))
        .await?
        .ok_or_else(|| gone(&text))?;
    Ok(Json(SignaturePageBody::from(&detail)).into_response())
}

/// Which counts over time.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct HistoryParams {
    /// Start. Default: 24 hours before the end.
    from: Option<String>,
    /// End, exclusive. Default: now, by the records.
    to: Option<String>,
    /// Bucket length in seconds: 10, 60 or 3600. Default: the smallest that gives at most 1,500 points.
    step: Option<i64>,
    /// `version`, `group`; default: one series.
    by: Option<String>,
}

/// Shows the counts of one signature over time.
#[utoipa::path(
    get,
    path = "/api/v1/signatures/{id}/history",
    params(("id" = String, Path, description = "Id, or a unique prefix of at least 8 hex digits"), HistoryParams),
    responses((status = 200, body = schema::History), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody)),
)]
pub(super) async fn history(
    State(state): State<ApiState>,
    Part(text): Part<String>,
    Params(params): Params<HistoryParams>,
) -> Result<Response, ApiError> {
    let id = resolve(&state, &text).await?;
    let by = match params.by.as_deref().unwrap_or_default() {
        "" | "total" => HistoryBy::Total,
        "version" => HistoryBy::Version,
        "group" => HistoryBy::Group,
        other => {
            return Err(ApiError::bad_request(
                format!("by is unknown: {other:?}"),
                "one of total, version, group",
            ));
        }
    };
    let from = time("from", params.from.as_deref())?;
    let to = time("to", params.to.as_deref())?;
    let clock = state.ask(ReadView::clock).await?;
    let to = to
        .or(clock)
        .ok_or_else(|| ApiError::not_found("no record has been read yet", ""))?;
    let from = from.unwrap_or(to.plus_seconds(-86_400));
    let seconds = to.millis_since(from) / 1000;
    if seconds <= 0 {
        return Err(ApiError::bad_request("from is not before to", ""));
    }
    let step_seconds = match params.step {
        None => *[10, 60]
            .iter()
            .find(|&&it| seconds / it <= 1_500)
            .unwrap_or(&3_600),
        Some(step @ (10 | 60 | 3_600)) => step,
        Some(other) => {
            return Err(ApiError::bad_request(
                format!("step is unknown: {other}"),
                "one of 10, 60, 3600",
            ));
        }
    };
    if seconds / step_seconds > POINTS_MAX {
        return Err(ApiError::bad_request(
            format!("{} points are too many", seconds / step_seconds),
            "ask for a shorter range or a larger step",
        ));
    }
    let filter = HistoryFilter {
        id,
        from: from.floor(step_seconds),
        to,
        step_seconds,
        by,
    };
    let history = state.ask(move |view| view.history(&filter)).await??;
    Ok(Json(history).into_response())
}
