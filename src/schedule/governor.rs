//! Holds a frame rate: how large to stylize, and how often.
//!
//! Comes in: how long frames took, and whether they are late downstream. Goes out: the [`Step`] to work at. Down fast,
//! up slowly, and more slowly every time that going up was wrong: so it does not swing.

use std::fmt;
use std::time::Duration;

/// How frames are stylized.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Stylized at 1/`divisor` of the size.
    pub divisor: u32,
    /// One frame of `interval` is stylized, the others are propagated along the motion.
    pub interval: u32,
}

impl Step {
    /// Everything stylized at full size.
    pub const FULL: Step = Step { divisor: 1, interval: 1 };

    /// Share of the pixels that are stylized.
    pub fn work(self) -> f32 {
        1.0 / (self.divisor.pow(2) * self.interval) as f32
    }
}

impl fmt::Display for Step {
    /// `1/DIVISOR@INTERVAL`
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "1/{}@{}", self.divisor, self.interval)
    }
}

/// The steps for frames of a size, from the best picture to the fastest.
///
/// The shorter side is never stylized at less than 180 pixels; quarters and sixths are for frames that stay at 300 then.
pub fn ladder(width: usize, height: usize) -> Vec<Step> {
    let short = width.min(height) as u32;
    let fits = |divisor: &u32| short / divisor >= if *divisor > 3 { 300 } else { 180 };
    let sizes: Vec<u32> = [1, 2, 3, 4, 6].into_iter().filter(|d| *d == 1 || fits(d)).collect();
    let smallest = sizes.last().copied().unwrap_or(1);
    let sizes = sizes.into_iter().map(|divisor| Step { divisor, interval: 1 });
    sizes.chain((2..=4).map(|interval| Step { divisor: smallest, interval })).collect()
}

/// Frames that a step is judged by.
const WINDOW: u32 = 12;
/// Frames after a change that say nothing: caches and history are cold.
const SETTLE: u32 = 4;
/// More of the frame's time than this is too much...
const TOO_MUCH: f32 = 0.92;
/// ...and a better step is tried when it is expected to take less than this.
const ENOUGH: f32 = 0.7;
/// Stylized frame alone may take this much of a frame's time at the step to begin with, less this much for every million pixels
/// of the frame, which are converted and enlarged whatever the stylized frame's size.
const ROOM: f32 = 0.45;
const ROOM_BY_MEGAPIXEL: f32 = 0.15;
/// Share of the work that depends on how much is stylized.
const DEPENDS: f32 = 0.75;
/// How long a step must have held before a better one is tried, and how long at most after failures.
const PATIENCE: Duration = Duration::from_secs(4);
const LONGEST_PATIENCE: Duration = Duration::from_secs(120);
/// Below this load, late frames have another cause: the reported latency is too short.
const BUSY: f32 = 0.6;
/// Late frames of a window that call for the next step, however fast the frames were stylized.
const LATE: u32 = 4;

/// The governor.
#[derive(Debug)]
pub struct Governor {
    steps: Vec<Step>,
    at: usize,
    /// Share of the frame's time that each step took when it was last measured.
    loads: Vec<Option<f32>>,
    frames: u32,
    settling: u32,
    spent: Duration,
    late: u32,
    held: Duration,
    patience: Duration,
    tried_up: bool,
}

impl Governor {
    /// A governor for frames of a size. `full` is the share of a frame's time that stylized frame alone is expected to take at
    /// full size: it begins at the step where that leaves room for the rest.
    pub fn new(width: usize, height: usize, full: f32) -> Self {
        let steps = ladder(width, height);
        let room = ROOM - ROOM_BY_MEGAPIXEL * (width * height) as f32 / 1e6;
        let at = steps.iter().position(|step| full * step.work() < room).unwrap_or(steps.len() - 1);
        Self {
            loads: vec![None; steps.len()],
            steps,
            at,
            frames: 0,
            settling: SETTLE,
            spent: Duration::ZERO,
            late: 0,
            held: Duration::ZERO,
            patience: PATIENCE,
            tried_up: false,
        }
    }

    /// The step to work at.
    pub fn step(&self) -> Step {
        self.steps.get(self.at).copied().unwrap_or(Step::FULL)
    }

    fn can_go_down(&self) -> bool {
        self.at + 1 < self.steps.len()
    }

    /// Whether even the fastest step is too slow.
    pub fn is_overloaded(&self) -> bool {
        !self.can_go_down() && self.loads[self.at].is_some_and(|load| load > TOO_MUCH)
    }

    /// A frame was done in `took`, of the `frame` time that there is for one; `late` if it will be too late downstream.
    /// Returns the new step when it changes.
    pub fn frame(&mut self, took: Duration, frame: Duration, late: bool) -> Option<Step> {
        if frame.is_zero() {
            return None;
        }
        self.held += frame;
        if self.settling > 0 {
            self.settling -= 1;
            return None;
        }
        self.frames += 1;
        self.spent += took;
        self.late += u32::from(late);
        // Windows end with whole turns of stylized and propagated frames.
        if self.frames < WINDOW {
            return None;
        }
        let load = self.spent.as_secs_f32() / (frame.as_secs_f32() * self.frames as f32);
        let late = self.late >= LATE;
        (self.frames, self.spent, self.late) = (0, Duration::ZERO, 0);
        self.loads[self.at] = Some(load);
        self.judge(load, late)
    }

    fn judge(&mut self, load: f32, late: bool) -> Option<Step> {
        if (load > TOO_MUCH || late && load > BUSY) && self.can_go_down() {
            if std::mem::take(&mut self.tried_up) && self.held < 4 * PATIENCE {
                self.patience = (self.patience * 2).min(LONGEST_PATIENCE);
            }
            // Far too slow: the steps between would only be seen to fail one after the other.
            let far = if load > 2.0 && self.at + 2 < self.steps.len() { 2 } else { 1 };
            return Some(self.go(self.at + far));
        }
        if self.held >= 4 * PATIENCE && self.tried_up {
            (self.tried_up, self.patience) = (false, PATIENCE);
        }
        if self.at > 0 && self.held >= self.patience && self.expected_above(load) < ENOUGH {
            self.tried_up = true;
            return Some(self.go(self.at - 1));
        }
        None
    }

    /// The load to expect of the next better step: what it was lately, scaled to how fast the machine is now, or, if it
    /// was never measured, as if everything were in proportion to the pixels stylized.
    fn expected_above(&self, load: f32) -> f32 {
        let more = self.steps[self.at - 1].work() / self.steps[self.at].work();
        let proportional = DEPENDS * load * more;
        match self.loads[self.at - 1] {
            Some(before) if self.held < 2 * self.patience => before.max(load),
            // What was measured long ago says little about a machine that has other work now.
            Some(before) => before.min(proportional),
            None => proportional,
        }
    }

    fn go(&mut self, to: usize) -> Step {
        (self.at, self.settling, self.held) = (to, SETTLE, Duration::ZERO);
        self.step()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Duration = Duration::from_nanos(33_333_333);

    /// Plays seconds on a machine where a frame takes `cost(step)`; returns the steps that were taken.
    fn play(governor: &mut Governor, seconds: u32, cost: impl Fn(Step) -> f32) -> Vec<Step> {
        let took = |g: &Governor| FRAME.mul_f32(cost(g.step()));
        (0..seconds * 30).filter_map(|_| governor.frame(took(governor), FRAME, false)).collect()
    }

    /// Stylized frame costs in proportion to the pixels, the rest is fixed.
    fn machine(full: f32, fixed: f32) -> impl Fn(Step) -> f32 {
        move |s| fixed + full / (s.divisor.pow(2) * s.interval) as f32
    }

    #[test]
    fn ladders_go_from_the_best_picture_to_the_fastest() {
        let text = |w, h| ladder(w, h).iter().map(Step::to_string).collect::<Vec<_>>();
        assert_eq!(text(640, 360), ["1/1@1", "1/2@1", "1/2@2", "1/2@3", "1/2@4"]);
        assert_eq!(text(1920, 1080), ["1/1@1", "1/2@1", "1/3@1", "1/3@2", "1/3@3", "1/3@4"]);
        assert_eq!(text(3840, 2160)[..5], ["1/1@1", "1/2@1", "1/3@1", "1/4@1", "1/6@1"]);
        assert_eq!(text(320, 240), ["1/1@1", "1/1@2", "1/1@3", "1/1@4"]);
    }

    #[test]
    fn a_fast_machine_stays_at_the_best_step() {
        assert_eq!(play(&mut Governor::new(1280, 720, 0.0), 60, machine(0.6, 0.1)), []);
    }

    #[test]
    fn a_slow_machine_gets_to_the_step_that_holds_within_two_seconds_and_stays() {
        for (full, fixed, wanted) in [(1.5, 0.2, 2), (4.0, 0.2, 3), (8.0, 0.3, 3), (14.0, 0.2, 3)] {
            let mut governor = Governor::new(1280, 720, 0.0);
            play(&mut governor, 2, machine(full, fixed));
            let load = machine(full, fixed)(governor.step());
            assert!(load <= 0.92, "{full} + {fixed}: {:?} takes {load}", governor.step());
            assert_eq!(governor.step().divisor, wanted, "{full} + {fixed}");
            let changes = play(&mut governor, 60, machine(full, fixed));
            assert!(changes.len() <= 2, "{full} + {fixed}: {changes:?}");
        }
    }

    #[test]
    fn it_goes_up_again_when_the_machine_is_free() {
        let mut governor = Governor::new(1280, 720, 0.0);
        play(&mut governor, 5, machine(4.0, 0.2));
        assert!(governor.at > 0);
        play(&mut governor, 60, machine(0.4, 0.1));
        assert_eq!(governor.at, 0);
    }

    #[test]
    fn on_the_brink_it_does_not_swing() {
        let mut governor = Governor::new(1280, 720, 0.0);
        // A step that is measured as just enough and then is too much, again and again.
        let calls = std::cell::Cell::new(0u32);
        let changes = play(&mut governor, 300, |s| {
            calls.set(calls.get() + 1);
            let busy = calls.get() % 90 < 30;
            match s.divisor {
                1 => {
                    if busy {
                        1.3
                    } else {
                        0.6
                    }
                }
                _ => 0.3,
            }
        });
        assert!(changes.len() <= 12, "{} changes in five minutes: {changes:?}", changes.len());
    }

    #[test]
    fn it_begins_where_painting_leaves_room() {
        let first = |full: f32| Governor::new(1280, 720, full).step();
        assert_eq!(first(0.3), Step::FULL);
        assert_eq!(first(1.2), Step { divisor: 2, interval: 1 });
        assert_eq!(first(2.5), Step { divisor: 3, interval: 1 });
        // Large frames cost more besides the stylized frame.
        assert_eq!(Governor::new(1920, 1080, 2.6).step(), Step { divisor: 3, interval: 3 });
        assert_eq!(first(1e6), Step { divisor: 3, interval: 4 });
        let mut slow = Governor::new(1280, 720, 1e6);
        assert!(!slow.is_overloaded(), "nothing was measured yet");
        play(&mut slow, 2, |_| 1.5);
        assert!(slow.is_overloaded());
    }

    #[test]
    fn late_frames_call_for_a_faster_step_too() {
        let mut governor = Governor::new(1280, 720, 0.0);
        let step = (0..30).find_map(|_| governor.frame(FRAME.mul_f32(0.8), FRAME, true));
        assert_eq!(step, Some(Step { divisor: 2, interval: 1 }));
        let idle = (0..30).find_map(|_| governor.frame(FRAME / 4, FRAME, true));
        assert_eq!(idle, None, "there is time enough: they are late for another reason");
    }
}
