//! The pace of a stream: which frames get an inference, at which size, and which are already late.
//!
//! Comes in: the frames' times, lag and cost, the settings. Goes out: a plan for every frame.

use std::time::Duration;

use crate::schedule::governor::{Governor, Step};
use crate::schedule::lag::{LagMeter, Verdict};
use crate::schedule::latency::LatencyMeter;
use crate::schedule::rate::RateMeter;
use crate::stylizer::Pace;

/// Where the governor holds the frame rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Governing {
    /// Where the source is live.
    Live,
    /// Nowhere.
    Off,
    /// Everywhere.
    Auto,
}

/// What the user asks of the pace.
#[derive(Debug, Clone, Copy)]
pub struct PaceSettings {
    /// Where the governor holds the frame rate.
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
    /// Whether the frame needs an inference of its own.
    pub pace: Pace,
    /// Width and height of inference are those of `inference-size` divided by this.
    pub divisor: u32,
}

/// A live source and the latency of everything before the element; known once the upstream elements answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Upstream {
    /// Whether the source is live.
    pub live: bool,
    /// Its least latency.
    pub latency: Duration,
}

/// Plans the frames of one stream.
#[derive(Debug, Default)]
pub struct Pacer {
    governor: Option<Governor>,
    size: (usize, usize),
    rate: RateMeter,
    lag: LagMeter,
    upstream: Option<Upstream>,
    since_inference: u32,
    /// Settles on the latency to report.
    pub latency: LatencyMeter,
}

impl Pacer {
    /// Frames of this size come, `rate` per second as caps claim; 0 for a varying rate.
    pub fn negotiated(&mut self, size: (usize, usize), rate: f64) {
        self.rate.claim(rate);
        if std::mem::replace(&mut self.size, size) != size {
            self.governor = None;
        }
    }

    /// Another stream: it may be live or not, and have another frame rate.
    pub fn restart(&mut self) {
        (self.governor, self.upstream) = (None, None);
        self.rate.restart();
        self.lag.restart();
    }

    /// The source, once it is known.
    pub fn upstream(&self) -> Option<Upstream> {
        self.upstream
    }

    /// The source of this stream is `upstream`.
    pub fn comes_from(&mut self, upstream: Upstream) {
        self.upstream = Some(upstream);
    }

    /// A frame came in, see [`RateMeter::frame`].
    pub fn arrived(&mut self, time: Duration, gap: bool) {
        self.rate.frame(time, gap);
    }

    /// A frame of a live stream came in `lag` after its time, with `own` latency reported by the element; see
    /// [`LagMeter::frame`].
    pub fn lag(&mut self, lag: Duration, own: Duration, worked: Duration, waited: Duration) -> Verdict {
        let allowed = self.upstream.unwrap_or_default().latency + own;
        self.lag.frame(lag.saturating_sub(allowed), worked, waited)
    }

    /// Whether the frame rate is held. Before the first frame of a stream [`Pacer::comes_from`] must have been called.
    pub fn governs(&self, settings: &PaceSettings) -> bool {
        match settings.governor {
            Governing::Off => false,
            Governing::Auto => true,
            Governing::Live => self.upstream.is_some_and(|upstream| upstream.live),
        }
    }

    /// Starts the governor where a frame of full size takes about `full`.
    pub fn begin(&mut self, settings: &PaceSettings, full: Duration) -> Step {
        let frame = self.time_for(settings).as_secs_f32();
        let share = if frame > 0.0 { full.as_secs_f32() / frame } else { 0.0 };
        self.governor.insert(Governor::new(self.size.0, self.size.1, share)).step()
    }

    /// The plan for the next frame. `late`: it cannot be in time if it gets an inference.
    pub fn plan(&mut self, settings: &PaceSettings, late: bool) -> Plan {
        let governed = self.governs(settings);
        if !governed {
            self.governor = None;
        } else if self.governor.is_none() {
            self.begin(settings, Duration::ZERO);
        }
        let step = self.step().unwrap_or(Step::FULL);
        let interval = step.interval.max(settings.interval);
        let hurry = late && governed && self.since_inference < LONGEST_HURRY;
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

    /// A frame was inferred, or propagated.
    pub fn done(&mut self, inferred: bool) {
        self.since_inference = if inferred { 0 } else { self.since_inference + 1 };
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

    /// The time there is for a frame.
    fn time_for(&self, settings: &PaceSettings) -> Duration {
        match settings.target_fps > 0.0 {
            true => Duration::from_secs_f64(1.0 / settings.target_fps),
            false => self.frame_time(),
        }
    }

    /// Time between two frames, measured where possible.
    pub fn frame_time(&self) -> Duration {
        self.rate.period()
    }
}

/// So many late frames in a row are propagated; the next one gets an inference even if it is late.
const LONGEST_HURRY: u32 = 4;
