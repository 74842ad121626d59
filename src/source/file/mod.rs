//! Files, folders and standard input: to the end, or following what is appended.
//!
//! A file is known by device, inode and a hash of its first line, so that a renamed file goes on where it
//! was and a new file under an old name starts afresh. One that is cut short while it is followed (logrotate's
//! `copytruncate`) is from then on another file, read from its start. Positions are bytes of the unpacked text.
//! A line without its end is left for later while following.

mod known;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use self::known::{CUT, OpenFile, identity, part_of, replaced};
use super::lines::read_line;
use super::{
    BYTES_MAX, Careful, Delivery, Outlet, OutletClosed, PartitionStatus, ROWS_MAX, WallClock,
};
use crate::config::FileSource;
use crate::detect::Position;
use crate::ingest::{Ingest, Resume};
use crate::model::{EventTime, RawRecord};

/// How long a follower waits before it looks for more.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// Milliseconds between two looks for new files.
const FOLDER_MS: i64 = 1_000;

/// What a file source needs to know from outside.
#[derive(Clone, Debug)]
pub struct FileOptions {
    /// Name of the source.
    pub name: String,
    /// Its settings.
    pub config: FileSource,
    /// Milliseconds between two cuts.
    pub commit_interval_ms: u64,
    /// Reads the wall clock.
    pub clock: WallClock,
}

/// A file source at work.
pub struct FileReader {
    options: FileOptions,
    ingest: Ingest,
    careful: Careful,
    positions: Vec<Position>,
    open: Vec<OpenFile>,
    /// Files that cannot be opened, and why.
    troubles: BTreeMap<PathBuf, String>,
    bytes: u64,
    cut_at: EventTime,
    folder_at: EventTime,
}

impl std::fmt::Debug for FileReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileReader")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl FileReader {
    /// Makes the reader.
    pub fn new(
        options: FileOptions,
        (ingest, careful): (Ingest, Careful),
        positions: Vec<Position>,
    ) -> Self {
        let positions = positions
            .into_iter()
            .filter(|it| it.source == options.name)
            .collect();
        Self {
            options,
            ingest,
            careful,
            positions,
            open: Vec::new(),
            troubles: BTreeMap::new(),
            bytes: 0,
            cut_at: EventTime::MIN,
            folder_at: EventTime::MIN,
        }
    }

    /// Reads until the end, or until told to stop.
    pub fn run(mut self, outlet: &Outlet, stop: &CancellationToken) -> Result<(), OutletClosed> {
        let end = self.read(outlet, stop);
        self.careful.finish();
        end
    }

    fn read(&mut self, outlet: &Outlet, stop: &CancellationToken) -> Result<(), OutletClosed> {
        let mut buffer = Vec::new();
        while !stop.is_cancelled() {
            let now = (self.options.clock)();
            if now >= self.folder_at {
                self.folder_at = now.plus_millis(FOLDER_MS);
                self.look_for_files(now, outlet)?;
            }
            let mut read_any = false;
            for place in 0..self.open.len() {
                read_any |= self.read_some(place, &mut buffer, outlet, stop)?;
            }
            let all_done = self.open.iter().all(|it| it.done);
            if now >= self.cut_at || (all_done && !self.options.config.follow) {
                self.hand_over(outlet)?;
            }
            if all_done && !self.options.config.follow {
                break;
            }
            if !read_any {
                std::thread::sleep(LOOK_AGAIN);
            }
        }
        self.hand_over(outlet)?;
        let source = self.options.name.clone();
        outlet
            .blocking_send(Delivery::Ended { source })
            .map_err(|_| OutletClosed)
    }

    fn look_for_files(&mut self, now: EventTime, outlet: &Outlet) -> Result<(), OutletClosed> {
        self.let_go(outlet)?;
        let files = files_of(&self.options.config.paths);
        let before = self.troubles.len();
        self.troubles.retain(|it, _| files.contains(it));
        if self.troubles.len() < before {
            self.tell_troubles(outlet)?;
        }
        for path in files {
            if path.as_os_str() != "-"
                && self.open.iter().any(|it| it.path == path && !replaced(it))
            {
                continue;
            }
            if path.as_os_str() == "-" && !self.open.is_empty() {
                continue;
            }
            match self.open_file(&path, now) {
                Ok(file) => {
                    self.open.extend(file);
                    self.opened(&path, outlet)?;
                }
                Err(error) => self.not_opened(&path, &error, outlet)?,
            }
        }
        Ok(())
    }

    /// Says that a file cannot be opened, once as long as nothing changes.
    fn not_opened(
        &mut self,
        path: &Path,
        error: &std::io::Error,
        outlet: &Outlet,
    ) -> Result<(), OutletClosed> {
        let problem = format!(
            "source `{}` cannot read {}: {error}",
            self.options.name,
            path.display()
        );
        if self.troubles.get(path) == Some(&problem) {
            return Ok(());
        }
        self.troubles.insert(path.to_owned(), problem);
        self.tell_troubles(outlet)
    }

    /// Says that a file can be opened, if it could not before.
    fn opened(&mut self, path: &Path, outlet: &Outlet) -> Result<(), OutletClosed> {
        match self.troubles.remove(path) {
            Some(_) => self.tell_troubles(outlet),
            None => Ok(()),
        }
    }

    fn tell_troubles(&self, outlet: &Outlet) -> Result<(), OutletClosed> {
        let more = self.troubles.len().saturating_sub(1);
        let problem = self.troubles.values().next().map(|first| match more {
            0 => first.clone(),
            _ => format!("{first}, and {more} more"),
        });
        outlet
            .blocking_send(Delivery::Trouble {
                source: self.options.name.clone(),
                problem,
                fatal: !self.options.config.follow,
            })
            .map_err(|_| OutletClosed)
    }

    /// Closes the files of which nothing more can come.
    fn let_go(&mut self, outlet: &Outlet) -> Result<(), OutletClosed> {
        if !self.open.iter().any(|it| it.is_gone() || it.is_cut) {
            return Ok(());
        }
        // How far they were read has to be told while they are still here.
        self.hand_over(outlet)?;
        for file in self.open.iter().filter(|it| it.is_cut) {
            tracing::warn!(file = %file.path.display(), "the file was cut short: it is read from its start");
            self.positions.retain(|it| it.topic != file.identity);
            self.positions.push(Position {
                source: self.options.name.clone(),
                topic: file.identity.clone(),
                partition: 0,
                next: CUT,
                watermark: None,
                limiter: Vec::new(),
            });
        }
        self.open.retain(|it| !it.is_gone() && !it.is_cut);
        Ok(())
    }

    fn open_stdin(&mut self, path: &Path, now: EventTime) -> OpenFile {
        let index = self
            .ingest
            .open(&self.options.name, "-", 0, &Resume::default());
        OpenFile {
            path: path.to_owned(),
            identity: "-".to_owned(),
            index,
            reader: Box::new(BufReader::new(std::io::stdin())),
            file: None,
            next: 0,
            packed: true,
            done: false,
            is_cut: false,
            stopped: None,
            arrived: now,
        }
    }

    fn open_file(&mut self, path: &Path, now: EventTime) -> std::io::Result<Option<OpenFile>> {
        if path.as_os_str() == "-" {
            return Ok(Some(self.open_stdin(path, now)));
        }
        let mut file = File::open(path)?;
        let Some(identity) = identity(&file, self.options.config.follow)? else {
            return Ok(None);
        };
        let name = path
            .file_name()
            .map(|it| it.to_string_lossy().into_owned())
            .unwrap_or_default();
        let packed = matches!(name.rsplit('.').next(), Some("gz" | "zst" | "zstd"));
        let (identity, start) = part_of(identity, &file, packed, &self.positions)?;
        if self.open.iter().any(|it| it.identity == identity) {
            return Ok(None);
        }
        let resume = self
            .positions
            .iter()
            .rfind(|it| it.topic == identity)
            .map_or_else(
                || Resume {
                    next: start,
                    ..Resume::default()
                },
                |it| Resume {
                    next: it.next,
                    watermark: it.watermark,
                    limiter: it.limiter.clone(),
                },
            );
        if !packed {
            file.seek(SeekFrom::Start(resume.next))?;
        }
        let arrived = if self.options.config.follow {
            now
        } else {
            modified(&file).unwrap_or(now)
        };
        let plain = if packed {
            None
        } else {
            Some(file.try_clone()?)
        };
        let mut reader = BufReader::with_capacity(1 << 20, unpack(&name, file)?);
        if packed {
            std::io::copy(&mut (&mut reader).take(resume.next), &mut std::io::sink())?;
        }
        let index = self.ingest.open(&self.options.name, &identity, 0, &resume);
        Ok(Some(OpenFile {
            path: path.to_owned(),
            identity,
            index,
            reader: Box::new(reader),
            file: plain,
            next: resume.next,
            packed,
            done: false,
            is_cut: false,
            stopped: None,
            arrived,
        }))
    }

    /// Reads a stretch of one file; tells whether there was anything.
    fn read_some(
        &mut self,
        place: usize,
        buffer: &mut Vec<u8>,
        outlet: &Outlet,
        stop: &CancellationToken,
    ) -> Result<bool, OutletClosed> {
        let follow = self.options.config.follow;
        let mut any = false;
        if let Some(file) = self.open.get_mut(place).filter(|it| follow && it.done) {
            // Before more of it is read: what stands there now may not be what follows on what was read.
            file.is_cut = file.is_shorter();
        }
        for _ in 0..10_000 {
            let Some(file) = self.open.get_mut(place) else {
                return Ok(any);
            };
            if stop.is_cancelled() || file.is_cut {
                return Ok(any);
            }
            let line = match read_line(&mut file.reader, file.next, buffer) {
                Ok(Some(line)) => line,
                Ok(None) => {
                    file.done = true;
                    if file.packed {
                        // It cannot grow, so nothing of it needs to be held.
                        file.reader = Box::new(std::io::empty());
                    }
                    return Ok(any);
                }
                Err(error) => {
                    let problem = format!("cannot read {} on: {error}", file.path.display());
                    tracing::error!(problem);
                    file.done = true;
                    file.stopped = Some(problem);
                    file.reader = Box::new(std::io::empty());
                    return Ok(any);
                }
            };
            if !line.complete && follow && !file.packed {
                // The writer is not done with this line: go back to its start and wait.
                if let Err(error) = file.go_back(line.start) {
                    tracing::error!(file = %file.path.display(), %error, "file cannot be read on");
                }
                file.done = true;
                return Ok(any);
            }
            file.done = false;
            any = true;
            file.next = line.next;
            let arrived = if follow {
                (self.options.clock)()
            } else {
                file.arrived
            };
            self.bytes += line.next - line.start;
            let record = RawRecord {
                offset: line.start,
                next_offset: line.next,
                payload: Some(buffer),
                arrived,
            };
            if buffer.is_empty() {
                // A blank line holds no record; the position moves over it.
                self.ingest.step_over(file.index, line.next);
            } else {
                let place = (file.index, file.identity.as_str(), 0);
                self.careful.work(&mut self.ingest, place, &record);
            }
            if self.bytes >= BYTES_MAX || self.ingest.rows() >= ROWS_MAX {
                self.hand_over(outlet)?;
            }
        }
        Ok(any)
    }

    fn hand_over(&mut self, outlet: &Outlet) -> Result<(), OutletClosed> {
        let interval = i64::try_from(self.options.commit_interval_ms).unwrap_or(1000);
        self.cut_at = (self.options.clock)().plus_millis(interval);
        self.bytes = 0;
        let places = self.careful.cut();
        if !places.is_empty() {
            outlet
                .blocking_send(Delivery::SteppedOver { places })
                .map_err(|_| OutletClosed)?;
        }
        let batches = self.ingest.cut();
        let partitions = self
            .open
            .iter()
            .map(|it| PartitionStatus {
                topic: it.identity.clone(),
                partition: 0,
                next: it.next,
                end: None,
                at_end: it.done,
                last_arrived: Some(it.arrived),
                stopped: it.stopped.clone(),
            })
            .collect();
        outlet
            .blocking_send(Delivery::Counts {
                source: self.options.name.clone(),
                batches,
                partitions,
                rows: Vec::new(),
                stored: None,
            })
            .map_err(|_| OutletClosed)
    }
}

/// Lists the files: a folder stands for the files in it, by name.
pub fn files_of(paths: &[PathBuf]) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let mut inside: Vec<PathBuf> = std::fs::read_dir(path)
                .map(|entries| {
                    entries
                        .filter_map(|it| it.ok().map(|it| it.path()))
                        .filter(|it| it.is_file())
                        .collect()
                })
                .unwrap_or_default();
            inside.sort();
            files.extend(inside);
        } else {
            files.push(path.clone());
        }
    }
    files
}

/// Calls back for every line of a file that is not blank, with its place; for replay.
pub fn for_each_line(path: &Path, mut found: impl FnMut(&RawRecord<'_>)) -> std::io::Result<()> {
    let (mut reader, arrived): (Box<dyn BufRead>, EventTime) = if path.as_os_str() == "-" {
        (Box::new(std::io::stdin().lock()), EventTime::default())
    } else {
        let file = File::open(path)?;
        let arrived = modified(&file).unwrap_or_default();
        let name = path
            .file_name()
            .map(|it| it.to_string_lossy().into_owned())
            .unwrap_or_default();
        (
            Box::new(BufReader::with_capacity(1 << 20, unpack(&name, file)?)),
            arrived,
        )
    };
    let (mut buffer, mut at) = (Vec::new(), 0);
    while let Some(line) = read_line(&mut reader, at, &mut buffer)? {
        at = line.next;
        if !buffer.is_empty() {
            found(&RawRecord {
                offset: line.start,
                next_offset: line.next,
                payload: Some(&buffer),
                arrived,
            });
        }
    }
    Ok(())
}

/// Unpacks by the file's name: `.gz`, `.zst`, or as it is.
fn unpack(name: &str, file: File) -> std::io::Result<Box<dyn Read + Send>> {
    Ok(match name.rsplit('.').next() {
        Some("gz") => Box::new(flate2::read::MultiGzDecoder::new(file)),
        Some("zst" | "zstd") => Box::new(zstd::stream::read::Decoder::new(file)?),
        _ => Box::new(file),
    })
}

fn modified(file: &File) -> Option<EventTime> {
    let metadata = file.metadata().ok()?;
    Some(EventTime::from_seconds(metadata.mtime()))
}
