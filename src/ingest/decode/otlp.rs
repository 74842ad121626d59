//! OpenTelemetry's logs as JSON: one payload, many log records.
//!
//! It must never emit part of a payload that is broken further on; the caller checks that the whole is JSON first.
//! Invariant: a record's own attributes win over its scope's, those over its resource's.

use super::json::{JsonError, Kind, Scanner, Span, Value};
use super::paths::{Field, Leaf, PathTree, SlotId};
use super::walk::{Base, Walk};

/// Rank added to what the resource says, and half of it to what the scope says.
const RESOURCE_RANK: u8 = 128;

/// Where the parts of a payload stand.
#[derive(Debug)]
pub(super) struct Payload<'a> {
    pub(super) text: &'a str,
    pub(super) tree: &'a PathTree,
}

impl Payload<'_> {
    /// Walks over each log record in turn and calls back with the walk; returns how many there were.
    pub(super) fn each(
        &self,
        list: Span,
        walk: &mut Walk,
        [resource_base, scope_base]: &mut [Base; 2],
        emit: &mut dyn FnMut(Result<&Walk, JsonError>),
    ) -> Result<u64, JsonError> {
        let mut total = 0;
        self.items(list, &mut |resource| {
            walk.clear();
            let [about, scopes] = self.members(resource, ["resource", "scopeLogs"])?;
            if let Some(about) = about {
                self.resource(about, walk)?;
            }
            walk.save(resource_base);
            let Some(scopes) = scopes else { return Ok(()) };
            self.items(scopes.span, &mut |scope| {
                walk.restore(resource_base);
                let [about, records] = self.members(scope, ["scope", "logRecords"])?;
                if let Some(about) = about {
                    self.scope(about, walk)?;
                }
                walk.save(scope_base);
                let Some(records) = records else {
                    return Ok(());
                };
                self.items(records.span, &mut |record| {
                    walk.restore(scope_base);
                    let read = self.record(record, walk);
                    walk.resolve(self.text);
                    total += 1;
                    emit(read.map(|()| &*walk));
                    Ok(())
                })
            })
        })?;
        Ok(total)
    }

    fn resource(&self, value: Value, walk: &mut Walk) -> Result<(), JsonError> {
        let [attributes] = self.members(value, ["attributes"])?;
        self.attributes(attributes, RESOURCE_RANK, walk)
    }

    fn scope(&self, value: Value, walk: &mut Walk) -> Result<(), JsonError> {
        let [name, attributes] = self.members(value, ["name", "attributes"])?;
        self.attributes(attributes, RESOURCE_RANK / 2, walk)?;
        // The scope is the logger, unless an attribute names a channel.
        self.keep(Field::Channel, name, u8::MAX - 1, walk)
    }

    fn record(&self, value: Value, walk: &mut Walk) -> Result<(), JsonError> {
        let found = self.members(
            value,
            [
                "timeUnixNano",
                "observedTimeUnixNano",
                "severityText",
                "severityNumber",
                "body",
                "attributes",
                "traceId",
                "eventName",
            ],
        )?;
        let [
            time,
            observed,
            severity,
            number,
            body,
            attributes,
            trace,
            name,
        ] = found;
        self.attributes(attributes, 0, walk)?;
        let known = |it: &Value| !matches!(it.span.of(self.text), "0" | "");
        let time = time.filter(known).or_else(|| observed.filter(known));
        self.keep(Field::Time, time, 0, walk)?;
        self.keep(Field::Level, severity, 0, walk)?;
        self.keep(Field::SeverityNumber, number, 0, walk)?;
        self.keep(Field::RequestId, trace, u8::MAX - 1, walk)?;
        match body {
            Some(body) => {
                let body = self.any_value(body)?;
                self.keep(Field::Message, body, 0, walk)
            }
            None => self.keep(Field::Message, name, 0, walk),
        }
    }

    /// Feeds a list of `{"key", "value"}` into the fields that the names lead to.
    fn attributes(&self, list: Option<Value>, rank: u8, walk: &mut Walk) -> Result<(), JsonError> {
        let Some(list) = list else { return Ok(()) };
        self.items(list.span, &mut |item| {
            let [key, value] = self.members(item, ["key", "value"])?;
            let (Some(key), Some(value)) = (key, value) else {
                return Ok(());
            };
            let Some(node) = self.tree.find(PathTree::ROOT, key.span.of(self.text)) else {
                return Ok(());
            };
            let Some(value) = self.any_value(value)? else {
                return Ok(());
            };
            for &leaf in self.tree.leaves(node) {
                let rank = leaf.rank.saturating_add(rank);
                let kept = walk.store(self.text, Leaf { rank, ..leaf }, value, 1);
                // What is said once for many records may not cost them all.
                if leaf.rank == rank {
                    kept?;
                }
            }
            Ok(())
        })
    }

    fn keep(
        &self,
        field: Field,
        value: Option<Value>,
        rank: u8,
        walk: &mut Walk,
    ) -> Result<(), JsonError> {
        let Some(value) = value else { return Ok(()) };
        let slot = SlotId::of(field);
        walk.store(self.text, Leaf { slot, rank }, value, 1)
    }

    /// Returns what an `AnyValue` holds; lists and maps as they stand.
    fn any_value(&self, value: Value) -> Result<Option<Value>, JsonError> {
        if value.kind != Kind::Object {
            return Ok(Some(value));
        }
        let [text, whole, real, truth, list, map] = self.members(
            value,
            [
                "stringValue",
                "intValue",
                "doubleValue",
                "boolValue",
                "arrayValue",
                "kvlistValue",
            ],
        )?;
        if let Some(map) = map {
            return self.message_of_map(map);
        }
        Ok(text.or(whole).or(real).or(truth).or(list))
    }

    /// Returns `message` or `msg` of a structured body, or the whole of it.
    fn message_of_map(&self, map: Value) -> Result<Option<Value>, JsonError> {
        let [values] = self.members(map, ["values"])?;
        let Some(values) = values else {
            return Ok(Some(map));
        };
        let mut found = None;
        self.items(values.span, &mut |item| {
            let [key, value] = self.members(item, ["key", "value"])?;
            if let (Some(key), Some(value)) = (key, value)
                && matches!(key.span.of(self.text), "message" | "msg")
            {
                let [text] = self.members(value, ["stringValue"])?;
                found = found.or(text);
            }
            Ok(())
        })?;
        Ok(Some(found.unwrap_or(map)))
    }

    /// Calls back with each item of an array; anything else has none.
    fn items(
        &self,
        list: Span,
        each: &mut dyn FnMut(Value) -> Result<(), JsonError>,
    ) -> Result<(), JsonError> {
        let mut scanner = Scanner::at(self.text, list.start as usize);
        if scanner.peek() != Some(b'[') {
            return Ok(());
        }
        scanner.take(b'[')?;
        while scanner.peek() != Some(b']') {
            each(scanner.value()?)?;
            if scanner.peek() == Some(b',') {
                scanner.take(b',')?;
            }
        }
        Ok(())
    }

    /// Returns the values of these keys of an object, the last where one repeats; nulls do not count.
    fn members<const N: usize>(
        &self,
        object: Value,
        keys: [&str; N],
    ) -> Result<[Option<Value>; N], JsonError> {
        let mut found = [None; N];
        if object.kind != Kind::Object {
            return Ok(found);
        }
        let mut scanner = Scanner::at(self.text, object.span.start as usize);
        scanner.take(b'{')?;
        while scanner.peek() == Some(b'"') {
            let key = scanner.string()?;
            scanner.take(b':')?;
            let value = scanner.value()?;
            let place = keys.iter().position(|it| *it == key.span.of(self.text));
            if let Some(slot) = place.and_then(|it| found.get_mut(it)) {
                *slot = Some(value).filter(|it| it.kind != Kind::Null);
            }
            if scanner.peek() == Some(b',') {
                scanner.take(b',')?;
            }
        }
        Ok(found)
    }
}
