//! One pass over a JSON object that picks the values of known paths.
//!
//! It must never fail because of a value that nobody asked for, unless that is not JSON at all. Buffers are
//! reused, so a pass over a record without escapes allocates nothing. Invariant: what [`View::get`] returns is the
//! meaning of the value, escapes resolved.

use super::json::{DEPTH_MAX, JsonError, Kind, Scanner, Span, Value, unescape};
use super::level;
use super::paths::{FIELDS, Field, Leaf, NodeId, PathTree, SlotId};

/// Keys of one object that are compared with each other; past it a repeated unknown key goes unnoticed.
// An event has about twenty keys; comparing more would let one record cost the square of its size.
const KEYS_MAX: usize = 256;

/// Deepest known path that is followed; rules with longer paths find nothing.
const PATH_STEPS_MAX: u32 = 32;

/// Bytes that a buffer may keep from one record to the next.
// Four times the text that is looked at (RELIABILITY.md §3, "oversize"); one giant record must not stay for ever.
pub(super) const BUFFER_MAX: usize = 1 << 20;

/// What a walk found, and the buffers it needs.
#[derive(Debug)]
pub(super) struct Walk {
    slots: Vec<Found>,
    unescaped: String,
    keys: Vec<Key>,
    /// One bit for each of 256 classes of keys seen: most new keys need no comparison.
    classes: [u64; 4],
    key: String,
    /// A key stood twice.
    pub(super) repeated: bool,
    /// A lone surrogate was replaced.
    pub(super) replaced: bool,
}

/// What was found at some moment.
#[derive(Debug, Default)]
pub(super) struct Base(Vec<Found>);

/// A value found for a field.
#[derive(Clone, Copy, Debug)]
struct Found {
    kind: Kind,
    rank: u8,
    span: Span,
    /// The span lies in the unescaped buffer.
    moved: bool,
}

impl Found {
    const NONE: Self = Self {
        kind: Kind::Null,
        rank: u8::MAX,
        span: Span { start: 0, end: 0 },
        moved: false,
    };
}

#[derive(Clone, Copy, Debug)]
struct Key {
    hash: u64,
    span: Span,
}

/// Values found in a text.
#[derive(Clone, Copy, Debug)]
pub(super) struct View<'a> {
    pub(super) text: &'a str,
    walk: &'a Walk,
}

impl<'a> View<'a> {
    pub(super) const fn new(text: &'a str, walk: &'a Walk) -> Self {
        Self { text, walk }
    }

    /// Returns the text of a field; empty if there is none.
    pub(super) fn get(&self, field: Field) -> &'a str {
        self.slot(SlotId::of(field))
    }

    /// Returns the text of a place in the result.
    pub(super) fn slot(&self, slot: SlotId) -> &'a str {
        let Some(found) = self.walk.slots.get(slot.0 as usize) else {
            return "";
        };
        let within = if found.moved {
            &self.walk.unescaped
        } else {
            self.text
        };
        found.span.of(within)
    }

    /// Returns the text of a field if its value is of this kind.
    pub(super) fn of_kind(&self, field: Field, kind: Kind) -> Option<&'a str> {
        let found = self.walk.slots.get(field as usize)?;
        (found.kind == kind).then(|| found.span.of(self.text))
    }

    /// Returns where the value of a field stands.
    pub(super) fn span(&self, field: Field) -> Option<Span> {
        let found = self.walk.slots.get(field as usize)?;
        (found.kind != Kind::Null).then_some(found.span)
    }

    /// Lists the captured fields that have a value, in the order of the rules.
    pub(super) fn captured(&self) -> impl Iterator<Item = (u16, &'a str)> + use<'a> {
        let view = *self;
        (0..self.walk.slots.len().saturating_sub(FIELDS))
            .map(move |place| {
                let number = u16::try_from(place).unwrap_or(u16::MAX);
                (number, view.slot(SlotId::captured(place)))
            })
            .filter(|(_, text)| !text.is_empty())
    }

    pub(super) const fn repeated(&self) -> bool {
        self.walk.repeated
    }

    pub(super) const fn replaced(&self) -> bool {
        self.walk.replaced
    }
}

impl Walk {
    /// Makes the buffers for so many captured fields.
    pub(super) fn new(n_captured: usize) -> Self {
        Self {
            slots: vec![Found::NONE; FIELDS + n_captured],
            unescaped: String::new(),
            keys: Vec::with_capacity(KEYS_MAX),
            classes: [0; 4],
            key: String::new(),
            repeated: false,
            replaced: false,
        }
    }

    /// Forgets what was found.
    pub(super) fn clear(&mut self) {
        self.slots.fill(Found::NONE);
        self.unescaped.clear();
        self.unescaped.shrink_to(BUFFER_MAX);
        self.keys.clear();
        self.classes = [0; 4];
        self.repeated = false;
        self.replaced = false;
    }

    /// Walks over a text that has to be one object.
    pub(super) fn run(&mut self, text: &str, tree: &PathTree) -> Result<(), JsonError> {
        self.clear();
        let mut scanner = Scanner::new(text);
        self.object(text, &mut scanner, (tree, PathTree::ROOT), 1)?;
        scanner.end()?;
        self.resolve(text);
        Ok(())
    }

    /// Replaces found texts that hold escapes by their meaning.
    pub(super) fn resolve(&mut self, text: &str) {
        for found in &mut self.slots {
            if found.kind != Kind::Escaped || found.moved {
                continue;
            }
            let start = self.unescaped.len();
            self.replaced |= unescape(found.span.of(text), &mut self.unescaped);
            found.moved = true;
            found.span = Span::new(start, self.unescaped.len());
        }
    }

    /// Keeps what was found so far, to come back to it.
    pub(super) fn save(&self, into: &mut Base) {
        into.0.clear();
        into.0.extend_from_slice(&self.slots);
    }

    /// Comes back to what was kept.
    pub(super) fn restore(&mut self, base: &Base) {
        self.clear();
        self.slots.clone_from(&base.0);
    }

    fn object(
        &mut self,
        text: &str,
        scanner: &mut Scanner<'_>,
        (tree, node): (&PathTree, NodeId),
        depth: u32,
    ) -> Result<(), JsonError> {
        scanner.take(b'{')?;
        if scanner.peek() == Some(b'}') {
            return scanner.take(b'}');
        }
        loop {
            let key = scanner.string()?;
            scanner.take(b':')?;
            let name = self.key_name(text, &key);
            let child = tree.find(node, name);
            if depth == 1 {
                self.note_key(text, key.span);
            }
            match child {
                Some(child) => self.known(text, scanner, (tree, child), depth)?,
                None if scanner.peek() == Some(b'"') => {
                    scanner.string()?;
                }
                None => {
                    scanner.value()?;
                }
            }
            if scanner.peek() == Some(b'}') {
                return scanner.take(b'}');
            }
            scanner.take(b',')?;
        }
    }

    /// Returns a key with its escapes resolved.
    fn key_name<'a>(&'a mut self, text: &'a str, key: &Value) -> &'a str {
        let raw = key.span.of(text);
        if key.kind == Kind::Text {
            return raw;
        }
        self.key.clear();
        unescape(raw, &mut self.key);
        &self.key
    }

    fn known(
        &mut self,
        text: &str,
        scanner: &mut Scanner<'_>,
        (tree, node): (&PathTree, NodeId),
        depth: u32,
    ) -> Result<(), JsonError> {
        let descend = tree.has_children(node) && depth < PATH_STEPS_MAX;
        if descend && scanner.peek() == Some(b'{') {
            return self.object(text, scanner, (tree, node), depth + 1);
        }
        let value = match scanner.peek() {
            Some(b'"') => scanner.string()?,
            _ => scanner.value()?,
        };
        for &leaf in tree.leaves(node) {
            self.store(text, leaf, value, depth)?;
        }
        Ok(())
    }

    /// Keeps a value if its path ranks before the one found so far.
    pub(super) fn store(
        &mut self,
        text: &str,
        leaf: Leaf,
        value: Value,
        depth: u32,
    ) -> Result<(), JsonError> {
        let Some(found) = self.slots.get_mut(leaf.slot.0 as usize) else {
            return Ok(());
        };
        if found.rank == leaf.rank {
            self.repeated = true;
        } else if found.rank < leaf.rank {
            return Ok(());
        }
        if accepts(text, leaf.slot, value) {
            if value.depth.saturating_add(depth) > DEPTH_MAX && !leaf.slot.is(Field::Otlp) {
                return Err(JsonError::Depth);
            }
            *found = Found {
                kind: value.kind,
                rank: leaf.rank,
                span: value.span,
                moved: false,
            };
        } else if found.rank == leaf.rank {
            *found = Found::NONE;
        }
        Ok(())
    }

    /// Notes whether a key of the record stood there before.
    #[inline]
    fn note_key(&mut self, text: &str, span: Span) {
        let key = span.of(text);
        let hash = key_hash(key);
        // The multiplier is 2^64 divided by the golden ratio (Fibonacci hashing).
        let class = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56;
        let (word, bit) = ((class >> 6) as usize, 1u64 << (class & 63));
        let Some(word) = self.classes.get_mut(word) else {
            return;
        };
        if *word & bit != 0 {
            self.repeated |= self
                .keys
                .iter()
                .any(|it| it.hash == hash && it.span.of(text) == key);
        }
        *word |= bit;
        if self.keys.len() < KEYS_MAX {
            self.keys.push(Key { hash, span });
        }
    }
}

/// Tells whether a value can feed a field: texts and numbers can; structures only where they are kept as they are.
#[inline]
fn accepts(text: &str, slot: SlotId, value: Value) -> bool {
    let span = value.span.of(text);
    match value.kind {
        Kind::Null => false,
        Kind::Text | Kind::Escaped if span.is_empty() => false,
        Kind::Text | Kind::Number if slot.is(Field::Level) => level::read(span).is_some(),
        Kind::Text | Kind::Escaped | Kind::Number => true,
        Kind::Bool => slot.is_captured(),
        Kind::Object => slot.is(Field::Message),
        Kind::Array => slot.is(Field::Message) || slot.is(Field::Trace) || slot.is(Field::Otlp),
    }
}

/// Hashes length, the first and the last eight bytes; equal hashes are compared byte by byte.
fn key_hash(key: &str) -> u64 {
    let bytes = key.as_bytes();
    let first = bytes
        .first_chunk::<8>()
        .map_or_else(|| short(bytes), |it| u64::from_le_bytes(*it));
    let last = bytes
        .last_chunk::<8>()
        .map_or(0, |it| u64::from_le_bytes(*it));
    (first ^ last.rotate_left(29)).wrapping_add(bytes.len() as u64)
}

fn short(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |sum, it| sum << 8 | u64::from(*it))
}
