//! A file in hand: what tells it from any other, and whether more can come of it.
//!
//! It must never mistake one file for another: what was read of the one would be counted again, or left out,
//! of the other.

use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;

use crate::detect::Position;
use crate::ingest::PartitionIndex;
use crate::model::EventTime;

/// Bytes at the start of a file that tell it from another with the same inode number.
const HEAD: usize = 1024;

/// Stands for the position in a file that was cut short while it was followed: nothing more comes from that part of it.
pub(super) const CUT: u64 = u64::MAX;

pub(super) struct OpenFile {
    pub(super) path: PathBuf,
    pub(super) identity: String,
    pub(super) index: PartitionIndex,
    pub(super) reader: Box<dyn BufRead + Send>,
    /// The file itself, where it can be gone back in; whatever stands under its name by now.
    pub(super) file: Option<File>,
    pub(super) next: u64,
    pub(super) packed: bool,
    pub(super) done: bool,
    /// Whether it was found to be shorter than what was read of it, or to begin with another line.
    pub(super) is_cut: bool,
    /// Why it cannot be read on.
    pub(super) stopped: Option<String>,
    pub(super) arrived: EventTime,
}

impl OpenFile {
    /// Reads on from an earlier place; by the file itself, since another may stand under its name.
    pub(super) fn go_back(&mut self, at: u64) -> std::io::Result<()> {
        if let Some(file) = &self.file {
            let mut file = file.try_clone()?;
            file.seek(SeekFrom::Start(at))?;
            self.reader = Box::new(BufReader::with_capacity(1 << 20, file));
        }
        Ok(())
    }

    /// Tells whether the file is shorter than what was read of it, or begins with another line than then.
    pub(super) fn is_shorter(&self) -> bool {
        let Some(file) = &self.file else {
            return false;
        };
        let known = self.identity.split('~').next();
        file.metadata().is_ok_and(|it| it.len() < self.next)
            || identity(file, true).is_ok_and(|it| it.is_some() && it.as_deref() != known)
    }

    /// Tells whether the file was deleted and is read to its end: nothing more can come.
    pub(super) fn is_gone(&self) -> bool {
        let links = self.file.as_ref().and_then(|it| it.metadata().ok());
        self.done && links.is_some_and(|it| it.nlink() == 0)
    }
}

/// Tells whether another file stands under the name now (the log was rotated).
pub(super) fn replaced(open: &OpenFile) -> bool {
    if !open.done {
        return false;
    }
    let known = open.identity.split('~').next();
    File::open(&open.path)
        .and_then(|it| identity(&it, true))
        .is_ok_and(|it| it.is_some() && it.as_deref() != known)
}

/// Returns what tells a file from any other; `None` while its first line is still `growing`.
pub(super) fn identity(file: &File, growing: bool) -> std::io::Result<Option<String>> {
    let metadata = file.metadata()?;
    let mut head = vec![0; HEAD];
    // Not by its cursor, which a reader of it may share.
    let length = file.read_at(&mut head, 0)?;
    head.truncate(length);
    if growing && head.len() < HEAD && !head.contains(&b'\n') {
        return Ok(None);
    }
    // Only the first line tells: a file that is still short keeps its identity while it grows.
    let line = head.split(|&it| it == b'\n').next().unwrap_or_default();
    let hash = blake3::hash(line).to_hex();
    let hash: String = hash.chars().take(16).collect();
    Ok(Some(format!(
        "{:x}:{:x}:{hash}",
        metadata.dev(),
        metadata.ino()
    )))
}

/// Returns under which name a file is read, and from where if that name is new: once it was cut short it has another one.
pub(super) fn part_of(
    identity: String,
    file: &File,
    packed: bool,
    positions: &[Position],
) -> std::io::Result<(String, u64)> {
    let part = |it: &Position| match it.topic.strip_prefix(&identity)? {
        "" => Some((0, it.next)),
        rest => Some((rest.strip_prefix('~')?.parse::<u32>().ok()?, it.next)),
    };
    let Some((last, next)) = positions.iter().filter_map(part).max() else {
        return Ok((identity, 0));
    };
    let length = file.metadata()?.len();
    let (last, start) = if next == CUT {
        (last + 1, 0)
    } else if next > length && !packed {
        // Its end was lost while we were away, as by a power cut; what is still there was counted.
        (last + 1, length)
    } else {
        (last, next)
    };
    let name = match last {
        0 => identity,
        _ => format!("{identity}~{last}"),
    };
    Ok((name, start))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn position(topic: &str, next: u64) -> Position {
        Position {
            source: "s".to_owned(),
            topic: topic.to_owned(),
            partition: 0,
            next,
            watermark: None,
            limiter: Vec::new(),
        }
    }

    fn part(positions: &[(&str, u64)]) -> (String, u64) {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[b'x'; 100]).unwrap();
        let positions: Vec<Position> = positions.iter().map(|it| position(it.0, it.1)).collect();
        part_of("d:i:h".to_owned(), &file, false, &positions).unwrap()
    }

    #[test]
    fn a_file_goes_on_under_its_last_name() {
        assert_eq!(part(&[]), ("d:i:h".to_owned(), 0));
        assert_eq!(part(&[("d:i:other", 900)]), ("d:i:h".to_owned(), 0));
        assert_eq!(part(&[("d:i:h", 100)]), ("d:i:h".to_owned(), 100));
        let cut_before = [("d:i:h~2", 40), ("d:i:h", 900), ("d:i:h~1", 800)];
        assert_eq!(part(&cut_before), ("d:i:h~2".to_owned(), 40));
    }

    #[test]
    fn a_file_that_was_cut_short_is_another_one_from_its_start() {
        assert_eq!(part(&[("d:i:h", CUT)]), ("d:i:h~1".to_owned(), 0));
        let again = [("d:i:h", CUT), ("d:i:h~1", CUT)];
        assert_eq!(part(&again), ("d:i:h~2".to_owned(), 0));
    }

    #[test]
    fn what_is_left_of_a_file_that_lost_its_end_while_we_were_away_is_not_counted_again() {
        assert_eq!(part(&[("d:i:h", 101)]), ("d:i:h~1".to_owned(), 100));
    }
}
