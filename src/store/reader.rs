//! Reading a store through a connection of its own, also while another process writes.
//!
//! Invariant: what one call returns is from one checkpoint, because it is read in one transaction.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::detect::Position;
use crate::model::{AlertTransition, EventTime, LimiterRow};

use super::commit::{COMMITS_KEY, LIMITER_VERSION};
use super::schema::{self, Found};
use super::{FILE_NAME, Loaded, StoreError, note_key, open};

/// Alert log entries in one answer at most.
pub(super) const LOG_PAGE_MAX: u32 = 10_000;

/// A connection that only reads. It may be moved to another thread.
#[derive(Debug)]
pub struct HistoryReader {
    pub(super) connection: Connection,
    pub(super) dir: PathBuf,
}

impl HistoryReader {
    /// Opens the store of a directory.
    pub(super) fn open(dir: &Path) -> Result<Self, StoreError> {
        let path = dir.join(FILE_NAME);
        if !path.is_file() {
            return Err(StoreError::Missing { dir: dir.into() });
        }
        let reader = match Self::connect(dir, &path, Mode::Shared) {
            // A directory that we may not write has no room for the index of the log; without a log none is needed.
            Err(StoreError::Sqlite(error)) if needs_index(&error) && !has_log(&path) => {
                Self::connect(dir, &path, Mode::Immutable)?
            }
            other => other?,
        };
        Ok(reader)
    }

    fn connect(dir: &Path, path: &Path, mode: Mode) -> Result<Self, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = match mode {
            Mode::Shared => Connection::open_with_flags(path, flags)?,
            Mode::Immutable => Connection::open_with_flags(
                immutable_uri(path),
                flags | OpenFlags::SQLITE_OPEN_URI,
            )?,
        };
        connection.busy_timeout(open::BUSY_TIMEOUT)?;
        match schema::check(&connection, path)? {
            Found::Store => Ok(Self {
                connection,
                dir: dir.into(),
            }),
            Found::Empty => Err(StoreError::Missing { dir: dir.into() }),
        }
    }

    /// Reads everything that a restart would go on from.
    pub fn load(&self) -> Result<Loaded, StoreError> {
        load(&self.connection)
    }

    /// Reads a note of the writer.
    pub fn note(&self, name: &str) -> Result<Option<String>, StoreError> {
        schema::meta(&self.connection, &note_key(name))
    }

    /// Returns the number of the last entry of the alert log; 0 if it is empty.
    pub fn last_seq(&self) -> Result<u64, StoreError> {
        last_seq(&self.connection)
    }

    /// Lists entries of the alert log from a number on, oldest first.
    pub fn alert_log(&self, from_seq: u64, limit: u32) -> Result<Vec<AlertTransition>, StoreError> {
        let from = i64::try_from(from_seq).unwrap_or(i64::MAX);
        log_page(
            &self.connection,
            "SELECT seq, body FROM alert_log WHERE seq >= ?1 ORDER BY seq LIMIT ?2",
            from,
            limit,
        )
    }

    /// Lists entries of the alert log before a number, newest first.
    pub fn alert_log_before(
        &self,
        before_seq: u64,
        limit: u32,
    ) -> Result<Vec<AlertTransition>, StoreError> {
        let before = i64::try_from(before_seq).unwrap_or(i64::MAX);
        log_page(
            &self.connection,
            "SELECT seq, body FROM alert_log WHERE seq < ?1 ORDER BY seq DESC LIMIT ?2",
            before,
            limit,
        )
    }
}

/// How a file is opened for reading.
#[derive(Clone, Copy, Debug)]
enum Mode {
    /// With the log and locks, as others may write.
    Shared,
    /// As a file that nobody writes.
    Immutable,
}

fn needs_index(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly)
    )
}

fn has_log(path: &Path) -> bool {
    std::fs::metadata(open::with_suffix(path, "-wal")).is_ok_and(|it| it.len() > 0)
}

/// Writes a path as a URI that tells `SQLite` that nobody writes the file.
fn immutable_uri(path: &Path) -> String {
    let escaped: String = path
        .as_os_str()
        .as_encoded_bytes()
        .iter()
        .map(|byte| match byte {
            b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {
                char::from(*byte).to_string()
            }
            other => format!("%{other:02x}"),
        })
        .collect();
    format!("file:{escaped}?immutable=1")
}

/// Reads state, positions and counters in one transaction.
pub(super) fn load(connection: &Connection) -> Result<Loaded, StoreError> {
    let transaction = connection.unchecked_transaction()?;
    let rows = transaction
        .prepare("SELECT kind, key, value FROM state ORDER BY kind, key")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<Vec<(String, Vec<u8>, Vec<u8>)>, _>>()?;
    let (source_rows, rows) = rows
        .into_iter()
        .partition(|(kind, ..)| kind.starts_with("source/"));
    let loaded = Loaded {
        rows,
        source_rows,
        positions: positions(&transaction)?,
        last_seq: last_seq(&transaction)?,
        commits: commits(&transaction)?,
    };
    transaction.finish()?;
    Ok(loaded)
}

fn positions(connection: &Connection) -> Result<Vec<Position>, StoreError> {
    let mut statement = connection.prepare(
        "SELECT source, topic, partition, next, watermark, limiter FROM position
         ORDER BY source, topic, partition",
    )?;
    let mut rows = statement.query([])?;
    let mut positions = Vec::new();
    while let Some(row) = rows.next()? {
        let topic: String = row.get(1)?;
        let partition: i32 = row.get(2)?;
        let next: i64 = row.get(3)?;
        let watermark: Option<i64> = row.get(4)?;
        let limiter = row.get_ref(5)?.as_blob().ok().and_then(read_limiter);
        let unreadable = || StoreError::Value {
            what: format!("position of {topic} {partition}"),
        };
        positions.push(Position {
            source: row.get(0)?,
            next: u64::try_from(next).map_err(|_| unreadable())?,
            watermark: watermark.map(EventTime::from_millis),
            limiter: limiter.ok_or_else(unreadable)?,
            topic,
            partition,
        });
    }
    Ok(positions)
}

fn read_limiter(bytes: &[u8]) -> Option<Vec<LimiterRow>> {
    let (&version, rest) = bytes.split_first()?;
    if version != LIMITER_VERSION {
        return None;
    }
    postcard::from_bytes(rest).ok()
}

/// Reads the number of the last entry of the alert log.
pub(super) fn last_seq(connection: &Connection) -> Result<u64, StoreError> {
    let last: Option<i64> = connection
        .prepare_cached("SELECT max(seq) FROM alert_log")?
        .query_row([], |row| row.get(0))?;
    Ok(last.and_then(|it| u64::try_from(it).ok()).unwrap_or(0))
}

/// Reads how many checkpoints were committed.
pub(super) fn commits(connection: &Connection) -> Result<u64, StoreError> {
    match schema::meta(connection, COMMITS_KEY)? {
        None => Ok(0),
        Some(text) => text.parse().map_err(|_| StoreError::Value {
            what: format!("number of commits {text}"),
        }),
    }
}

fn log_page(
    connection: &Connection,
    sql: &str,
    seq: i64,
    limit: u32,
) -> Result<Vec<AlertTransition>, StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query((seq, limit.min(LOG_PAGE_MAX)))?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        let body = row.get_ref(1)?.as_str().ok();
        let entry = body.and_then(|it| serde_json::from_str(it).ok());
        let seq: i64 = row.get(0)?;
        entries.push(entry.ok_or_else(|| StoreError::Value {
            what: format!("alert log entry {seq}"),
        })?);
    }
    Ok(entries)
}
