//! How late frames leave the element, as it tells the pipeline.

use std::time::Duration;

/// Frames that are looked at together.
const WINDOW: usize = 60;
/// As many of them may take longer than is told: a machine hiccups now and then.
const OUTLIERS: usize = 2;
/// What is told is a multiple of this.
const GRAIN: Duration = Duration::from_millis(5);
/// So many windows in a row must need less than half before less is told.
const PATIENCE: u32 = 10;

/// Measures what frames take and settles on what to tell.
#[derive(Debug, Default)]
pub struct LatencyMeter {
    told: Duration,
    window: Vec<Duration>,
    small: u32,
}

impl LatencyMeter {
    /// Starts anew from how long one run of the generator takes.
    pub fn start(&mut self, rehearsed: Duration) -> Duration {
        self.told = rounded_up(rehearsed.mul_f32(1.5) + GRAIN);
        self.window.clear();
        self.window.reserve_exact(WINDOW);
        self.small = 0;
        self.told
    }

    /// A frame took so long. Returns what to tell when it changes.
    pub fn frame(&mut self, took: Duration) -> Option<Duration> {
        self.window.push(took);
        if self.window.len() < WINDOW {
            return None;
        }
        self.window.sort_unstable();
        let needed = rounded_up(self.window[WINDOW - 1 - OUTLIERS].mul_f32(1.1));
        self.window.clear();
        self.small = if 2 * needed < self.told { self.small + 1 } else { 0 };
        let changes = needed > self.told || self.small >= PATIENCE;
        changes.then(|| {
            (self.told, self.small) = (needed, 0);
            needed
        })
    }
}

fn rounded_up(time: Duration) -> Duration {
    GRAIN * time.as_nanos().div_ceil(GRAIN.as_nanos()).max(1) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    fn after(meter: &mut LatencyMeter, frames: usize, took: u64) -> Vec<Duration> {
        (0..frames).filter_map(|_| meter.frame(MS(took))).collect()
    }

    #[test]
    fn it_grows_at_once_shrinks_slowly_and_overlooks_hiccups() {
        let mut meter = LatencyMeter::default();
        assert_eq!(meter.start(MS(20)), MS(35));
        assert_eq!(after(&mut meter, 58, 21), []);
        assert_eq!(after(&mut meter, 2, 900), [], "two hiccups in two seconds");
        assert_eq!(after(&mut meter, 60, 40), [MS(45)]);
        assert_eq!(after(&mut meter, 9 * 60, 10), []);
        assert_eq!(after(&mut meter, 60, 10), [MS(15)]);
    }
}
