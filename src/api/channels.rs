//! Channels, and the books: what was read and what became of it.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use std::collections::BTreeMap;

use super::error::ApiError;
use super::schema;
use super::state::{Accounting, ApiState, ReadView};
use crate::detect::view::ChannelView;
use crate::model::{EventTime, Flag, Rejection, Totals};

/// Channels, sorted by name.
#[derive(Serialize, ToSchema)]
struct ChannelsBody {
    /// `fatalmonitor/channels/v1`.
    schema: &'static str,
    /// Now, by the records.
    #[schema(value_type = Option<String>, format = DateTime)]
    clock: Option<EventTime>,
    /// Channels.
    #[schema(value_type = Vec<schema::Channel>)]
    channels: Vec<ChannelView>,
}

/// Lists the channels.
#[utoipa::path(get, path = "/api/v1/channels", responses((status = 200, body = ChannelsBody)))]
pub(super) async fn list(State(state): State<ApiState>) -> Result<Response, ApiError> {
    let (clock, channels) = state.ask(|view| (view.clock(), view.channels())).await?;
    Ok(Json(ChannelsBody {
        schema: "fatalmonitor/channels/v1",
        clock,
        channels,
    })
    .into_response())
}

/// Sums in records. `read = counted + capped + the sum of rejected`.
#[derive(Serialize, ToSchema)]
struct TotalsBody {
    /// Records read.
    read: u64,
    /// Records counted in full.
    counted: u64,
    /// Records past a cap, counted by channel only.
    capped: u64,
    /// Records rejected, by reason.
    rejected: BTreeMap<&'static str, u64>,
    /// Counted records with an oddity, by oddity.
    flags: BTreeMap<&'static str, u64>,
    /// Markers and exposure records; not among `read`.
    control: u64,
    /// Bytes.
    bytes: u64,
    /// Records later than their partition's watermark allows; counted all the same.
    late: u64,
    /// Whether the equation holds.
    conserved: bool,
}

impl From<&Totals> for TotalsBody {
    fn from(it: &Totals) -> Self {
        let rejected = Rejection::ALL.iter().map(|it| it.name()).zip(it.rejected);
        let flags = Flag::ALL.iter().map(|it| it.name()).zip(it.flags);
        Self {
            read: it.read,
            counted: it.counted,
            capped: it.capped,
            rejected: rejected.collect(),
            flags: flags.collect(),
            control: it.control,
            bytes: it.bytes,
            late: it.late,
            conserved: it.read == it.counted + it.capped + it.rejected_sum(),
        }
    }
}

/// Sums of one source partition.
#[derive(Serialize, ToSchema)]
struct PartitionBody {
    /// Name of the source.
    source: String,
    /// Topic or file.
    topic: String,
    /// Partition.
    partition: i32,
    /// Next position to read.
    next: u64,
    /// Sums.
    totals: TotalsBody,
    /// Records that the source no longer had when we came to read them.
    gaps: u64,
    /// Stretches that came twice and were ignored.
    duplicates: u64,
}

/// Sums of one channel and version.
#[derive(Serialize, ToSchema)]
struct ChannelVersionBody {
    /// Channel.
    channel: String,
    /// Version; empty if unknown.
    version: String,
    /// Records counted in full.
    counted: u64,
    /// Records past the cap.
    capped: u64,
    /// Records rejected.
    rejected: u64,
}

/// What was read and what became of it.
#[derive(Serialize, ToSchema)]
struct AccountingBody {
    /// `fatalmonitor/accounting/v1`.
    schema: &'static str,
    /// Sums over everything.
    total: TotalsBody,
    /// Sums by source partition.
    partitions: Vec<PartitionBody>,
    /// Sums by channel and version.
    channels: Vec<ChannelVersionBody>,
}

impl From<Accounting> for AccountingBody {
    fn from(it: Accounting) -> Self {
        let partitions = it.partitions.into_iter().map(|it| PartitionBody {
            totals: TotalsBody::from(&it.totals),
            source: it.source,
            topic: it.topic,
            partition: it.partition,
            next: it.next,
            gaps: it.gaps,
            duplicates: it.duplicates,
        });
        let channels = it.channels.into_iter().map(|it| ChannelVersionBody {
            channel: it.channel,
            version: it.version,
            counted: it.counted,
            capped: it.capped,
            rejected: it.rejected,
        });
        Self {
            schema: "fatalmonitor/accounting/v1",
            total: TotalsBody::from(&it.total),
            partitions: partitions.collect(),
            channels: channels.collect(),
        }
    }
}

/// Shows the books.
#[utoipa::path(get, path = "/api/v1/accounting", responses((status = 200, body = AccountingBody)))]
pub(super) async fn accounting(State(state): State<ApiState>) -> Result<Response, ApiError> {
    let accounting = state.ask(ReadView::accounting).await?;
    Ok(Json(AccountingBody::from(accounting)).into_response())
}
