//! Counting and timing, as property `stats` shows it.

use std::time::Duration;

use crate::temporal::meter::Errors;
use crate::temporal::scene_cut::Change;
use crate::temporal::stabilizer::Report;

/// How many of the last frames the times are about.
const WINDOW: usize = 256;

/// The numbers behind property `stats`.
#[derive(Debug, Clone, Default)]
pub struct Stats {
    frames: u64,
    inferred: u64,
    inference: Window,
    convert: Window,
    motion: Window,
    blend: Window,
    trust: f32,
    errors: Errors,
    cuts: u64,
    provider: String,
    size: (usize, usize),
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

    /// The smallest value that at least `share` of the values do not exceed.
    fn percentile(&self, share: f64) -> f64 {
        let mut sorted = self.values.clone();
        sorted.sort_by(f32::total_cmp);
        let rank = (share * sorted.len() as f64).ceil() as usize;
        sorted.get(rank.saturating_sub(1)).map_or(0.0, |v| f64::from(*v))
    }
}

impl Stats {
    /// A model was loaded or sizes were settled.
    pub fn configured(&mut self, provider: &str, size: (usize, usize)) {
        self.provider = provider.to_owned();
        self.size = size;
    }

    /// A frame was passed on without inference.
    pub fn passed(&mut self) {
        self.frames += 1;
    }

    /// A frame was painted: `whole` is the time for everything, `inference` the generator's part.
    pub fn painted(&mut self, whole: Duration, inference: Duration) {
        self.frames += 1;
        self.inferred += 1;
        self.inference.push(inference);
        self.convert.push(whole.saturating_sub(inference));
    }

    /// What the history had to do with a painted frame; not called while smoothing is off.
    pub fn steadied(&mut self, report: Report) {
        self.motion.push(report.motion);
        self.blend.push(report.blend);
        // Eases over about thirty frames.
        self.trust += (report.trust - self.trust) / 30.0;
        self.errors = report.errors;
        self.cuts += u64::from(report.change == Change::Cut);
    }

    /// The provider in use; empty before a model is loaded.
    pub fn provider(&self) -> &str {
        &self.provider
    }

    /// The part of the raw paintings' warping error that smoothing took off.
    fn gain(&self) -> f64 {
        match self.errors.raw > 0.0 {
            true => 1.0 - f64::from(self.errors.shown / self.errors.raw),
            false => 0.0,
        }
    }

    /// As property `stats` shows it.
    pub fn to_structure(&self) -> gst::Structure {
        gst::Structure::builder("styletransfer-stats")
            .field("frames", self.frames)
            .field("inferred", self.inferred)
            .field("inference-ms-mean", self.inference.mean())
            .field("inference-ms-p95", self.inference.percentile(0.95))
            .field("convert-ms-mean", self.convert.mean())
            .field("motion-ms-mean", self.motion.mean())
            .field("blend-ms-mean", self.blend.mean())
            .field("temporal-confidence", f64::from(self.trust))
            .field("temporal-error", f64::from(self.errors.shown))
            .field("temporal-gain", self.gain())
            .field("cuts", self.cuts)
            .field("provider", &self.provider)
            .field("inference-width", self.size.0 as u32)
            .field("inference-height", self.size.1 as u32)
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
        assert_eq!(window.percentile(1.0), (WINDOW + 9) as f64);
        assert_eq!(Window::default().percentile(0.95), 0.0);
    }
}
