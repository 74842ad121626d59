//! What can go wrong with the store, as far as a caller must tell it apart.
//!
//! Invariant: after any error of a commit the store is at its last commit, with state and positions agreeing.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;
use rusqlite::ffi;

/// A failure of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process holds the directory.
    #[error(
        "data directory {dir} is in use by process {holder}; stop that process or name another --data-dir"
    )]
    InUse {
        /// The directory.
        dir: PathBuf,
        /// What the lock file says of the holder.
        holder: String,
    },
    /// There is no store to read.
    #[error("no store in {dir}; `fatalmonitor serve --data-dir {dir}` makes one")]
    Missing {
        /// The directory.
        dir: PathBuf,
    },
    /// The store was written by a later release.
    #[error(
        "store {path} has format {found}, this release reads up to {known}; run the release that wrote it, or restore a backup of this one into an empty directory"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The format found.
        found: u32,
        /// The newest format known here.
        known: u32,
    },
    /// The file is a database of something else.
    #[error("{path} is not a fatalmonitor store; name another one")]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The store is damaged.
    #[error("store {path} is corrupt: {problem}")]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What the check said.
        problem: String,
    },
    /// The disk, or the configured size, is full: nothing was written, and the same call can be made again later.
    #[error("no room to write the store")]
    Full(#[source] rusqlite::Error),
    /// The disk failed: the process must stop and start again from the last commit.
    #[error("the disk failed under the store")]
    Disk(#[source] rusqlite::Error),
    /// An alert log entry does not follow the last one.
    #[error("alert log entry {found} does not follow {last}")]
    Sequence {
        /// Last entry of the log.
        last: u64,
        /// The entry to append.
        found: u64,
    },
    /// A question asks for more points than one answer may hold.
    #[error("{points} points asked for, at most {max}; ask for a step of {step_seconds} s or more")]
    TooManyPoints {
        /// Points asked for.
        points: u64,
        /// Points that an answer may hold.
        max: u64,
        /// A step that fits.
        step_seconds: i64,
    },
    /// A file to be written is there already.
    #[error("{path} exists already; name another place or move it away first")]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A backup is not what its sum file says.
    #[error("backup {path} does not match its sum file {sum}; take another backup")]
    Sum {
        /// The backup.
        path: PathBuf,
        /// Its sum file.
        sum: PathBuf,
    },
    /// A stored value cannot be read.
    #[error("store holds an unreadable {what}")]
    Value {
        /// What it is.
        what: String,
    },
    /// A file operation failed.
    #[error("cannot {action} {path}")]
    File {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// Anything else that `SQLite` says.
    #[error("the store failed")]
    Sqlite(#[source] rusqlite::Error),
}

impl StoreError {
    /// Tells whether the same call may succeed later without a restart.
    pub const fn is_retriable(&self) -> bool {
        matches!(self, Self::Full(_))
    }

    /// Names the file that somebody gave us, where the copy of it was looked at.
    pub(super) fn about(self, file: &Path) -> Self {
        let path = file.into();
        match self {
            Self::Newer { found, known, .. } => Self::Newer { path, found, known },
            Self::Foreign { .. } => Self::Foreign { path },
            Self::Corrupt { problem, .. } => Self::Corrupt { path, problem },
            other => other,
        }
    }

    /// Makes the error of a failed file operation.
    pub(super) fn file(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File {
            action,
            path,
            source,
        }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        let Some(cause) = error.sqlite_error() else {
            return Self::Sqlite(error);
        };
        match (cause.code, cause.extended_code) {
            // A write that found no room; SQLite says SHM* when the shared-memory file could not grow.
            (ErrorCode::DiskFull, _)
            | (
                ErrorCode::SystemIoFailure,
                ffi::SQLITE_IOERR_WRITE
                | ffi::SQLITE_IOERR_TRUNCATE
                | ffi::SQLITE_IOERR_SHMOPEN
                | ffi::SQLITE_IOERR_SHMSIZE
                | ffi::SQLITE_IOERR_SHMMAP,
            ) => Self::Full(error),
            // After a failed fsync the kernel may have dropped the pages: only a reopening tells what is on disk.
            (ErrorCode::SystemIoFailure, _) => Self::Disk(error),
            (ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase, _) => Self::Corrupt {
                path: PathBuf::new(),
                problem: error.to_string(),
            },
            _ => Self::Sqlite(error),
        }
    }
}
