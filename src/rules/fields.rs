//! Which part of a record feeds which field of an event.

use serde::Deserialize;

/// Dotted JSON paths, tried in order; the first that holds a text or number wins.
pub type FieldPaths = Vec<String>;

/// The field map. A path that is not given falls back to the dialect's own.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FieldRules {
    /// Time of the event.
    pub time: FieldPaths,
    /// Channel.
    pub channel: FieldPaths,
    /// Level.
    pub level: FieldPaths,
    /// Version of the code.
    pub version: FieldPaths,
    /// Group, where the record itself names it.
    pub group: FieldPaths,
    /// Service.
    pub service: FieldPaths,
    /// Host.
    pub host: FieldPaths,
    /// Message.
    pub message: FieldPaths,
    /// Template that the application gives.
    pub normalized: FieldPaths,
    /// Request id.
    pub request_id: FieldPaths,
    /// URL.
    pub url: FieldPaths,
    /// Further context fields to capture, for `[[join]]` and `[[mix]]`.
    pub context: Vec<String>,
    /// Captured fields that are counted by value and shown, such as `wiki`.
    pub facets: Vec<String>,
    /// The captured field that `[[group]]` looks up.
    pub group_by: String,
    /// Service of records that name none.
    pub service_default: String,
    /// Time zone of times that name none: an offset such as `+02:00`, or an IANA name.
    pub zone: String,
    /// Line shapes of the dialect `plain`, tried in order.
    pub plain: Vec<PlainPattern>,
}

/// A regular expression with named groups (`time`, `channel`, `level`, `version`, `host`, `message` …) for one line shape.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlainPattern {
    /// The expression.
    pub pattern: String,
}

/// A captured field: its place in the list, by which events refer to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CapturedField(pub u16);

impl Default for FieldRules {
    fn default() -> Self {
        Self {
            time: Vec::new(),
            channel: Vec::new(),
            level: Vec::new(),
            version: Vec::new(),
            group: Vec::new(),
            service: Vec::new(),
            host: Vec::new(),
            message: Vec::new(),
            normalized: Vec::new(),
            request_id: Vec::new(),
            url: Vec::new(),
            context: Vec::new(),
            facets: vec!["wiki".to_owned()],
            group_by: "wiki".to_owned(),
            service_default: "mediawiki".to_owned(),
            zone: "UTC".to_owned(),
            plain: Vec::new(),
        }
    }
}

impl FieldRules {
    /// Lists every captured field once: the facets first, then the rest of `context`, then `group_by`.
    pub fn captured_names(&self) -> impl Iterator<Item = &str> {
        let names = self
            .facets
            .iter()
            .chain(&self.context)
            .chain(std::iter::once(&self.group_by));
        let mut seen: Vec<&str> = Vec::new();
        for name in names {
            if !seen.contains(&name.as_str()) {
                seen.push(name);
            }
        }
        seen.into_iter()
    }

    /// Returns the place of a captured field.
    pub fn captured(&self, name: &str) -> Option<CapturedField> {
        let place = self.captured_names().position(|it| it == name)?;
        u16::try_from(place).ok().map(CapturedField)
    }
}
