//! The backtest driver: pre-counted records in time order through the same detector as live.
//!
//! It must never read a label or look ahead. Invariant: one line per firing and one per end, with
//! the time of the deciding minute.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::self_exposure::SelfExposure;
use super::{CellCount, CellExposure, Detector, Firing, Kind, Params, SELF_EXPOSURE_DRIFT};

/// A pre-counted record; unknown fields are ignored.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct CountLine {
    /// Start of the minute, seconds.
    pub t: i64,
    /// Name of the signature.
    pub signature: String,
    /// Name of the version.
    pub version: String,
    /// Name of the group.
    pub group: String,
    /// Events.
    pub count: u32,
    /// Exposure of the cell in this minute, used only when asked for.
    #[serde(default)]
    pub exposure: Option<f64>,
}

/// The exposure of a (version, group) in a minute.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct ExposureLine {
    /// Start of the minute, seconds.
    pub t: i64,
    /// Name of the version.
    pub version: String,
    /// Name of the group.
    pub group: String,
    /// Requests.
    pub exposure: f64,
}

/// One output line.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AlertLine {
    /// Start of the deciding minute, seconds.
    pub t: i64,
    /// Name of the signature.
    pub signature: String,
    /// Name of the version.
    pub version: String,
    /// `spike`, `new`, `silent` or `resolved`.
    pub kind: &'static str,
    /// Whether the page threshold was passed at the start.
    pub page: bool,
    /// Evidence, nats.
    pub score: f64,
    /// The deciding window, minutes.
    pub window_minutes: u32,
    /// Events in the window.
    pub count: f64,
    /// Events expected in the window.
    pub expected: f64,
}

/// Where the exposure comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExposureSource {
    /// From exposure lines.
    Given,
    /// From the `exposure` field of the counts.
    Inline,
    /// Estimated from the counts.
    Estimated,
}

/// Numbers names by first appearance.
#[derive(Debug, Default)]
struct Names {
    numbers: BTreeMap<String, u32>,
    names: Vec<String>,
}

impl Names {
    fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        self.numbers.insert(name.to_owned(), number);
        self.names.push(name.to_owned());
        number
    }

    fn name(&self, number: u32) -> String {
        let i = usize::try_from(number).unwrap_or(usize::MAX);
        self.names.get(i).cloned().unwrap_or_default()
    }
}

/// Holds a running backtest.
#[derive(Debug)]
pub struct Backtest {
    detector: Detector,
    source: ExposureSource,
    estimator: SelfExposure,
    signatures: Names,
    versions: Names,
    groups: Names,
    minute: Option<i64>,
    counts: Vec<CellCount>,
    exposure: Vec<CellExposure>,
    firings: Vec<Firing>,
    out: Vec<AlertLine>,
    late: u64,
}

/// Most minutes without a record that are stepped through one by one: a day.
const GAP_MINUTES_MAX: i64 = 1440;

impl Backtest {
    /// Starts a backtest.
    pub fn new(mut params: Params, source: ExposureSource) -> Self {
        if source == ExposureSource::Estimated && params.exposure_drift <= 0.0 {
            params.exposure_drift = SELF_EXPOSURE_DRIFT;
        }
        Self {
            detector: Detector::new(params),
            source,
            estimator: SelfExposure::default(),
            signatures: Names::default(),
            versions: Names::default(),
            groups: Names::default(),
            minute: None,
            counts: Vec::new(),
            exposure: Vec::new(),
            firings: Vec::new(),
            out: Vec::new(),
            late: 0,
        }
    }

    /// Adds a count; minutes must not fall (one that does is taken in the present minute and
    /// counted as late).
    pub fn count(&mut self, line: &CountLine) {
        self.turn(line.t.div_euclid(60));
        let version = self.versions.number(&line.version);
        let group = self.groups.number(&line.group);
        let signature = self.signatures.number(&line.signature);
        self.counts.push(CellCount {
            signature,
            version,
            group,
            count: line.count,
        });
        let known = self
            .exposure
            .iter()
            .any(|e| e.version == version && e.group == group);
        if let (ExposureSource::Inline, Some(exposure), false) = (self.source, line.exposure, known)
        {
            self.exposure.push(CellExposure {
                version,
                group,
                exposure,
            });
        }
    }

    /// Adds an exposure; ignored unless exposure is given by lines.
    pub fn exposure(&mut self, line: &ExposureLine) {
        self.turn(line.t.div_euclid(60));
        if self.source == ExposureSource::Given {
            let version = self.versions.number(&line.version);
            let group = self.groups.number(&line.group);
            self.exposure.push(CellExposure {
                version,
                group,
                exposure: line.exposure,
            });
        }
    }

    fn turn(&mut self, minute: i64) {
        match self.minute {
            Some(now) if minute < now => self.late += 1,
            Some(now) if minute == now => {}
            Some(now) => {
                self.close(now);
                for empty in (now + 1..minute).take(usize::try_from(GAP_MINUTES_MAX).unwrap_or(0)) {
                    self.close(empty);
                }
                self.minute = Some(minute);
            }
            None => self.minute = Some(minute),
        }
    }

    fn close(&mut self, minute: i64) {
        if self.source == ExposureSource::Estimated {
            self.estimator.minute(&self.counts, &mut self.exposure);
        }
        self.firings.clear();
        self.detector
            .minute(minute, &self.exposure, &self.counts, &mut self.firings);
        self.counts.clear();
        self.exposure.clear();
        let from = self.out.len();
        for firing in self.firings.iter().filter(|f| !f.renewal) {
            self.out.push(AlertLine {
                t: firing.t_minute * 60,
                signature: self.signatures.name(firing.signature),
                version: self.versions.name(firing.version),
                kind: name_of(firing.kind),
                page: firing.page,
                score: (firing.score * 100.0).round() / 100.0,
                window_minutes: firing.window_minutes,
                count: firing.count,
                expected: firing.expected,
            });
        }
        if let Some(lines) = self.out.get_mut(from..) {
            lines.sort_by(|a, b| (&a.signature, &a.version).cmp(&(&b.signature, &b.version)));
        }
    }

    /// Gives the lines said since the last call.
    pub fn take(&mut self) -> Vec<AlertLine> {
        std::mem::take(&mut self.out)
    }

    /// Ends the last minute and gives the lines that are left.
    pub fn finish(&mut self) -> Vec<AlertLine> {
        if let Some(minute) = self.minute.take() {
            self.close(minute);
        }
        self.take()
    }

    /// Counts the records that came out of order.
    pub fn late(&self) -> u64 {
        self.late
    }

    /// Gives the detector.
    pub fn detector(&self) -> &Detector {
        &self.detector
    }
}

/// Runs a whole backtest: both inputs in time order; gives the lines to `sink`.
pub fn run(
    params: Params,
    counts: impl Iterator<Item = CountLine>,
    exposure: Option<impl Iterator<Item = ExposureLine>>,
    inline: bool,
    mut sink: impl FnMut(AlertLine),
) -> Backtest {
    let source = match (&exposure, inline) {
        (_, true) => ExposureSource::Inline,
        (Some(_), false) => ExposureSource::Given,
        (None, false) => ExposureSource::Estimated,
    };
    let mut backtest = Backtest::new(params, source);
    let mut exposure = exposure.into_iter().flatten().peekable();
    for line in counts {
        while let Some(cell) = exposure.next_if(|e| e.t.div_euclid(60) <= line.t.div_euclid(60)) {
            backtest.exposure(&cell);
        }
        backtest.count(&line);
        backtest.take().into_iter().for_each(&mut sink);
    }
    for cell in exposure {
        backtest.exposure(&cell);
        backtest.take().into_iter().for_each(&mut sink);
    }
    backtest.finish().into_iter().for_each(&mut sink);
    backtest
}

fn name_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Spike | Kind::Regressed => "spike",
        Kind::New => "new",
        Kind::Silent => "silent",
        Kind::Resolved => "resolved",
    }
}
