//! Shapes of the cardinality doctor's answer.

use utoipa::ToSchema;

/// A position of a signature's text that varies.
#[derive(ToSchema)]
pub(in crate::api) struct Varying {
    /// Signature.
    signature: String,
    /// Its template.
    template: String,
    /// Position among the words of the template, from 1 on.
    position: usize,
    /// What stands there: a mask such as `<num>`, or `<*>` where no mask knows the values.
    kind: String,
    /// Whether it was learned from many texts, and not masked by what it looks like.
    learned: bool,
    /// Example values, redacted, at most 5.
    values: Vec<String>,
    /// The placeholder that the application could write instead.
    placeholder: String,
    /// What to do.
    advice: String,
}

/// How many texts a channel uses to say how many things.
#[derive(ToSchema)]
pub(in crate::api) struct ChannelDoctor {
    /// Channel.
    channel: String,
    /// Events counted in full.
    events: u64,
    /// Distinct texts, estimated from how many of the kept examples differ.
    distinct_texts_estimated: u64,
    /// Distinct texts after masking, of those that are kept one by one.
    fingerprints: u64,
    /// Signatures after merging.
    signatures: u64,
    /// What varies in its signatures with most texts.
    varying: Vec<Varying>,
}

/// What the cardinality doctor says.
#[derive(ToSchema)]
pub(in crate::api) struct Doctor {
    /// `fatalmonitor/doctor/v1`.
    schema: String,
    /// Channels, those with most texts first.
    channels: Vec<ChannelDoctor>,
}
