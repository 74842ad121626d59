//! The lock on a data directory, so that two processes never write one store.
//!
//! The kernel holds it: it goes with the process, however that ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

use super::StoreError;

/// Name of the lock file.
const LOCK_NAME: &str = "lock";

/// A held lock.
#[derive(Debug)]
pub(super) struct DirectoryLock {
    _file: File,
}

impl DirectoryLock {
    /// Takes the lock, or tells which process has it.
    pub(super) fn take(dir: &Path) -> Result<Self, StoreError> {
        let path = dir.join(LOCK_NAME);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(StoreError::file("open the lock file", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::InUse {
                    dir: dir.into(),
                    holder: holder(&mut file),
                });
            }
            Err(TryLockError::Error(source)) => {
                return Err(StoreError::file("lock", &path)(source));
            }
        }
        // The number is for people only, so a full disk does not stop us here.
        let written = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()));
        drop(written);
        Ok(Self { _file: file })
    }
}

/// Reads what the holder wrote about itself.
fn holder(file: &mut File) -> String {
    let mut text = String::new();
    // 32 bytes: a process id and its line end, and no more of whatever else may stand there.
    match file.take(32).read_to_string(&mut text) {
        Ok(_) if text.trim().bytes().all(|it| it.is_ascii_digit()) && !text.trim().is_empty() => {
            text.trim().to_owned()
        }
        _ => "(unknown)".to_owned(),
    }
}
