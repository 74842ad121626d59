//! Which JSON path feeds which field, as a tree that is walked along with the record.
//!
//! It must never decide what a value means. Invariant: of two paths for one field, the earlier in the list
//! has the smaller rank and wins.

use smallvec::SmallVec;

use super::Dialect;
use crate::rules::FieldRules;

/// Fields that a walk looks for. Captured fields follow after the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub(super) enum Field {
    Time,
    Channel,
    Level,
    Version,
    Group,
    Service,
    Host,
    Message,
    Normalized,
    RequestId,
    Url,
    /// Class of the exception.
    Class,
    /// Message of the exception.
    ClassMessage,
    /// File of the exception, with or without line.
    File,
    /// Line, where it stands apart.
    Line,
    /// Stack trace: a text or a list.
    Trace,
    /// The exception as one text.
    Exception,
    /// `deploy_marker`, `exposure`, or what a log shipper calls the input.
    Type,
    /// Program by syslog's word.
    Program,
    /// A whole udp2log line inside a JSON record.
    Line2log,
    /// Longer form of the message (GELF).
    FullMessage,
    /// `resourceLogs` of OTLP.
    Otlp,
    /// `severityNumber` of OTLP.
    SeverityNumber,
}

/// How many fields stand before the captured ones.
pub(super) const FIELDS: usize = Field::SeverityNumber as usize + 1;

/// Place of a value in the result of a walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SlotId(pub(super) u16);

impl SlotId {
    pub(super) const fn of(field: Field) -> Self {
        Self(field as u16)
    }

    pub(super) fn captured(place: usize) -> Self {
        Self(u16::try_from(FIELDS + place).unwrap_or(u16::MAX))
    }

    pub(super) const fn is(self, field: Field) -> bool {
        self.0 == field as u16
    }

    pub(super) const fn is_captured(self) -> bool {
        self.0 as usize >= FIELDS
    }
}

type PathList = &'static [(Field, &'static [&'static str])];

const CONTROL: PathList = &[(Field::Type, &["type"])];

const MEDIAWIKI: PathList = &[
    (
        Field::Time,
        &["@timestamp", "timestamp", "rsyslog.timereported"],
    ),
    (Field::Channel, &["channel"]),
    (Field::Level, &["level", "monolog_level", "severity"]),
    (Field::Version, &["mwversion"]),
    (Field::Host, &["host", "logsource", "rsyslog.hostname"]),
    (Field::Message, &["message"]),
    (Field::Normalized, &["normalized_message"]),
    (Field::RequestId, &["reqId", "uid", "exception_id"]),
    (Field::Url, &["url", "exception_url"]),
    (Field::Class, &["exception.class"]),
    (Field::ClassMessage, &["exception.message"]),
    (Field::File, &["exception.file"]),
    (Field::Line, &["exception.line"]),
    (Field::Trace, &["exception.trace", "exception.backtrace"]),
    (Field::Exception, &["exception"]),
    (Field::Program, &["program"]),
    (Field::Line2log, &["msg"]),
];

/// What stands inside the message of `exception-json` and of a fatal error of HHVM.
const NESTED: PathList = &[
    (Field::Message, &["message"]),
    (Field::Class, &["type", "class", "exception.class"]),
    (Field::ClassMessage, &["exception.message"]),
    (Field::File, &["file", "exception.file"]),
    (Field::Line, &["line"]),
    (Field::Trace, &["backtrace", "trace", "exception.trace"]),
    (Field::RequestId, &["reqId", "id"]),
    (Field::Url, &["url"]),
    (Field::Version, &["mwversion"]),
];

/// What the context at the end of a udp2log line may add.
const CONTEXT: PathList = &[
    (Field::Normalized, &["normalized_message"]),
    (Field::RequestId, &["reqId", "exception_id"]),
    (Field::Url, &["url", "exception_url"]),
    (Field::Class, &["exception.class"]),
    (Field::ClassMessage, &["exception.message"]),
    (Field::File, &["exception.file"]),
    (Field::Trace, &["exception.trace"]),
];

const ECS: PathList = &[
    (Field::Time, &["@timestamp", "event.created"]),
    (
        Field::Channel,
        &["labels.channel", "log.logger", "event.dataset"],
    ),
    (Field::Level, &["log.level"]),
    (Field::Version, &["service.version", "labels.mwversion"]),
    (Field::Group, &["service.environment"]),
    (Field::Service, &["service.name", "service.type"]),
    (Field::Host, &["host.name", "host.hostname"]),
    (Field::Message, &["message"]),
    (Field::Normalized, &["labels.normalized_message"]),
    (
        Field::RequestId,
        &["trace.id", "http.request.id", "transaction.id"],
    ),
    (Field::Url, &["url.full", "url.original", "url.path"]),
    (Field::Class, &["error.type"]),
    (Field::ClassMessage, &["error.message"]),
    (Field::File, &["log.origin.file.name"]),
    (Field::Line, &["log.origin.file.line"]),
    (Field::Trace, &["error.stack_trace"]),
];

const GELF: PathList = &[
    (Field::Time, &["timestamp"]),
    (
        Field::Channel,
        &[
            "_channel",
            "_logger",
            "_logger_name",
            "_loggerName",
            "facility",
        ],
    ),
    (Field::Level, &["level"]),
    (
        Field::Version,
        &["_version", "_service_version", "_mwversion"],
    ),
    (Field::Group, &["_group", "_environment"]),
    (
        Field::Service,
        &["_service", "_service_name", "_application", "_app"],
    ),
    (Field::Host, &["host"]),
    (Field::Message, &["short_message"]),
    (Field::FullMessage, &["full_message"]),
    (Field::RequestId, &["_request_id", "_reqId", "_trace_id"]),
    (Field::Url, &["_url"]),
    (Field::Class, &["_exception_class", "_exception_type"]),
    (Field::ClassMessage, &["_exception_message"]),
    (Field::File, &["_file", "file"]),
    (Field::Line, &["_line", "line"]),
    (Field::Trace, &["_stacktrace", "_exception_stacktrace"]),
];

/// Usual names of loggers that follow no dialect; only tried after all others.
const GENERIC: PathList = &[
    (Field::Time, &["datetime", "time", "ts", "timeMillis"]),
    (Field::Channel, &["logger", "logger_name", "loggerName"]),
    (
        Field::Level,
        &["level_name", "levelname", "lvl", "log.level"],
    ),
    (Field::Service, &["service"]),
    (Field::Host, &["hostname", "HOSTNAME"]),
    (Field::Message, &["msg", "log"]),
    (Field::RequestId, &["request_id", "requestId", "trace_id"]),
    (Field::Class, &["context.exception.class"]),
    (Field::ClassMessage, &["context.exception.message"]),
    (Field::File, &["context.exception.file"]),
    (
        Field::Trace,
        &["context.exception.trace", "stack_trace", "stacktrace"],
    ),
];

/// Fields of one log record of OTLP and, by name, the attributes of record and resource.
const OTLP: PathList = &[
    (
        Field::Channel,
        &["log.channel", "channel", "code.namespace", "logger.name"],
    ),
    (Field::Version, &["service.version"]),
    (
        Field::Group,
        &["deployment.environment.name", "deployment.environment"],
    ),
    (Field::Service, &["service.name"]),
    (
        Field::Host,
        &["host.name", "k8s.node.name", "service.instance.id"],
    ),
    (
        Field::Normalized,
        &["normalized_message", "log.template", "message.template"],
    ),
    (
        Field::RequestId,
        &["request.id", "http.request.id", "reqId"],
    ),
    (Field::Url, &["url.full", "http.url", "url.path"]),
    (Field::Class, &["exception.type"]),
    (Field::ClassMessage, &["exception.message"]),
    (Field::File, &["code.file.path", "code.filepath"]),
    (Field::Line, &["code.line.number", "code.lineno"]),
    (Field::Trace, &["exception.stacktrace"]),
];

/// A tree of keys; node 0 is the record itself.
#[derive(Debug)]
pub(super) struct PathTree {
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
struct Node {
    /// Children, in buckets by a cheap hash of their key; their number is a power of two.
    buckets: Vec<Vec<(Box<str>, NodeId)>>,
    n_children: usize,
    leaves: SmallVec<[Leaf; 2]>,
}

/// A node of the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NodeId(u16);

/// A field that a node feeds, with the place of the path in the field's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Leaf {
    pub(super) slot: SlotId,
    pub(super) rank: u8,
}

impl PathTree {
    /// The record itself.
    pub(super) const ROOT: NodeId = NodeId(0);

    /// Makes the tree for whole records of a dialect.
    pub(super) fn of_records(dialect: Dialect, rules: &FieldRules) -> Self {
        let lists: &[PathList] = match dialect {
            Dialect::Auto => &[CONTROL, MEDIAWIKI, ECS, GELF, GENERIC],
            Dialect::Mediawiki => &[CONTROL, MEDIAWIKI],
            Dialect::Ecs => &[CONTROL, ECS],
            Dialect::Gelf => &[CONTROL, GELF],
            Dialect::OtlpJson | Dialect::Plain => &[CONTROL],
        };
        let mut tree = Self::with(lists, Some(rules));
        if matches!(dialect, Dialect::Auto | Dialect::OtlpJson) {
            tree.add("resourceLogs", SlotId::of(Field::Otlp));
        }
        let prefixes: &[&str] = match dialect {
            Dialect::Auto => &["", "labels.", "_", "context.", "extra."],
            Dialect::Ecs => &["", "labels."],
            Dialect::Gelf => &["_", ""],
            _ => &[""],
        };
        tree.add_captured(rules, prefixes);
        tree
    }

    /// Makes the tree for JSON inside a message.
    pub(super) fn of_nested(rules: &FieldRules) -> Self {
        let mut tree = Self::with(&[NESTED], None);
        tree.add_captured(rules, &[""]);
        tree
    }

    /// Makes the tree for the context of a udp2log line.
    pub(super) fn of_context(rules: &FieldRules) -> Self {
        let mut tree = Self::with(&[CONTEXT], None);
        tree.add_captured(rules, &[""]);
        tree
    }

    /// Makes the tree for the attributes of OTLP.
    pub(super) fn of_attributes(rules: &FieldRules) -> Self {
        let mut tree = Self::with(&[OTLP], Some(rules));
        tree.add_captured(rules, &["", "labels."]);
        tree
    }

    fn with(lists: &[PathList], rules: Option<&FieldRules>) -> Self {
        let mut tree = Self {
            nodes: vec![Node::default()],
        };
        for (field, paths) in rules.into_iter().flat_map(user_paths) {
            for path in paths {
                tree.add(path, SlotId::of(field));
            }
        }
        for (field, paths) in lists.iter().copied().flatten() {
            for path in *paths {
                tree.add(path, SlotId::of(*field));
            }
        }
        tree
    }

    fn add_captured(&mut self, rules: &FieldRules, prefixes: &[&str]) {
        for (place, name) in rules.captured_names().enumerate() {
            for prefix in prefixes {
                self.add(&format!("{prefix}{name}"), SlotId::captured(place));
            }
        }
    }

    /// Adds a dotted path behind those that feed the slot already.
    fn add(&mut self, path: &str, slot: SlotId) {
        let used = self.nodes.iter().flat_map(|it| &it.leaves);
        let rank = used.filter(|it| it.slot == slot).count();
        let mut at = Self::ROOT;
        for key in path.split('.') {
            at = self.child_or_new(at, key);
        }
        let rank = u8::try_from(rank).unwrap_or(u8::MAX);
        if let Some(node) = self.nodes.get_mut(at.0 as usize)
            && !node.leaves.iter().any(|it| it.slot == slot)
        {
            node.leaves.push(Leaf { slot, rank });
        }
    }

    fn child_or_new(&mut self, at: NodeId, key: &str) -> NodeId {
        if let Some(found) = self.child(at, key) {
            return found;
        }
        let new = NodeId(u16::try_from(self.nodes.len()).unwrap_or(u16::MAX));
        self.nodes.push(Node::default());
        if let Some(node) = self.nodes.get_mut(at.0 as usize) {
            node.insert(key, new);
        }
        new
    }

    /// Returns the node below this one that a key leads to; a key with dots may lead several steps down.
    pub(super) fn find(&self, at: NodeId, key: &str) -> Option<NodeId> {
        if let Some(found) = self.child(at, key) {
            return Some(found);
        }
        let (first, rest) = key.split_once('.')?;
        let mut at = self.child(at, first)?;
        for step in rest.split('.') {
            at = self.child(at, step)?;
        }
        Some(at)
    }

    fn child(&self, at: NodeId, key: &str) -> Option<NodeId> {
        self.nodes.get(at.0 as usize)?.child(key)
    }

    /// Tells whether paths go on below this node.
    pub(super) fn has_children(&self, at: NodeId) -> bool {
        self.nodes
            .get(at.0 as usize)
            .is_some_and(|it| it.n_children > 0)
    }

    /// Lists the fields that this node feeds.
    pub(super) fn leaves(&self, at: NodeId) -> &[Leaf] {
        self.nodes.get(at.0 as usize).map_or(&[], |it| &it.leaves)
    }
}

impl Node {
    fn child(&self, key: &str) -> Option<NodeId> {
        let mask = self.buckets.len().checked_sub(1)?;
        let bucket = self.buckets.get(bucket_of(key) & mask)?;
        let found = bucket.iter().find(|(name, _)| **name == *key);
        found.map(|&(_, child)| child)
    }

    fn insert(&mut self, key: &str, child: NodeId) {
        self.n_children += 1;
        let wanted = (self.n_children * 2).next_power_of_two();
        if wanted > self.buckets.len() {
            let old = std::mem::take(&mut self.buckets);
            self.buckets.resize_with(wanted, Vec::new);
            for (key, child) in old.into_iter().flatten() {
                self.place(key, child);
            }
        }
        self.place(key.into(), child);
    }

    fn place(&mut self, key: Box<str>, child: NodeId) {
        let mask = self.buckets.len() - 1;
        if let Some(bucket) = self.buckets.get_mut(bucket_of(&key) & mask) {
            bucket.push((key, child));
        }
    }
}

/// Mixes length, first and last byte: enough to keep the few dozen known keys apart.
fn bucket_of(key: &str) -> usize {
    let bytes = key.as_bytes();
    let first = usize::from(bytes.first().copied().unwrap_or_default());
    let last = usize::from(bytes.last().copied().unwrap_or_default());
    bytes.len() + first * 7 + last * 31
}

fn user_paths(rules: &FieldRules) -> impl Iterator<Item = (Field, &Vec<String>)> {
    [
        (Field::Time, &rules.time),
        (Field::Channel, &rules.channel),
        (Field::Level, &rules.level),
        (Field::Version, &rules.version),
        (Field::Group, &rules.group),
        (Field::Service, &rules.service),
        (Field::Host, &rules.host),
        (Field::Message, &rules.message),
        (Field::Normalized, &rules.normalized),
        (Field::RequestId, &rules.request_id),
        (Field::Url, &rules.url),
    ]
    .into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_and_dotted_keys_lead_to_the_same_node() {
        let tree = PathTree::of_records(Dialect::Ecs, &FieldRules::default());
        let log = tree.find(PathTree::ROOT, "log").unwrap();
        let nested = tree.find(log, "level").unwrap();
        assert_eq!(tree.find(PathTree::ROOT, "log.level"), Some(nested));
        let file = tree
            .find(log, "origin")
            .and_then(|it| tree.find(it, "file.name"));
        assert_eq!(tree.find(PathTree::ROOT, "log.origin.file.name"), file);
        assert!(file.is_some());
    }

    #[test]
    fn a_users_path_comes_before_the_dialects() {
        let rules = FieldRules {
            message: vec!["text".to_owned()],
            ..FieldRules::default()
        };
        let tree = PathTree::of_records(Dialect::Mediawiki, &rules);
        let rank = |key| {
            let node = tree.find(PathTree::ROOT, key).unwrap();
            tree.leaves(node)[0].rank
        };
        assert!(rank("text") < rank("message"));
    }
}
