//! Keeping time: which frames are stylized, at which size, and what the pipeline is told of it.
//!
//! Comes in: the frames' times, quality-of-service events, the settings. Goes out: a plan for every frame.

use std::time::Duration;

use crate::schedule::governor::{Governor, Step};
use crate::schedule::latency::LatencyMeter;
use crate::stylizer::Pace;

/// Where the frame rate is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Governing {
    /// Where the source is live.
    Live,
    /// Nowhere.
    Off,
    /// Everywhere.
    Auto,
}

/// What the user asked of the pace.
#[derive(Debug, Clone, Copy)]
pub struct PaceSettings {
    /// Where the frame rate is held.
    pub governor: Governing,
    /// Frames per second to hold; 0: those of the stream.
    pub target_fps: f64,
    /// Inference runs on one frame of so many.
    pub interval: u32,
    /// Whether the inference size is set by hand.
    pub has_size: bool,
}

/// The plan for one frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Whether it needs a stylized frame of its own.
    pub pace: Pace,
    /// Paintings are this much smaller than `inference-size` says.
    pub divisor: u32,
}

/// Keeps time.
#[derive(Debug, Default)]
pub struct Pacer {
    governor: Option<Governor>,
    /// Size of the frames, and their rate in the caps.
    frame: (usize, usize),
    rate: f64,
    live: Option<bool>,
    since_inference: u32,
    /// What is told of the latency.
    pub latency: LatencyMeter,
}

impl Pacer {
    /// Frames of another size or rate come: `rate` frames per second, 0 for a varying rate.
    pub fn negotiated(&mut self, frame: (usize, usize), rate: f64) {
        self.rate = rate;
        if std::mem::replace(&mut self.frame, frame) != frame {
            self.governor = None;
        }
    }

    /// Another stream: it may be live or not.
    pub fn restart(&mut self) {
        (self.governor, self.live) = (None, None);
    }

    /// Whether the source is live; `ask` is called once for a stream.
    pub fn is_live(&mut self, ask: impl FnOnce() -> bool) -> bool {
        *self.live.get_or_insert_with(ask)
    }

    /// Whether the frame rate is held. Before the first frame of a stream [`Pacer::is_live`] must have been called.
    pub fn governs(&self, settings: &PaceSettings) -> bool {
        match settings.governor {
            Governing::Off => false,
            Governing::Auto => true,
            Governing::Live => self.live == Some(true),
        }
    }

    /// Takes up the governor where stylized frame a frame of full size takes about `full`.
    pub fn begin(&mut self, settings: &PaceSettings, full: Duration) -> Step {
        let frame = self.time_for(settings).as_secs_f32();
        let share = if frame > 0.0 { full.as_secs_f32() / frame } else { 0.0 };
        self.governor.insert(Governor::new(self.frame.0, self.frame.1, share)).step()
    }

    /// The plan for the next frame. `hurry`: it is late already.
    pub fn plan(&mut self, settings: &PaceSettings, hurry: bool) -> Plan {
        let governed = self.governs(settings);
        if !governed {
            self.governor = None;
        } else if self.governor.is_none() {
            self.begin(settings, Duration::ZERO);
        }
        let step = self.step().unwrap_or(Step::FULL);
        let interval = step.interval.max(settings.interval);
        let hurry = hurry && governed && self.since_inference < LONGEST_HURRY;
        let due = self.since_inference + 1 >= interval;
        let pace = match (due, interval > 1 || governed) {
            _ if hurry => Pace::Hurry,
            (true, false) => Pace::Every,
            (true, true) => Pace::Infer,
            (false, _) if self.governor.as_ref().is_some_and(Governor::is_overloaded) => Pace::Hurry,
            (false, _) => Pace::Propagate,
        };
        Plan { pace, divisor: if settings.has_size { 1 } else { step.divisor } }
    }

    /// A frame was stylized, or propagated.
    pub fn done(&mut self, stylized: bool) {
        self.since_inference = if stylized { 0 } else { self.since_inference + 1 };
    }

    /// The governor's step, while it governs.
    pub fn step(&self) -> Option<Step> {
        self.governor.as_ref().map(Governor::step)
    }

    /// A frame took so long. Returns the new step when it changes.
    pub fn took(&mut self, took: Duration, late: bool, settings: &PaceSettings) -> Option<Step> {
        let frame = self.time_for(settings);
        self.governor.as_mut()?.frame(took, frame, late)
    }

    /// The time that there is for a frame.
    fn time_for(&self, settings: &PaceSettings) -> Duration {
        if settings.target_fps > 0.0 { period(settings.target_fps) } else { self.frame_time() }
    }

    /// Time between frames by the caps; nothing for a varying rate.
    pub fn frame_time(&self) -> Duration {
        period(self.rate)
    }
}

fn period(rate: f64) -> Duration {
    if rate > 0.0 { Duration::from_secs_f64(1.0 / rate) } else { Duration::ZERO }
}

/// So many late frames in a row are propagated; then one is stylized even if it is late.
const LONGEST_HURRY: u32 = 4;
