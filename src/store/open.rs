//! Opening a store: lock, check, and what to do with a corrupt one.
//!
//! It must never delete a file that holds data: a corrupt store is moved aside, with its log.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::lock::DirectoryLock;
use super::schema::{self, Found};
use super::{
    Damage, FILE_NAME, Limits, Names, Opened, Store, StoreError, backup, reader, retention,
};

/// How long a statement waits for another connection's lock.
// 5 s: readers in WAL mode block nobody; only a backup's or checkpoint's short exclusive moments do.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Page cache of the writer, in KiB (`SQLite` takes negative numbers as KiB).
const CACHE_KIB: i64 = -32 * 1024;

/// Size to which the write-ahead log is cut after a checkpoint.
const LOG_BYTES_MAX: i64 = 64 << 20;

/// Prepared statements kept by a connection.
const STATEMENTS_MAX: usize = 64;

/// Corrupt stores kept beside the live one; past it a person has to look.
const ASIDE_MAX: u32 = 8;

/// Opens, and if need be makes or repairs, the store of a directory.
pub(super) fn open(dir: &Path, limits: Limits) -> Result<Store, StoreError> {
    make_private_dir(dir)?;
    let lock = DirectoryLock::take(dir)?;
    let path = dir.join(FILE_NAME);
    let mut opened = Opened::default();
    let (mut connection, found) = match connect_checked(&path) {
        Err(StoreError::Corrupt { problem, .. }) => {
            let moved_to = move_aside(dir, &problem)?;
            let restored_from = backup::restore_newest_snapshot(dir)?;
            opened.damage = Some(Damage {
                problem,
                moved_to,
                restored_from,
            });
            connect_checked(&path)?
        }
        other => other?,
    };
    if found == Found::Empty {
        schema::create(&mut connection)?;
        opened.created = true;
    }
    configure(&connection, &limits)?;
    let commits = reader::commits(&connection)?;
    Ok(Store {
        connection,
        dir: dir.into(),
        limits,
        opened,
        names: Names::default(),
        commits,
        prune_cursor: retention::Cursor::default(),
        names_due: true,
        _lock: lock,
    })
}

/// Connects for writing and checks the whole file.
pub(super) fn connect_checked(path: &Path) -> Result<(Connection, Found), StoreError> {
    // No URI flag: a directory name is a name, whatever characters it has.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let at = |error: StoreError| match error {
        StoreError::Corrupt { problem, .. } => StoreError::Corrupt {
            path: path.into(),
            problem,
        },
        other => other,
    };
    let connection = Connection::open_with_flags(path, flags).map_err(|it| at(it.into()))?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    let found = schema::check(&connection, path).map_err(at)?;
    if found == Found::Store {
        quick_check(&connection, path).map_err(at)?;
    }
    Ok((connection, found))
}

/// Asks `SQLite` to check every page.
pub(super) fn quick_check(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let answer: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if answer == "ok" {
        return Ok(());
    }
    Err(StoreError::Corrupt {
        path: path.into(),
        problem: answer,
    })
}

/// Sets what a connection for writing needs.
fn configure(connection: &Connection, limits: &Limits) -> Result<(), StoreError> {
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    let synchronous = if limits.sync_full { "FULL" } else { "NORMAL" };
    connection.pragma_update(None, "synchronous", synchronous)?;
    connection.pragma_update(None, "cache_size", CACHE_KIB)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update_and_check(None, "journal_size_limit", LOG_BYTES_MAX, |_| Ok(()))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    if let Some(bytes) = limits.size_bytes_max {
        let page: i64 = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
        let pages = i64::try_from(bytes).unwrap_or(i64::MAX) / page.max(1);
        connection.pragma_update_and_check(None, "max_page_count", pages.max(1), |_| Ok(()))?;
    }
    Ok(())
}

/// Moves a corrupt store and its log to a free name.
fn move_aside(dir: &Path, problem: &str) -> Result<PathBuf, StoreError> {
    let path = dir.join(FILE_NAME);
    let free = (1..=ASIDE_MAX)
        .map(|n| dir.join(format!("{FILE_NAME}.corrupt-{n}")))
        .find(|it| !it.exists());
    let Some(aside) = free else {
        return Err(StoreError::Corrupt {
            path,
            problem: format!(
                "{problem}; {ASIDE_MAX} corrupt stores lie beside it already: check the disk, then remove them"
            ),
        });
    };
    // The log and the index first: if we end half-way, the main file is found corrupt again and goes to the next name.
    for extra in ["-wal", "-shm"] {
        let from = with_suffix(&path, extra);
        if from.exists() {
            fs::rename(&from, with_suffix(&aside, extra))
                .map_err(StoreError::file("move aside", &from))?;
        }
    }
    fs::rename(&path, &aside).map_err(StoreError::file("move aside", &path))?;
    Ok(aside)
}

/// Makes a directory that only its owner can read: the store holds redacted logs, but logs all the same.
pub(super) fn make_private_dir(dir: &Path) -> Result<(), StoreError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(dir)
        .map_err(StoreError::file("make the directory", dir))
}

/// Adds text to the end of a file name.
pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Returns the bytes of the database and its log.
pub(super) fn size_bytes(dir: &Path) -> u64 {
    let path = dir.join(FILE_NAME);
    ["", "-wal", "-shm"]
        .iter()
        .filter_map(|extra| fs::metadata(with_suffix(&path, extra)).ok())
        .map(|it| it.len())
        .sum()
}
