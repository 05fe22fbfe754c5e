//! Statistics: counts and times, as property `stats` and message `styletransfer-stats` show them.
//!
//! Comes in: how each frame came about and what it took. Goes out: a structure with the fields of [`FIELDS`].

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::messages::STATS;
use crate::confidence::scene_cut::Change;
use crate::metrics::meter::Errors;
use crate::schedule::governor::Step;
use crate::temporal::stabilizer::Report;

/// Times are those of the last one to two times as many frames.
const WINDOW: u64 = 256;

/// Every field, with type and unit, as the documentation lists them. `STAGE` is one of [`STAGES`].
#[cfg(test)]
pub const FIELDS: &[(&str, &str)] = &[
    ("frames-in", "guint64, frames that came in"),
    ("frames", "guint64, frames that left"),
    ("inferred", "guint64, frames with an inference of their own"),
    ("propagated", "guint64, frames that are the stylized frame before, moved along the motion"),
    ("passthrough", "guint64, frames that left as they came"),
    ("dropped", "guint64, frames left out because they were late"),
    ("fps", "double, frames per second over the last frames"),
    ("STAGE-ms-mean", "double, milliseconds"),
    ("STAGE-ms-p50", "double, milliseconds, median"),
    ("STAGE-ms-p95", "double, milliseconds, 95th percentile"),
    ("STAGE-ms-p99", "double, milliseconds, 99th percentile"),
    ("temporal-confidence", "double, 0 to 1, mean confidence in the history"),
    ("temporal-error", "double, warping error of the output, squared differences of 0 to 1 values"),
    ("temporal-gain", "double, share of the raw stylized frames' warping error that smoothing removes"),
    ("cuts", "guint64, scene cuts; the first frame counts as one"),
    ("provider", "string, execution provider in use"),
    ("inference-width", "uint, pixels"),
    ("inference-height", "uint, pixels"),
    ("governor-step", "string, `1/DIVISOR@INTERVAL` or `off`"),
    ("latency-ms", "double, milliseconds, the reported latency"),
];

/// Stages that times are measured of: inference, conversion and the rest, warp and blend, motion search, the whole frame.
pub const STAGES: [&str; 5] = ["inference", "convert", "temporal", "motion", "whole"];

/// The numbers behind property `stats`.
#[derive(Debug, Clone, Default)]
pub struct Stats {
    seen: u64,
    frames: u64,
    inferred: u64,
    propagated: u64,
    passthrough: u64,
    dropped: u64,
    inference: Times,
    convert: Times,
    motion: Times,
    temporal: Times,
    whole: Times,
    between: Times,
    last: Option<Instant>,
    reported: Option<Instant>,
    confidence: f32,
    errors: Errors,
    cuts: u64,
    provider: String,
    size: (usize, usize),
    step: Option<Step>,
    latency: Duration,
}

/// How an output frame came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// Stylized, in so much time of the generator.
    Inferred(Duration),
    /// Propagated along the motion.
    Propagated,
    /// Stylized earlier and delayed by lookahead.
    Delayed,
    /// Not stylized.
    Passthrough,
}

/// Times of the last frames: two histograms in turn, of which the older is dropped when the newer is full.
#[derive(Debug, Clone)]
struct Times {
    newer: Histogram<u64>,
    older: Histogram<u64>,
}

/// Microseconds, up to a minute, to two digits.
fn histogram() -> Histogram<u64> {
    match Histogram::new_with_bounds(1, 60_000_000, 2) {
        Ok(histogram) => histogram,
        Err(_) => unreachable!("the bounds are constants"),
    }
}

impl Default for Times {
    fn default() -> Self {
        Self { newer: histogram(), older: histogram() }
    }
}

impl Times {
    fn push(&mut self, took: Duration) {
        if self.newer.len() >= WINDOW {
            std::mem::swap(&mut self.newer, &mut self.older);
            self.newer.reset();
        }
        self.newer.saturating_record(took.as_micros().max(1) as u64);
    }

    /// Milliseconds: mean, median, 95th and 99th percentile; 0 without frames.
    fn summary(&self) -> [f64; 4] {
        let mut both = self.newer.clone();
        // Both have the same bounds.
        let _ = both.add(&self.older);
        if both.is_empty() {
            return [0.0; 4];
        }
        let at = |quantile: f64| both.value_at_quantile(quantile) as f64;
        [both.mean(), at(0.5), at(0.95), at(0.99)].map(|microseconds| microseconds / 1e3)
    }
}

impl Stats {
    /// A model was loaded or sizes were negotiated.
    pub fn configured(&mut self, provider: &str, size: (usize, usize)) {
        if self.provider != provider {
            self.provider = provider.to_owned();
        }
        self.size = size;
    }

    /// A frame came in.
    pub fn seen(&mut self) {
        self.seen += 1;
    }

    /// A frame was left out because it was late.
    pub fn dropped(&mut self) {
        self.dropped += 1;
    }

    /// A frame is done: `whole` is the time for everything, `temporal` for warp and blend.
    pub fn shown(&mut self, how: Shown, whole: Duration, temporal: Duration) {
        self.frames += 1;
        let inference = match how {
            Shown::Inferred(took) => {
                self.inferred += 1;
                self.inference.push(took);
                took
            }
            Shown::Propagated => {
                self.propagated += 1;
                Duration::ZERO
            }
            Shown::Delayed => {
                self.inferred += 1;
                return;
            }
            Shown::Passthrough => {
                self.passthrough += 1;
                return;
            }
        };
        self.whole.push(whole);
        self.temporal.push(temporal);
        self.convert.push(whole.saturating_sub(inference).saturating_sub(temporal));
        let now = Instant::now();
        if let Some(last) = self.last.replace(now) {
            self.between.push(now - last);
        }
    }

    /// The governor's step.
    pub fn governed(&mut self, step: Option<Step>) {
        self.step = step;
    }

    /// The reported latency.
    pub fn latency(&mut self, latency: Duration) {
        self.latency = latency;
    }

    /// The stabilizer's report of a frame; not called while smoothing is off.
    pub fn stabilized(&mut self, report: Report) {
        self.motion.push(report.motion);
        // Eases over about thirty frames.
        self.confidence += (report.confidence - self.confidence) / 30.0;
        self.errors = report.errors;
        self.cuts += u64::from(report.change == Change::Cut);
    }

    /// The statistics, if the last were posted at least `interval` ago. Zero: never.
    pub fn due(&mut self, interval: Duration) -> Option<gst::Structure> {
        let now = Instant::now();
        let last = *self.reported.get_or_insert(now);
        (!interval.is_zero() && now - last >= interval).then(|| {
            self.reported = Some(now);
            self.to_structure()
        })
    }

    /// The provider in use; empty before a model is loaded.
    pub fn provider(&self) -> &str {
        &self.provider
    }

    /// The share of the raw stylized frames' warping error that smoothing removes.
    fn gain(&self) -> f64 {
        match self.errors.raw > 0.0 {
            true => 1.0 - f64::from(self.errors.shown / self.errors.raw),
            false => 0.0,
        }
    }

    /// As property `stats` shows it.
    pub fn to_structure(&self) -> gst::Structure {
        let [between, ..] = self.between.summary();
        let mut builder = gst::Structure::builder(STATS)
            .field("frames-in", self.seen)
            .field("frames", self.frames)
            .field("inferred", self.inferred)
            .field("propagated", self.propagated)
            .field("passthrough", self.passthrough)
            .field("dropped", self.dropped)
            .field("fps", if between > 0.0 { 1e3 / between } else { 0.0 });
        let times = [&self.inference, &self.convert, &self.temporal, &self.motion, &self.whole];
        for (stage, times) in STAGES.iter().zip(times) {
            for (what, number) in ["mean", "p50", "p95", "p99"].iter().zip(times.summary()) {
                builder = builder.field(format!("{stage}-ms-{what}"), number);
            }
        }
        builder
            .field("temporal-confidence", f64::from(self.confidence))
            .field("temporal-error", f64::from(self.errors.shown))
            .field("temporal-gain", self.gain())
            .field("cuts", self.cuts)
            .field("provider", &self.provider)
            .field("inference-width", self.size.0 as u32)
            .field("inference-height", self.size.1 as u32)
            .field("governor-step", self.step.map_or("off".to_owned(), |step| step.to_string()))
            .field("latency-ms", self.latency.as_secs_f64() * 1e3)
            .build()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_last_frames() {
        let mut times = Times::default();
        (0..WINDOW).for_each(|_| times.push(Duration::from_millis(900)));
        assert!((times.summary()[1] - 900.0).abs() < 9.0);
        (0..3 * WINDOW).for_each(|i| times.push(Duration::from_millis(1 + i % 64)));
        let [mean, p50, p95, p99] = times.summary();
        assert!((mean - 32.5).abs() < 1.0 && (p50 - 32.0).abs() < 1.0, "{mean} {p50}");
        assert!((p95 - 61.0).abs() < 1.0 && (p99 - 64.0).abs() < 1.0, "{p95} {p99}");
        assert_eq!(Times::default().summary(), [0.0; 4]);
    }

    #[test]
    fn the_structure_has_the_documented_fields() {
        gst::init().unwrap();
        let found: Vec<String> = Stats::default().to_structure().fields().map(|f| f.to_string()).collect();
        let mut wanted: Vec<String> = Vec::new();
        for (field, _) in FIELDS {
            match field.strip_prefix("STAGE") {
                Some(rest) => wanted.extend(STAGES.iter().map(|stage| format!("{stage}{rest}"))),
                None => wanted.push((*field).to_owned()),
            }
        }
        assert!(found.len() == wanted.len() && wanted.iter().all(|w| found.contains(w)), "{found:?} {wanted:?}");
    }
}
