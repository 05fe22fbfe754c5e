//! The latency that the element reports to the pipeline.
//!
//! Comes in: how long each frame took, and how late it was downstream. Goes out: a latency that few frames exceed and that
//! changes seldom.

use std::time::Duration;

/// Frames that are looked at together.
const WINDOW: usize = 60;
/// As many of them may take longer than reported: single outliers do not count.
const OUTLIERS: usize = 2;
/// As many late frames in a window show that the reported latency is too short; and its limit for that reason.
const MANY: u32 = 15;
const LONGEST: Duration = Duration::from_millis(200);
/// The reported latency is a multiple of this.
const GRAIN: Duration = Duration::from_millis(5);
/// As many windows in a row must need less than half before less is reported.
const PATIENCE: u32 = 10;

/// Measures how long frames take and derives the latency to report.
#[derive(Debug, Default)]
pub struct LatencyMeter {
    reported: Duration,
    window: Vec<Duration>,
    late: u32,
    lateness: Duration,
    small: u32,
}

impl LatencyMeter {
    /// The latency to report.
    pub fn reported(&self) -> Duration {
        self.reported
    }

    /// Starts anew from how long a frame is expected to take.
    pub fn start(&mut self, expected: Duration) {
        self.reported = rounded_up(expected.mul_f32(1.5) + GRAIN);
        self.window.clear();
        self.window.reserve_exact(WINDOW);
        self.small = 0;
    }

    /// A frame took so long, and the one before was so late downstream (zero: it was not).
    pub fn frame(&mut self, took: Duration, late: Duration) {
        self.window.push(took);
        self.late += u32::from(!late.is_zero());
        self.lateness += late;
        if self.window.len() < WINDOW {
            return;
        }
        self.window.sort_unstable();
        let mut needed = rounded_up(self.window[WINDOW - 1 - OUTLIERS].mul_f32(1.1));
        if self.late >= MANY {
            // Frames also wait in a queue before the element: the reported latency does not include that.
            needed = needed.max(rounded_up(self.reported + self.lateness / self.late)).min(LONGEST.max(needed));
        }
        (self.late, self.lateness) = (0, Duration::ZERO);
        self.window.clear();
        self.small = if 2 * needed < self.reported { self.small + 1 } else { 0 };
        if needed > self.reported || self.small >= PATIENCE {
            (self.reported, self.small) = (needed, 0);
        }
    }
}

fn rounded_up(time: Duration) -> Duration {
    GRAIN * time.as_nanos().div_ceil(GRAIN.as_nanos()).max(1) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    fn after(meter: &mut LatencyMeter, frames: usize, took: u64) -> Duration {
        (0..frames).for_each(|_| meter.frame(MS(took), Duration::ZERO));
        meter.reported()
    }

    #[test]
    fn it_grows_at_once_shrinks_slowly_and_overlooks_hiccups() {
        let mut meter = LatencyMeter::default();
        meter.start(MS(20));
        assert_eq!(after(&mut meter, 58, 21), MS(35));
        assert_eq!(after(&mut meter, 2, 900), MS(35), "two hiccups in two seconds");
        assert_eq!(after(&mut meter, 60, 40), MS(45));
        assert_eq!(after(&mut meter, 9 * 60, 10), MS(45));
        assert_eq!(after(&mut meter, 60, 10), MS(15));
        (0..60).for_each(|i| meter.frame(MS(10), if i % 2 == 0 { MS(12) } else { Duration::ZERO }));
        assert_eq!(meter.reported(), MS(30), "half of the frames came 12 ms late");
    }
}
