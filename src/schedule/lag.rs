//! How far a live stream is behind its clock, and what to do about it where nothing downstream sends QoS events.
//!
//! Comes in: by how much a frame exceeds the latency that the pipeline was promised, and how long the element waited for
//! it. Goes out: a verdict. Frames are left out only where the element itself is the bottleneck.

use std::time::Duration;

/// Frames later than this are left out.
const HOPELESS: Duration = Duration::from_millis(300);
/// Frames later than this are propagated rather than inferred, if the governor allows it.
const LATE: Duration = Duration::from_millis(60);
/// An element that waits for less than this share of the time is the bottleneck.
const BUSY: f32 = 0.1;
/// Weight of the newest frame in the mean share.
const NEWEST: f32 = 0.2;

/// What to do with a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing special.
    InTime,
    /// Propagate it if possible.
    Late,
    /// Leave it out.
    Drop,
}

/// Watches the lag of a stream.
#[derive(Debug, Default)]
pub struct LagMeter {
    waits: f32,
}

impl LagMeter {
    /// Another stream.
    pub fn restart(&mut self) {
        *self = Self::default();
    }

    /// A frame comes in `excess` later than the reported latency allows. Since the frame before, the element `worked` and
    /// then `waited`.
    pub fn frame(&mut self, excess: Duration, worked: Duration, waited: Duration) -> Verdict {
        let both = (worked + waited).as_secs_f32();
        let share = if both > 0.0 { waited.as_secs_f32() / both } else { 0.0 };
        self.waits += (share - self.waits) * NEWEST;
        match excess {
            excess if excess > HOPELESS && self.waits < BUSY => Verdict::Drop,
            excess if excess > LATE => Verdict::Late,
            _ => Verdict::InTime,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn a_busy_element_drops_until_it_has_caught_up() {
        let mut meter = LagMeter::default();
        // 50 ms of work for frames that come every 33 ms; a frame that is left out costs nothing.
        let (mut clock, mut dropped, mut worst) = (0, 0, 0);
        for frame in 0..600 {
            let due = frame * 33;
            let waited = 0_i64.max(due - clock);
            clock += waited;
            let excess = MS((clock - due - 60).max(0) as u64);
            match meter.frame(excess, MS(50), MS(waited as u64)) {
                Verdict::Drop => dropped += 1,
                _ => clock += 50,
            }
            worst = worst.max(clock - due);
        }
        assert!((150..260).contains(&dropped), "{dropped}");
        assert!(worst < 500, "{worst} ms behind");
    }

    #[test]
    fn a_late_source_is_not_the_elements_fault() {
        let mut meter = LagMeter::default();
        let verdicts: Vec<_> = (0..50).map(|_| meter.frame(MS(900), MS(10), MS(23))).collect();
        assert!(verdicts[5..].iter().all(|v| *v == Verdict::Late), "{verdicts:?}");
    }
}
