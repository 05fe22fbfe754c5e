//! The frame rate of a stream, measured: a rate in caps is a claim that cameras, RTSP and phones often get wrong.
//!
//! Comes in: the claim and the times of the frames. Goes out: the period between two frames.

use std::time::Duration;

/// Intervals that the median is taken of.
const WINDOW: usize = 16;
/// As many intervals must be known before the measurement takes the place of the claim.
const ENOUGH: usize = 4;
/// Claims outside of these are not believed: 1000/1, 90000/1, 1/1 and 0/1 are common placeholders.
const PLAUSIBLE: std::ops::RangeInclusive<f64> = 5.0..=240.0;
/// Assumed until the rate is measured, where the claim is not plausible.
const ASSUMED: Duration = Duration::from_nanos(33_333_333);
/// A longer gap is a pause, no frame period.
const PAUSE: Duration = Duration::from_secs(1);

/// Measures the period between frames.
#[derive(Debug, Default)]
pub struct RateMeter {
    claimed: Option<Duration>,
    last: Option<Duration>,
    intervals: [Duration; WINDOW],
    count: usize,
}

impl RateMeter {
    /// Caps claim `rate` frames per second; 0 for a varying rate.
    pub fn claim(&mut self, rate: f64) {
        self.claimed = PLAUSIBLE.contains(&rate).then(|| Duration::from_secs_f64(1.0 / rate));
    }

    /// Another stream: nothing is measured yet.
    pub fn restart(&mut self) {
        (self.last, self.count) = (None, 0);
    }

    /// A frame came in. `time` is its timestamp, or its arrival where it has none. After a `gap`, where frames were left
    /// out before the element, the interval says nothing.
    pub fn frame(&mut self, time: Duration, gap: bool) {
        let interval = self.last.replace(time).and_then(|last| time.checked_sub(last));
        if let Some(interval) = interval.filter(|i| !gap && !i.is_zero() && *i < PAUSE) {
            self.intervals[self.count % WINDOW] = interval;
            self.count += 1;
        }
    }

    /// Time between two frames: measured, else claimed, else that of 30 frames per second.
    pub fn period(&self) -> Duration {
        if self.count < ENOUGH {
            return self.claimed.unwrap_or(ASSUMED);
        }
        let mut known = self.intervals;
        let known = &mut known[..self.count.min(WINDOW)];
        known.sort_unstable();
        known[known.len() / 2]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn played(claim: f64, frames: impl Iterator<Item = (u64, bool)>) -> Duration {
        let mut meter = RateMeter::default();
        meter.claim(claim);
        frames.for_each(|(ms, gap)| meter.frame(Duration::from_millis(ms), gap));
        meter.period()
    }

    #[test]
    fn measured_intervals_replace_a_wrong_claim() {
        for claim in [0.0, 1.0, 12.5, 1000.0, 90_000.0] {
            assert_eq!(played(claim, (0..8).map(|i| (40 * i, false))), Duration::from_millis(40), "claim {claim}");
        }
    }

    #[test]
    fn before_the_measurement_only_plausible_claims_count() {
        assert_eq!(played(25.0, std::iter::empty()), Duration::from_millis(40));
        assert_eq!(played(90_000.0, std::iter::empty()), ASSUMED);
    }

    #[test]
    fn gaps_pauses_and_equal_times_do_not_count() {
        // Every second frame was left out by a leaky queue: the interval after it is no period.
        let leaky = (0..40).map(|i| (40 * (i + i / 4), i % 4 == 0));
        assert_eq!(played(25.0, leaky), Duration::from_millis(40));
        assert_eq!(played(25.0, (0..9).map(|_| (7, false))), Duration::from_millis(40));
        assert_eq!(played(25.0, (0..9).map(|i| (5000 * i, false))), Duration::from_millis(40));
    }
}
