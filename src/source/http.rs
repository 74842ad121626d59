//! Records posted to the API, as newline-separated JSON. Answered after the counts are stored.
//!
//! Positions are the number of lines taken so far. A post that is repeated because its answer was lost
//! is counted again, unless it carries an idempotency key, which is stored with its counts.

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::keys::{Keys, Row, Sums};
use super::{Careful, Delivery, Outlet, OutletClosed, PartitionStatus, WallClock};
use crate::detect::Position;
use crate::ingest::{Ingest, PartitionIndex, Resume};
use crate::model::{EventTime, RawRecord, Totals};

/// Stands in for a topic.
const TOPIC: &str = "http";

/// One post.
#[derive(Debug)]
pub struct Post {
    /// Lines.
    pub body: Vec<u8>,
    /// The client's own name for this post, to make a repetition harmless.
    pub key: Option<String>,
    /// Answered after the lines are stored.
    pub stored: oneshot::Sender<Receipt>,
}

/// What became of a post.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Sums over its lines.
    pub sums: Sums,
    /// Whether it was counted before, and not again now.
    pub duplicate: bool,
}

/// The HTTP source at work.
#[derive(Debug)]
pub struct HttpReader {
    name: String,
    ingest: Ingest,
    careful: Careful,
    index: PartitionIndex,
    next: u64,
    keys: Keys,
    clock: WallClock,
}

impl HttpReader {
    /// Makes the reader.
    pub fn new(
        name: String,
        (mut ingest, careful): (Ingest, Careful),
        (positions, rows): (&[Position], &[Row]),
        clock: WallClock,
    ) -> Self {
        let resume =
            positions
                .iter()
                .find(|it| it.source == name)
                .map_or_else(Resume::default, |it| Resume {
                    next: it.next,
                    watermark: it.watermark,
                    limiter: it.limiter.clone(),
                });
        let index = ingest.open(&name, TOPIC, 0, &resume);
        Self {
            keys: Keys::restore(&name, rows),
            name,
            ingest,
            careful,
            index,
            next: resume.next,
            clock,
        }
    }

    /// Takes posts until told to stop.
    pub fn run(
        mut self,
        posts: mpsc::Receiver<Post>,
        outlet: &Outlet,
        stop: &CancellationToken,
    ) -> Result<(), OutletClosed> {
        let end = self.read(posts, outlet, stop);
        self.careful.finish();
        end
    }

    fn read(
        &mut self,
        mut posts: mpsc::Receiver<Post>,
        outlet: &Outlet,
        stop: &CancellationToken,
    ) -> Result<(), OutletClosed> {
        // Says that the source is there, before anybody posts.
        self.deliver(None, outlet)?;
        while let Some(post) = posts.blocking_recv() {
            if stop.is_cancelled() {
                break;
            }
            let receipt = match self.known(&post) {
                Some(sums) => Receipt {
                    sums,
                    duplicate: true,
                },
                None => self.take(&post, outlet)?,
            };
            // The client may have gone away; its lines are stored all the same.
            post.stored.send(receipt).ok();
        }
        Ok(())
    }

    /// Returns what became of an earlier post with the same key, whose answer was lost.
    fn known(&self, post: &Post) -> Option<Sums> {
        self.keys.get(post.key.as_ref()?)
    }

    /// Counts the lines of a post and waits until they are stored.
    fn take(&mut self, post: &Post, outlet: &Outlet) -> Result<Receipt, OutletClosed> {
        let arrived = (self.clock)();
        for line in post.body.split(|&it| it == b'\n') {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if !line.is_empty() {
                let (offset, next_offset) = (self.next, self.next + 1);
                let record = RawRecord {
                    offset,
                    next_offset,
                    payload: Some(line),
                    arrived,
                };
                let place = (self.index, TOPIC, 0);
                self.careful.work(&mut self.ingest, place, &record);
                self.next = next_offset;
            }
        }
        let (stored, waited) = oneshot::channel();
        let post = (arrived, post.key.as_deref(), stored);
        let sums = self.deliver(Some(post), outlet)?;
        waited.blocking_recv().map_err(|_| OutletClosed)?;
        Ok(Receipt {
            sums,
            duplicate: false,
        })
    }

    fn deliver(
        &mut self,
        post: Option<(EventTime, Option<&str>, oneshot::Sender<()>)>,
        outlet: &Outlet,
    ) -> Result<Sums, OutletClosed> {
        let status = PartitionStatus {
            topic: TOPIC.to_owned(),
            partition: 0,
            next: self.next,
            end: Some(self.next),
            at_end: true,
            last_arrived: post.as_ref().map(|it| it.0),
            stopped: None,
        };
        let places = self.careful.cut();
        if !places.is_empty() {
            outlet
                .blocking_send(Delivery::SteppedOver { places })
                .map_err(|_| OutletClosed)?;
        }
        let batches = self.ingest.cut();
        let mut totals = Totals::default();
        for batch in &batches {
            totals.add(&batch.totals);
        }
        let sums = Sums {
            read: totals.read,
            counted: totals.counted,
            capped: totals.capped,
            rejected: totals.rejected_sum(),
        };
        if let Some((arrived, Some(key), _)) = &post {
            self.keys.remember(key, *arrived, sums);
        }
        let (source, partitions) = (self.name.clone(), vec![status]);
        outlet
            .blocking_send(Delivery::Counts {
                source,
                batches,
                partitions,
                rows: self.keys.take_changed(),
                stored: post.map(|it| it.2),
            })
            .map_err(|_| OutletClosed)?;
        Ok(sums)
    }
}
