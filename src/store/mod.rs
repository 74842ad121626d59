//! The store: `SQLite`, with the state of the detector and the source positions written in one transaction.
//!
//! It must never interpret state (rows are opaque) and never read a clock. Invariant: whatever ends the process at
//! whatever instant, state, history, alert log and positions on disk are those of one and the same checkpoint.
//!
//! One process writes (the directory is locked); any number read through [`HistoryReader`], also while it runs.
//! All calls block: call them from a thread of their own or through `spawn_blocking`.

mod after;
mod backup;
mod commit;
mod error;
mod history;
mod lock;
mod merged;
mod open;
mod past;
mod reader;
mod resolution;
mod retention;
mod schema;

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::detect::{Checkpoint, Position};
use crate::model::EventTime;

use self::commit::Names;
use self::lock::DirectoryLock;

pub use self::backup::{BackupInfo, restore};
pub use self::commit::CommitStats;
pub use self::error::StoreError;
pub use self::history::{ChannelLine, ChannelValue, History, HistoryQuery, Line, SplitBy};
pub use self::reader::HistoryReader;
pub use self::retention::PruneStats;

/// Name of the database in its directory.
pub const FILE_NAME: &str = "fatalmonitor.sqlite";

/// How much the store keeps, and how carefully it writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Seconds for which the 10-second history is kept.
    pub keep_10s_seconds: i64,
    /// Seconds for which the 1-minute history is kept.
    pub keep_1m_seconds: i64,
    /// Seconds for which the 1-hour history, the alert log and signatures that no longer happen are kept.
    pub keep_1h_seconds: i64,
    /// Largest size of the database file in bytes; a commit past it is [`StoreError::Full`].
    pub size_bytes_max: Option<u64>,
    /// Whether a commit waits for the disk. Kafka and files are their own log, HTTP ingest needs it.
    pub sync_full: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            keep_10s_seconds: 6 * 3600,
            keep_1m_seconds: 14 * 86_400,
            keep_1h_seconds: 400 * 86_400,
            size_bytes_max: None,
            sync_full: false,
        }
    }
}

/// What opening found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Opened {
    /// Whether there was no store yet.
    pub created: bool,
    /// What was wrong with the store that was there, if anything.
    pub damage: Option<Damage>,
}

/// A corrupt store, moved aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// What the check said.
    pub problem: String,
    /// Where the corrupt file is now.
    pub moved_to: PathBuf,
    /// The snapshot that took its place; without one the sources are read again from their start.
    pub restored_from: Option<PathBuf>,
}

/// Everything that a restart goes on from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Loaded {
    /// State rows: kind, key, value; sorted.
    pub rows: Vec<(String, Vec<u8>, Vec<u8>)>,
    /// The same of sources: rows whose kind begins with `source/`.
    pub source_rows: Vec<(String, Vec<u8>, Vec<u8>)>,
    /// Positions; sorted.
    pub positions: Vec<Position>,
    /// Number of the last entry of the alert log; 0 if it is empty.
    pub last_seq: u64,
    /// Number of checkpoints committed so far.
    pub commits: u64,
}

/// The one writer of a data directory.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    dir: PathBuf,
    limits: Limits,
    opened: Opened,
    names: Names,
    commits: u64,
    prune_cursor: retention::Cursor,
    /// Series or channels were forgotten since names were last looked at.
    names_due: bool,
    // Last, so that the lock goes after the connection is closed.
    _lock: DirectoryLock,
}

impl Store {
    /// Opens the store of a directory, making both if they are not there, and locks the directory.
    ///
    /// A corrupt store is moved aside and replaced by the newest good snapshot, or by an empty one: see
    /// [`Store::opened`].
    pub fn open(dir: &Path, limits: Limits) -> Result<Self, StoreError> {
        open::open(dir, limits)
    }

    /// Opens the store of a directory for reading, also while another process writes it.
    pub fn open_read_only(dir: &Path) -> Result<HistoryReader, StoreError> {
        HistoryReader::open(dir)
    }

    /// Tells what opening found.
    pub const fn opened(&self) -> &Opened {
        &self.opened
    }

    /// Returns the data directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Opens another connection for reading, to be used on another thread.
    pub fn reader(&self) -> Result<HistoryReader, StoreError> {
        HistoryReader::open(&self.dir)
    }

    /// Writes a checkpoint in one transaction.
    ///
    /// After an error nothing of it is on disk; if the error is retriable, the same checkpoint, or a later one that
    /// holds it, can be committed again.
    pub fn commit(&mut self, checkpoint: &Checkpoint) -> Result<CommitStats, StoreError> {
        commit::commit(self, checkpoint).map_err(|error| self.located(error))
    }

    /// Reads everything that a restart goes on from.
    pub fn load(&self) -> Result<Loaded, StoreError> {
        reader::load(&self.connection).map_err(|error| self.located(error))
    }

    /// Reads a note, such as the hash of the rules that made the state.
    pub fn note(&self, name: &str) -> Result<Option<String>, StoreError> {
        schema::meta(&self.connection, &note_key(name))
    }

    /// Writes a note, at once.
    pub fn set_note(&mut self, name: &str, value: &str) -> Result<(), StoreError> {
        schema::set_meta(&self.connection, &note_key(name), value)
    }

    /// Returns when the newest snapshot was written, by the file system's clock.
    pub fn snapshot_at(&self) -> Option<EventTime> {
        backup::newest_snapshot_at(&self.dir)
    }

    /// Returns the bytes of the database and its write-ahead log.
    pub fn size_bytes(&self) -> u64 {
        open::size_bytes(&self.dir)
    }

    /// Names the file in an error of `SQLite` that does not.
    fn located(&self, error: StoreError) -> StoreError {
        match error {
            StoreError::Corrupt { problem, .. } => StoreError::Corrupt {
                path: self.dir.join(FILE_NAME),
                problem,
            },
            other => other,
        }
    }
}

/// Keeps notes apart from the keys that the store itself uses.
fn note_key(name: &str) -> String {
    format!("note/{name}")
}

#[cfg(test)]
mod tests;
