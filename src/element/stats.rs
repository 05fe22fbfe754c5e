//! Counting and timing, as property `stats` shows it.

use std::time::{Duration, Instant};

use crate::confidence::scene_cut::Change;
use crate::metrics::meter::Errors;
use crate::schedule::governor::Step;
use crate::temporal::stabilizer::Report;

/// Name of the structure and of the message.
const NAME: &str = "styletransfer-stats";

/// How many of the last frames the times are about.
const WINDOW: usize = 256;

/// The numbers behind property `stats`.
#[derive(Debug, Clone, Default)]
pub struct Stats {
    seen: u64,
    frames: u64,
    inferred: u64,
    warped: u64,
    original: u64,
    dropped: u64,
    inference: Window,
    convert: Window,
    motion: Window,
    temporal: Window,
    whole: Window,
    between: Window,
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

/// How a frame came to be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// Stylized, in so much time of the generator.
    Inferred(Duration),
    /// Propagated along the motion.
    Propagated,
    /// As it came.
    Passthrough,
}

/// A ring of milliseconds.
#[derive(Debug, Clone, Default)]
struct Window {
    values: Vec<f32>,
    next: usize,
}

impl Window {
    fn push(&mut self, took: Duration) {
        let milliseconds = took.as_secs_f32() * 1e3;
        if self.values.len() < WINDOW {
            self.values.reserve_exact(WINDOW - self.values.len());
            self.values.push(milliseconds);
        } else {
            self.values[self.next] = milliseconds;
        }
        self.next = (self.next + 1) % WINDOW;
    }

    fn mean(&self) -> f64 {
        let sum: f64 = self.values.iter().map(|v| f64::from(*v)).sum();
        (sum + 0.0) / self.values.len().max(1) as f64
    }

    /// For each share the smallest value that at least so many of the values do not exceed.
    fn percentiles<const N: usize>(&self, shares: [f64; N]) -> [f64; N] {
        let mut sorted = self.values.clone();
        sorted.sort_by(f32::total_cmp);
        shares.map(|share| {
            let rank = (share * sorted.len() as f64).ceil() as usize;
            sorted.get(rank.saturating_sub(1)).map_or(0.0, |v| f64::from(*v))
        })
    }
}

impl Stats {
    /// A model was loaded or sizes were settled.
    pub fn configured(&mut self, provider: &str, size: (usize, usize)) {
        self.provider = provider.to_owned();
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

    /// A frame was done: `whole` is the time for everything, `temporal` for warp and blend.
    pub fn shown(&mut self, how: Shown, whole: Duration, temporal: Duration) {
        self.frames += 1;
        let inference = match how {
            Shown::Inferred(took) => {
                self.inferred += 1;
                self.inference.push(took);
                took
            }
            Shown::Propagated => {
                self.warped += 1;
                Duration::ZERO
            }
            Shown::Passthrough => {
                self.original += 1;
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

    /// The governor's step, and the latency that is told.
    pub fn governed(&mut self, step: Option<Step>, latency: Duration) {
        (self.step, self.latency) = (step, latency);
    }

    /// What the history had to do with a stylized frame; not called while smoothing is off.
    pub fn stabilized(&mut self, report: Report) {
        self.motion.push(report.motion);
        // Eases over about thirty frames.
        self.confidence += (report.confidence - self.confidence) / 30.0;
        self.errors = report.errors;
        self.cuts += u64::from(report.change == Change::Cut);
    }

    /// The statistics, if the last were told at least `interval` ago. Zero: never.
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

    /// The part of the raw stylized frames' warping error that smoothing took off.
    fn gain(&self) -> f64 {
        match self.errors.raw > 0.0 {
            true => 1.0 - f64::from(self.errors.shown / self.errors.raw),
            false => 0.0,
        }
    }

    /// As property `stats` shows it.
    pub fn to_structure(&self) -> gst::Structure {
        let between = self.between.mean();
        let mut builder = gst::Structure::builder(NAME)
            .field("frames-in", self.seen)
            .field("frames", self.frames)
            .field("inferred", self.inferred)
            .field("propagated", self.warped)
            .field("passthrough", self.original)
            .field("dropped", self.dropped)
            .field("fps", if between > 0.0 { 1e3 / between } else { 0.0 });
        let stages = [
            ("inference", &self.inference),
            ("convert", &self.convert),
            ("temporal", &self.temporal),
            ("motion", &self.motion),
            ("whole", &self.whole),
        ];
        for (stage, window) in stages {
            let [p50, p95, p99] = window.percentiles([0.5, 0.95, 0.99]);
            let numbers = [("mean", window.mean()), ("p50", p50), ("p95", p95), ("p99", p99)];
            for (what, number) in numbers {
                builder = builder.field(format!("{stage}-ms-{what}"), number);
            }
        }
        let step = self.step.map_or("off".to_owned(), |s| format!("1/{}@{}", s.divisor, s.interval));
        builder
            .field("temporal-confidence", f64::from(self.confidence))
            .field("temporal-error", f64::from(self.errors.shown))
            .field("temporal-gain", self.gain())
            .field("cuts", self.cuts)
            .field("provider", &self.provider)
            .field("inference-width", self.size.0 as u32)
            .field("inference-height", self.size.1 as u32)
            .field("governor-step", step)
            .field("latency-ms", self.latency.as_secs_f64() * 1e3)
            .build()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_keeps_the_newest() {
        let mut window = Window::default();
        (0..WINDOW + 10).for_each(|i| window.push(Duration::from_millis(i as u64)));
        assert_eq!(window.values.len(), WINDOW);
        assert!(window.values.iter().all(|v| *v >= 10.0));
        assert_eq!(window.percentiles([1.0]), [(WINDOW + 9) as f64]);
        assert_eq!(Window::default().percentiles([0.95]), [0.0]);
    }
}
