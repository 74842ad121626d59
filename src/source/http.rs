//! Records posted to the API, as newline-separated JSON. Answered after the counts are stored.
//!
//! Positions are the number of lines taken so far. A post that is repeated because its answer was lost
//! is counted again, unless it carries an idempotency key that we have seen.

use std::collections::VecDeque;

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::{Careful, Delivery, Outlet, OutletClosed, PartitionStatus, WallClock};
use crate::detect::Position;
use crate::ingest::{Ingest, PartitionIndex, Resume};
use crate::model::{EventTime, RawRecord, Totals};

/// Idempotency keys that are remembered.
const KEYS_MAX: usize = 10_000;

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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Sums over its lines.
    pub totals: Totals,
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
    keys: VecDeque<(String, Totals)>,
    clock: WallClock,
}

impl HttpReader {
    /// Makes the reader.
    pub fn new(
        name: String,
        (mut ingest, careful): (Ingest, Careful),
        positions: &[Position],
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
            name,
            ingest,
            careful,
            index,
            next: resume.next,
            keys: VecDeque::new(),
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
        self.deliver(None, None, outlet)?;
        while let Some(post) = posts.blocking_recv() {
            if stop.is_cancelled() {
                break;
            }
            let receipt = match self.known(&post) {
                Some(totals) => Receipt {
                    totals,
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
    fn known(&self, post: &Post) -> Option<Totals> {
        let key = post.key.as_ref()?;
        self.keys
            .iter()
            .find(|it| it.0 == *key)
            .map(|it| it.1.clone())
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
        let totals = self.deliver(Some(arrived), Some(stored), outlet)?;
        waited.blocking_recv().map_err(|_| OutletClosed)?;
        if let Some(key) = &post.key {
            self.keys.push_back((key.clone(), totals.clone()));
            if self.keys.len() > KEYS_MAX {
                self.keys.pop_front();
            }
        }
        Ok(Receipt {
            totals,
            duplicate: false,
        })
    }

    fn deliver(
        &mut self,
        last_arrived: Option<EventTime>,
        stored: Option<oneshot::Sender<()>>,
        outlet: &Outlet,
    ) -> Result<Totals, OutletClosed> {
        let status = PartitionStatus {
            topic: TOPIC.to_owned(),
            partition: 0,
            next: self.next,
            end: Some(self.next),
            at_end: true,
            last_arrived,
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
        let (source, partitions) = (self.name.clone(), vec![status]);
        outlet
            .blocking_send(Delivery::Counts {
                source,
                batches,
                partitions,
                stored,
            })
            .map_err(|_| OutletClosed)?;
        Ok(totals)
    }
}
