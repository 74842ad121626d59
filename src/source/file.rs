//! Files, folders and standard input: to the end, or following what is appended.
//!
//! A file is known by device, inode and a hash of its first KiB, so that a renamed file goes on where it
//! was and a new file under an old name starts afresh. Positions are bytes of the unpacked text. A line
//! without its end is left for later while following.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::lines::read_line;
use super::{
    BYTES_MAX, Careful, Delivery, Outlet, OutletClosed, PartitionStatus, ROWS_MAX, WallClock,
};
use crate::config::FileSource;
use crate::detect::Position;
use crate::ingest::{Ingest, PartitionIndex, Resume};
use crate::model::{EventTime, RawRecord};

/// How long a follower waits before it looks for more.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// Bytes at the start of a file that tell it from another with the same inode number.
const HEAD: usize = 1024;

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

struct OpenFile {
    path: PathBuf,
    identity: String,
    index: PartitionIndex,
    reader: Box<dyn BufRead + Send>,
    /// The file itself, where it can be gone back in; whatever stands under its name by now.
    file: Option<File>,
    next: u64,
    packed: bool,
    done: bool,
    arrived: EventTime,
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
        self.open.retain(|it| !it.is_gone());
        for path in files_of(&self.options.config.paths) {
            if path.as_os_str() != "-"
                && self.open.iter().any(|it| it.path == path && !replaced(it))
            {
                continue;
            }
            if path.as_os_str() == "-" && !self.open.is_empty() {
                continue;
            }
            match self.open_file(&path, now) {
                Ok(Some(file)) => self.open.push(file),
                Ok(None) => {}
                Err(error) => {
                    let problem = format!(
                        "source `{}` cannot read {}: {error}",
                        self.options.name,
                        path.display()
                    );
                    tracing::error!(problem);
                    let source = self.options.name.clone();
                    outlet
                        .blocking_send(Delivery::Trouble {
                            source,
                            problem: Some(problem),
                            fatal: !self.options.config.follow,
                        })
                        .map_err(|_| OutletClosed)?;
                }
            }
        }
        Ok(())
    }

    fn open_file(&mut self, path: &Path, now: EventTime) -> std::io::Result<Option<OpenFile>> {
        if path.as_os_str() == "-" {
            let index = self
                .ingest
                .open(&self.options.name, "-", 0, &Resume::default());
            return Ok(Some(OpenFile {
                path: path.to_owned(),
                identity: "-".to_owned(),
                index,
                reader: Box::new(BufReader::new(std::io::stdin())),
                file: None,
                next: 0,
                packed: true,
                done: false,
                arrived: now,
            }));
        }
        let mut file = File::open(path)?;
        let Some(identity) = identity(&mut file, self.options.config.follow)? else {
            return Ok(None);
        };
        if self.open.iter().any(|it| it.identity == identity) {
            return Ok(None);
        }
        let name = path
            .file_name()
            .map(|it| it.to_string_lossy().into_owned())
            .unwrap_or_default();
        let packed = matches!(name.rsplit('.').next(), Some("gz" | "zst" | "zstd"));
        let resume = self
            .positions
            .iter()
            .find(|it| it.topic == identity)
            .map_or_else(Resume::default, |it| Resume {
                next: it.next,
                watermark: it.watermark,
                limiter: it.limiter.clone(),
            });
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
        for _ in 0..10_000 {
            let Some(file) = self.open.get_mut(place) else {
                return Ok(any);
            };
            if stop.is_cancelled() {
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
                    tracing::error!(file = %file.path.display(), %error, "file cannot be read on");
                    file.done = true;
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
                stopped: None,
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

impl OpenFile {
    /// Reads on from an earlier place; by the file itself, since another may stand under its name.
    fn go_back(&mut self, at: u64) -> std::io::Result<()> {
        if let Some(file) = &self.file {
            let mut file = file.try_clone()?;
            file.seek(SeekFrom::Start(at))?;
            self.reader = Box::new(BufReader::with_capacity(1 << 20, file));
        }
        Ok(())
    }

    /// Tells whether the file was deleted and is read to its end: nothing more can come.
    fn is_gone(&self) -> bool {
        let links = self.file.as_ref().and_then(|it| it.metadata().ok());
        self.done && links.is_some_and(|it| it.nlink() == 0)
    }
}

/// Tells whether another file stands under the name now (the log was rotated).
fn replaced(open: &OpenFile) -> bool {
    if !open.done {
        return false;
    }
    let Ok(mut file) = File::open(&open.path) else {
        return false;
    };
    identity(&mut file, true).is_ok_and(|it| it.is_some_and(|it| it != open.identity))
}

/// Returns what tells a file from any other; `None` while its first line is still `growing`.
fn identity(file: &mut File, growing: bool) -> std::io::Result<Option<String>> {
    let metadata = file.metadata()?;
    let mut head = Vec::with_capacity(HEAD);
    file.take(HEAD as u64).read_to_end(&mut head)?;
    file.seek(SeekFrom::Start(0))?;
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

fn modified(file: &File) -> Option<EventTime> {
    let metadata = file.metadata().ok()?;
    Some(EventTime::from_seconds(metadata.mtime()))
}
