//! Backups of a running store, snapshots that repair a corrupt one, and putting a backup back.
//!
//! Invariant: a file under its final name is complete, because it is written under another name, checked, brought to
//! the disk and only then renamed. Its sum file is there before it is.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::backup::Backup;
use rusqlite::{Connection, OpenFlags};

use super::lock::DirectoryLock;
use super::open::{connect_checked, make_private_dir, quick_check, with_suffix};
use super::schema::{self, Found};
use super::{FILE_NAME, HistoryReader, StoreError, reader};
use crate::model::EventTime;

/// Folder of the snapshots in the data directory.
const SNAPSHOTS: &str = "snapshots";

/// Pages copied between two looks at the clock of the backup.
const PAGES_PER_STEP: i32 = 4_096;

/// End of the name of a file that is being written.
const PARTIAL: &str = ".partial";

/// End of the name of a sum file, in the form that `b3sum --check` reads.
const SUM: &str = ".b3";

/// A finished backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupInfo {
    /// The file.
    pub path: PathBuf,
    /// Its length in bytes.
    pub bytes: u64,
    /// Its BLAKE3 sum in hex, also in the sum file beside it.
    pub sum: String,
}

impl HistoryReader {
    /// Writes a backup of the store as of now, while the writer goes on.
    pub fn backup(&self, to: &Path) -> Result<BackupInfo, StoreError> {
        if to.exists() {
            return Err(StoreError::Exists { path: to.into() });
        }
        let partial = with_suffix(to, PARTIAL);
        remove_if_there(&partial)?;
        let written = copy_pages(&self.connection, &partial).and_then(|()| finish(&partial, to));
        if written.is_err() {
            // What is left of a failed backup only takes room; the error to tell is the first one.
            drop(fs::remove_file(&partial));
        }
        written
    }

    /// Writes a snapshot into the data directory, from which [`super::Store::open`] repairs a corrupt store, and
    /// forgets all but the newest `kept` ones, at least one.
    pub fn snapshot(&self, kept: usize) -> Result<BackupInfo, StoreError> {
        let dir = self.dir.join(SNAPSHOTS);
        make_private_dir(&dir)?;
        for left_over in files_ending(&dir, PARTIAL)? {
            remove_if_there(&left_over)?;
        }
        let number = reader::commits(&self.connection)?;
        // 20 digits, so that names sort like numbers.
        let path = dir.join(format!("snapshot-{number:020}.sqlite"));
        remove_if_there(&path)?;
        let info = self.backup(&path)?;
        for old in snapshots(&self.dir)?.into_iter().skip(kept.max(1)) {
            remove_if_there(&old)?;
            remove_if_there(&with_suffix(&old, SUM))?;
        }
        Ok(info)
    }
}

/// Returns when the newest snapshot of a data directory was written.
pub(super) fn newest_snapshot_at(dir: &Path) -> Option<EventTime> {
    let newest = snapshots(dir).ok()?.into_iter().next()?;
    let written = fs::metadata(newest).ok()?.modified().ok()?;
    let since = written.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(EventTime::from_seconds(
        i64::try_from(since.as_secs()).ok()?,
    ))
}

/// Puts a backup into a directory that has no store, after checking it.
pub fn restore(from: &Path, dir: &Path) -> Result<(), StoreError> {
    make_private_dir(dir)?;
    let _lock = DirectoryLock::take(dir)?;
    put_back(from, dir)
}

/// Puts the newest good snapshot into a directory that has no store any more.
pub(super) fn restore_newest_snapshot(dir: &Path) -> Result<Option<PathBuf>, StoreError> {
    for snapshot in snapshots(dir)? {
        match put_back(&snapshot, dir) {
            Ok(()) => return Ok(Some(snapshot)),
            Err(
                StoreError::Corrupt { .. } | StoreError::Sum { .. } | StoreError::Foreign { .. },
            ) => {}
            Err(other) => return Err(other),
        }
    }
    Ok(None)
}

fn put_back(from: &Path, dir: &Path) -> Result<(), StoreError> {
    let to = dir.join(FILE_NAME);
    for path in [to.clone(), with_suffix(&to, "-wal")] {
        if path.exists() {
            return Err(StoreError::Exists { path });
        }
    }
    let sum = with_suffix(from, SUM);
    if let Some(expected) = read_sum(&sum)?
        && sum_of(from)?.0 != expected
    {
        return Err(StoreError::Sum {
            path: from.into(),
            sum,
        });
    }
    let partial = with_suffix(&to, PARTIAL);
    remove_if_there(&partial)?;
    fs::copy(from, &partial).map_err(StoreError::file("copy the backup", from))?;
    let checked = connect_checked(&partial).map(|it| it.1);
    if !matches!(checked, Ok(Found::Store)) {
        remove_if_there(&partial)?;
    }
    match checked {
        Ok(Found::Store) => {}
        Ok(Found::Empty) => return Err(StoreError::Foreign { path: from.into() }),
        Err(error) => return Err(error.about(from)),
    }
    sync(&partial)?;
    rename(&partial, &to)
}

/// Copies every page in one read transaction, so that the writer cannot make it start over.
fn copy_pages(from: &Connection, to: &Path) -> Result<(), StoreError> {
    let mut target = Connection::open_with_flags(
        to,
        OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    let transaction = from.unchecked_transaction()?;
    reader::commits(&transaction)?;
    Backup::new(&transaction, &mut target)?.run_to_completion(
        PAGES_PER_STEP,
        Duration::ZERO,
        None,
    )?;
    transaction.finish()?;
    // One file, not a file and a log.
    target.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(()))?;
    match schema::check(&target, to)? {
        Found::Store => quick_check(&target, to)?,
        Found::Empty => return Err(StoreError::Missing { dir: to.into() }),
    }
    target.close().map_err(|(_, error)| StoreError::from(error))
}

/// Brings a written backup to the disk, with its sum, under its name.
fn finish(partial: &Path, to: &Path) -> Result<BackupInfo, StoreError> {
    sync(partial)?;
    let (sum, bytes) = sum_of(partial)?;
    let name = to.file_name().unwrap_or_default().to_string_lossy();
    let sum_path = with_suffix(to, SUM);
    let sum_partial = with_suffix(&sum_path, PARTIAL);
    File::create(&sum_partial)
        .and_then(|mut it| writeln!(it, "{sum}  {name}").and_then(|()| it.sync_all()))
        .map_err(StoreError::file("write", &sum_partial))?;
    rename(&sum_partial, &sum_path)?;
    rename(partial, to)?;
    Ok(BackupInfo {
        path: to.into(),
        bytes,
        sum,
    })
}

fn sync(path: &Path) -> Result<(), StoreError> {
    File::open(path)
        .and_then(|it| it.sync_all())
        .map_err(StoreError::file("bring to the disk", path))
}

/// Renames a file and brings the new name to the disk.
fn rename(from: &Path, to: &Path) -> Result<(), StoreError> {
    fs::rename(from, to).map_err(StoreError::file("rename", from))?;
    let dir = match to.parent() {
        Some(it) if !it.as_os_str().is_empty() => it,
        _ => Path::new("."),
    };
    sync(dir)
}

fn remove_if_there(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(StoreError::file("remove", path)(error))
        }
        _ => Ok(()),
    }
}

/// Returns the sum and the length of a file.
fn sum_of(path: &Path) -> Result<(String, u64), StoreError> {
    let mut file = File::open(path).map_err(StoreError::file("open", path))?;
    let mut hasher = blake3::Hasher::new();
    let bytes = io::copy(&mut file, &mut hasher).map_err(StoreError::file("read", path))?;
    Ok((hasher.finalize().to_hex().to_string(), bytes))
}

/// Reads the sum of a sum file; `None` if there is no such file.
fn read_sum(path: &Path) -> Result<Option<String>, StoreError> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(StoreError::file("open", path))?,
    };
    let mut text = String::new();
    // 4 KiB: a sum and a file name.
    file.take(4096)
        .read_to_string(&mut text)
        .map_err(StoreError::file("read", path))?;
    Ok(Some(
        text.split_whitespace()
            .next()
            .unwrap_or_default()
            .to_owned(),
    ))
}

/// Lists the snapshots of a data directory, newest first.
fn snapshots(dir: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let mut found = files_ending(&dir.join(SNAPSHOTS), ".sqlite")?;
    found.sort();
    found.reverse();
    Ok(found)
}

/// Lists the files of a folder, which need not be there, whose names end so.
fn files_ending(dir: &Path, end: &str) -> Result<Vec<PathBuf>, StoreError> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(StoreError::file("list", dir))?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(StoreError::file("list", dir))?.path();
        if path.to_string_lossy().ends_with(end) {
            found.push(path);
        }
    }
    Ok(found)
}
