//! One frame through the element: stylized, propagated or passed through, with or without lookahead.
//!
//! Comes in: a frame and the settings for it. Goes out: the frame to push, statistics, and messages for the bus.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use gst_video::{VideoFrameExt, VideoInfo, VideoInterlaceMode};

use super::convert::FrameOut;
use super::error;
use super::load;
use super::messages::Outbox;
use super::pipeline::{FrameControls, Frames, Kept, Numbered};
use super::reload::Reload;
use super::settings::{FrameSettings, OnError, Settings};
use super::stats::{Shown, Stats};
use crate::frame::threads::{self, lock};
use crate::schedule::governor::ladder;
use crate::schedule::pace::Pacer;
use crate::schedule::watchdog::Watchdog;
use crate::stylizer::{Controls, Pace};

/// What conversion, motion and blend take for each pixel, until it is measured.
const BESIDE_INFERENCE: Duration = Duration::from_nanos(15);
/// A gap up to this is not worth dropping the history for.
const SHORT_GAP: Duration = Duration::from_millis(300);
/// After so many failures in a row the session is made anew.
const FAILURES_TO_RECOVER: u32 = 3;
/// A reported wait of lookahead follows the measured frame time where it is off by more than this share.
const WAIT_TOLERANCE: f32 = 0.1;

const INTERLACED: &str = "interlaced video cannot be stylized: put 'deinterlace' in front of styletransfer";

/// Everything that one frame needs from the element.
pub struct Turn<'a> {
    /// The settings of this frame.
    pub settings: FrameSettings,
    /// Reads all settings.
    pub ask: &'a dyn Fn() -> Settings,
    /// Statistics, locked for moments only.
    pub stats: &'a Mutex<Stats>,
    /// Notices an inference that takes too long.
    pub watchdog: Option<&'a Watchdog>,
    /// Whether the frame is late already.
    pub late: bool,
    /// By how much the last frame was late downstream.
    pub lateness: Duration,
    /// Messages for the bus.
    pub out: &'a mut Outbox,
}

/// What processes frames: behind one lock that is held for the length of a frame.
#[derive(Default)]
pub struct Engine {
    /// The pipeline in use, and what replaces it.
    pub reload: Reload,
    /// The pace of the stream.
    pub pacer: Pacer,
    failures: Failures,
    /// Time of the last frame.
    last: Option<Duration>,
    /// Frames seen so far: their numbers.
    number: u64,
    /// When the last frame was done, and how long it took.
    done: Option<(Instant, Duration)>,
    /// The wait for the next frame that lookahead adds to the latency.
    wait: Duration,
}

/// Inferences that failed.
#[derive(Default)]
struct Failures {
    in_a_row: u32,
    count: u64,
    warned: Option<Instant>,
    unposted: u32,
}

impl Failures {
    const PAUSE: Duration = Duration::from_secs(1);

    /// Warnings that would come with every frame come once a second.
    fn warn(&mut self, text: String, out: &mut Outbox) {
        if self.warned.is_some_and(|last| last.elapsed() < Self::PAUSE) {
            self.unposted += 1;
            return;
        }
        self.warned = Some(Instant::now());
        match std::mem::take(&mut self.unposted) {
            0 => out.warning(text),
            unposted => out.warning(format!("{text} ({unposted} more frames since the last warning)")),
        }
    }
}

impl Engine {
    /// An engine around what was loaded.
    pub fn new(reload: Reload) -> Self {
        Self { reload, ..Self::default() }
    }

    /// The number of the next frame.
    pub fn next_number(&mut self) -> u64 {
        self.number += 1;
        self.number
    }

    /// Since the frame before, how long the element worked and how long it waited for this one.
    pub fn worked_and_waited(&self) -> (Duration, Duration) {
        self.done.map_or_else(Default::default, |(when, took)| (took, when.elapsed()))
    }

    /// Makes ready for frames of `info`. A change of colorimetry or rate alone keeps the history, a change of format alone
    /// the sizes.
    ///
    /// # Errors
    /// Interlaced frames; a size or format that the model or GStreamer's converter does not take.
    pub fn negotiate(&mut self, info: &VideoInfo, settings: &Settings, live: bool, out: &mut Outbox) -> Result<()> {
        ensure!(
            matches!(info.interlace_mode(), VideoInterlaceMode::Progressive | VideoInterlaceMode::Mixed),
            "caps with interlace-mode={}: {INTERLACED}",
            info.interlace_mode().to_str()
        );
        let info = &progressive(info)?;
        let (frame, size) = (settings.of_frame(), (info.width() as usize, info.height() as usize));
        self.pacer.negotiated(size, frame_rate(info));
        self.reload.end_fade();
        let divisor = self.reload.divisor();
        let pipeline = self.reload.pipeline.as_mut().context("no model is loaded")?;
        let same_size = pipeline.info().is_some_and(|i| (i.width(), i.height()) == (info.width(), info.height()));
        if same_size {
            let (kept, warnings) = load::negotiate(pipeline, info, settings, divisor)?;
            warnings.into_iter().for_each(|text| out.warning(text));
            if kept == Kept::Nothing {
                pipeline.stylizer.warm_up()?;
            }
            self.reload.negotiated(settings.revisions.size, divisor);
            return Ok(());
        }
        let governs = self.pacer.governs(&frame.pace) && !frame.pace.has_size;
        // How long a frame takes is measured at the smallest size, where it takes least.
        let smallest = ladder(size.0, size.1).last().map_or(1, |step| step.divisor);
        let mut divisor = if governs { smallest } else { 1 };
        let mut warnings = load::negotiate(pipeline, info, settings, divisor)?.1;
        let mut took = pipeline.stylizer.warm_up()?;
        if governs {
            divisor = self.pacer.begin(&frame.pace, took * smallest.pow(2)).divisor;
            if divisor != smallest {
                warnings.extend(load::negotiate(pipeline, info, settings, divisor)?.1);
                took = pipeline.stylizer.warm_up()?;
            }
        }
        warnings.into_iter().for_each(|text| out.warning(text));
        if !live {
            pipeline.stylizer.generator_mut().fit();
        }
        self.reload.negotiated(settings.revisions.size, divisor);
        self.pacer.latency.start(took + BESIDE_INFERENCE * (info.width() * info.height()));
        Ok(())
    }

    /// Outputs a frame in `to`. With `lookahead` the first frame has nothing to output yet.
    ///
    /// # Errors
    /// What is wrong with every frame: none negotiated, memory of another size, interlaced frames; with `on-error=error` a
    /// failed inference.
    pub fn show(&mut self, turn: &mut Turn, frames: Frames, to: Option<&mut FrameOut>, lookahead: bool) -> Result<()> {
        let started = Instant::now();
        let result = self.show_frame(turn, frames, to, lookahead, started);
        self.done = Some((Instant::now(), started.elapsed()));
        result
    }

    fn show_frame(
        &mut self,
        turn: &mut Turn,
        frames: Frames,
        to: Option<&mut FrameOut>,
        lookahead: bool,
        started: Instant,
    ) -> Result<()> {
        let next = frames.next.frame;
        ensure!(!next.flags().contains(gst_video::VideoFrameFlags::INTERLACED), "a frame is interlaced: {INTERLACED}");
        if turn.settings.mix.strength <= 0.0 {
            self.reload.reset();
            return pass_through(turn, frames, to, started);
        }
        let plan = self.pacer.plan(&turn.settings.pace, turn.late);
        if self.reload.follow(turn.ask, &turn.settings, plan.divisor, turn.out) {
            self.configured(turn.stats);
        }
        let time = next.buffer().pts().map(Duration::from);
        let last = std::mem::replace(&mut self.last, time);
        if next.buffer().flags().contains(gst::BufferFlags::DISCONT) && !lookahead && !goes_on(last, time) {
            self.reload.reset();
        }
        let stylizer = Controls { smoothing: turn.settings.smoothing, time, pace: plan.pace, lookahead };
        let controls = FrameControls { mix: turn.settings.mix, stylizer };
        match watched(turn.watchdog, || {
            threads::limited(turn.settings.threads, || self.reload.stylize(frames, controls))
        }) {
            Ok(Some(stylized)) => {
                self.failures.in_a_row = 0;
                if let (Some(pipeline), Some(to)) = (self.reload.result(&stylized), to) {
                    pipeline.leave(to);
                }
                self.pacer.done(matches!(stylized.how, Shown::Inferred(_)));
                self.account(turn, stylized.how, started);
                Ok(())
            }
            Ok(None) => pass_through(turn, frames, to, started),
            Err(problem) => self.failed(turn, frames, to, controls, problem),
        }
    }

    /// A failed inference: the session is made anew after some, and the frame is passed through or ends the stream.
    fn failed(
        &mut self,
        turn: &mut Turn,
        frames: Frames,
        to: Option<&mut FrameOut>,
        controls: FrameControls,
        problem: anyhow::Error,
    ) -> Result<()> {
        let started = Instant::now();
        self.failures.in_a_row += 1;
        if self.failures.in_a_row.is_multiple_of(FAILURES_TO_RECOVER) {
            self.recover(turn);
        }
        let drained = controls.stylizer.lookahead && to.is_some();
        let drained = if drained { self.reload.drain(frames.shown, controls).unwrap_or(None) } else { None };
        let reason = error::one_line(&problem);
        match (to, drained) {
            (Some(to), Some(pipeline)) => pipeline.leave(to),
            (Some(_), None) if turn.settings.on_error == OnError::Error => {
                bail!("inference failed (property 'on-error' is 'error'): {reason}")
            }
            (to, _) => {
                if to.is_some() {
                    self.failures.count += 1;
                    let Numbered { frame, number } = frames.shown;
                    turn.out.passthrough(number - 1, frame.buffer().pts(), self.failures.count, &reason);
                }
                pass_through(turn, frames, to, started)?;
            }
        }
        self.failures.warn(format!("a frame is passed through: {reason}"), turn.out);
        self.reload.reset();
        Ok(())
    }

    fn recover(&mut self, turn: &mut Turn) {
        let Some(pipeline) = &mut self.reload.pipeline else { return };
        match pipeline.stylizer.generator_mut().recover() {
            Ok(()) => load::refusals(pipeline).into_iter().for_each(|text| turn.out.warning(text)),
            Err(problem) => self.failures.warn(format!("the session could not be made anew: {problem:#}"), turn.out),
        }
        self.configured(turn.stats);
    }

    /// How many frames were passed through because inference failed, as a warning for the end of a stream.
    pub fn summary(&self) -> Option<String> {
        let count = self.failures.count;
        (count > 0).then(|| format!("{count} of {} frames were passed through, not stylized", self.number))
    }

    /// Counts a frame; governor and latency follow.
    fn account(&mut self, turn: &mut Turn, how: Shown, started: Instant) {
        let took = started.elapsed();
        let report = self.reload.pipeline.as_ref().map(|p| p.stylizer.temporal_report());
        let smooths = !turn.settings.smoothing.is_off();
        if let Some(step) = self.pacer.took(took, turn.late, &turn.settings.pace) {
            turn.out.governor(step, took.as_secs_f64() * 1e3);
        }
        self.pacer.latency.frame(took, turn.lateness);
        let mut stats = lock(turn.stats);
        stats.shown(how, took, report.map_or(Duration::ZERO, |r| r.blend));
        if let Some(report) = report.filter(|_| smooths) {
            stats.stabilized(report);
        }
        stats.governed(self.pacer.step());
        if let Some(stats) = stats.due(turn.settings.stats_interval) {
            turn.out.stats(stats);
        }
    }

    /// The latency to report: what a frame takes and, with lookahead, the time until the next one.
    pub fn latency(&mut self, looks_ahead: bool) -> Duration {
        if !looks_ahead {
            self.wait = Duration::ZERO;
        } else {
            let (now, before) = (self.pacer.frame_time(), self.wait);
            if now.abs_diff(before) > before.mul_f32(WAIT_TOLERANCE) {
                self.wait = now;
            }
        }
        self.pacer.latency.reported() + self.wait
    }

    /// Records provider and size in use.
    pub fn configured(&self, stats: &Mutex<Stats>) {
        if let Some(pipeline) = &self.reload.pipeline {
            lock(stats).configured(pipeline.stylizer.generator().provider(), pipeline.inference_size());
        }
    }

    /// Outputs the delayed frame, to which no next one comes, in `to`.
    ///
    /// # Errors
    /// As [`Engine::show`].
    pub fn drain(&mut self, turn: &mut Turn, delayed: Numbered, to: &mut FrameOut) -> Result<()> {
        let started = Instant::now();
        let smoothing = turn.settings.smoothing;
        let stylizer = Controls { smoothing, time: None, pace: Pace::Every, lookahead: true };
        let controls = FrameControls { mix: turn.settings.mix, stylizer };
        if controls.mix.strength > 0.0
            && let Some(pipeline) = self.reload.drain(delayed, controls)?
        {
            pipeline.leave(to);
            lock(turn.stats).shown(Shown::Delayed, started.elapsed(), Duration::ZERO);
            return Ok(());
        }
        pass_through(turn, Frames { next: delayed, shown: delayed }, Some(to), started)
    }
}

/// Runs `work` while the watchdog looks on.
fn watched<T>(watchdog: Option<&Watchdog>, work: impl FnOnce() -> T) -> T {
    watchdog.iter().for_each(|dog| dog.begin());
    let result = work();
    watchdog.iter().for_each(|dog| dog.end());
    result
}

fn pass_through(turn: &Turn, frames: Frames, to: Option<&mut FrameOut>, started: Instant) -> Result<()> {
    if let Some(to) = to {
        frames.shown.frame.copy(to)?;
        lock(turn.stats).shown(Shown::Passthrough, started.elapsed(), Duration::ZERO);
    }
    Ok(())
}

/// The same caps for converters, which take frames of mixed caps for interlaced ones.
fn progressive(info: &VideoInfo) -> Result<VideoInfo> {
    let mut caps = info.to_caps()?;
    caps.make_mut().set("interlace-mode", "progressive");
    Ok(VideoInfo::from_caps(&caps)?)
}

/// Frames per second by the caps; 0 for a varying rate.
fn frame_rate(info: &VideoInfo) -> f64 {
    let fps = info.fps();
    if fps.denom() > 0 { f64::from(fps.numer()) / f64::from(fps.denom()) } else { 0.0 }
}

/// Whether a gap in the stream is that of a few frames left out, as a leaky queue does: the scene goes on.
fn goes_on(last: Option<Duration>, time: Option<Duration>) -> bool {
    let gap = time.zip(last).and_then(|(time, last)| time.checked_sub(last));
    gap.is_some_and(|gap| !gap.is_zero() && gap < SHORT_GAP)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reported_wait_of_lookahead_ignores_jitter() {
        let mut engine = Engine::default();
        engine.pacer.negotiated((64, 48), 25.0);
        assert_eq!(engine.latency(true) - engine.latency(false), Duration::from_millis(40));
        let wait = engine.latency(true);
        (0..20).for_each(|i| engine.pacer.arrived(Duration::from_millis(41 * i + i % 2), false));
        assert_eq!(engine.latency(true), wait);
        (0..20).for_each(|i| engine.pacer.arrived(Duration::from_millis(2000 + 20 * i), false));
        assert!(engine.latency(true) < wait);
    }
}
