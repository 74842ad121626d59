//! The tables, and the check that a file holds them in a format that this release reads.
//!
//! Invariant: a file that passes [`check`] has the tables of [`SCHEMA`].

use std::path::Path;

use rusqlite::{Connection, OptionalExtension};

use super::StoreError;

/// Every table, index and view.
pub(super) const SCHEMA: &str = include_str!("schema.sql");

/// Format that this release writes and reads.
pub(super) const FORMAT: u32 = 1;

/// Marks the file as ours: "fatm" in ASCII.
const APPLICATION_ID: i32 = 0x6661_746d;

/// Meta key of the format.
const FORMAT_KEY: &str = "format";

/// What a database file turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// No tables yet.
    Empty,
    /// A store of this format.
    Store,
}

/// Makes the tables in an empty database, all or nothing.
pub(super) fn create(connection: &mut Connection) -> Result<(), StoreError> {
    // Set before the first table, else it has no effect; it lets pruning give pages back to the disk.
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    let transaction = connection.transaction()?;
    transaction.execute_batch(SCHEMA)?;
    transaction.execute(
        "INSERT INTO meta (key, value) VALUES (?1, ?2)",
        (FORMAT_KEY, FORMAT.to_string()),
    )?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.commit()?;
    Ok(())
}

/// Tells what a database is; refuses one of something else or of a newer format.
pub(super) fn check(connection: &Connection, path: &Path) -> Result<Found, StoreError> {
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let id: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    if tables == 0 && id == 0 {
        return Ok(Found::Empty);
    }
    if id != APPLICATION_ID {
        return Err(StoreError::Foreign { path: path.into() });
    }
    let text: Option<String> = connection
        .query_row(
            "SELECT value FROM meta WHERE key = ?1",
            [FORMAT_KEY],
            |row| row.get(0),
        )
        .optional()?;
    let found = text
        .and_then(|it| it.parse().ok())
        .ok_or_else(|| StoreError::Corrupt {
            path: path.into(),
            problem: "it names no format".to_owned(),
        })?;
    if found > FORMAT {
        return Err(StoreError::Newer {
            path: path.into(),
            found,
            known: FORMAT,
        });
    }
    Ok(Found::Store)
}

/// Reads a meta value.
pub(super) fn meta(connection: &Connection, key: &str) -> Result<Option<String>, StoreError> {
    Ok(connection
        .prepare_cached("SELECT value FROM meta WHERE key = ?1")?
        .query_row([key], |row| row.get(0))
        .optional()?)
}

/// Writes a meta value.
pub(super) fn set_meta(connection: &Connection, key: &str, value: &str) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO meta (key, value) VALUES (?1, ?2)
             ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        )?
        .execute((key, value))?;
    Ok(())
}
