//! One frame: what to show of it, whatever happens, and what the pipeline is told.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::prelude::*;
use gst_video::{VideoFrameExt, VideoInfo};

use crate::element::convert::FrameOut;
use crate::element::imp::StyleTransfer;
use crate::element::loading::Key;
use crate::element::painter::Painter;
use crate::element::pipeline::{FrameControls, Frames};
use crate::element::reload::{Running, lock};
use crate::element::settings::FrameSettings;
use crate::element::stats::Shown;
use crate::schedule::governor::ladder;
use crate::stylizer::{Controls, Outcome, Pace};

/// What conversion, motion and blend take for each pixel, until it is measured.
const BESIDE: Duration = Duration::from_nanos(15);

/// Frames later than this are not hurried any more, but left out.
const HOPELESS: Duration = Duration::from_millis(500);
/// A gap up to this is not worth forgetting the history for.
const SHORT_GAP: Duration = Duration::from_millis(300);

impl StyleTransfer {
    /// New caps: everything is made ready for frames of `info`.
    pub(super) fn settle(&self, info: &VideoInfo) -> Result<()> {
        let settings = self.settings();
        let mut running = lock(&self.running);
        let running = &mut *running;
        running.pacer.negotiated((info.width() as usize, info.height() as usize), frame_rate(info));
        running.before = None;
        let live = running.pacer.is_live(|| self.source_is_live());
        let frame = settings.of_frame();
        let painter = running.painter.as_mut().context("no model is loaded")?;
        let governs = running.pacer.governs(&frame.pace) && !frame.pace.has_size;
        // How long a frame takes is found at the smallest size, where it takes least.
        let smallest = ladder(info.width() as usize, info.height() as usize).last().map_or(1, |step| step.divisor);
        let mut divisor = if governs { smallest } else { 1 };
        self.negotiate(painter, info, &settings, divisor)?;
        let mut warmed_up = painter.warm_up()?;
        if governs {
            divisor = running.pacer.begin(&frame.pace, warmed_up * smallest.pow(2)).divisor;
            if divisor != smallest {
                self.negotiate(painter, info, &settings, divisor)?;
                warmed_up = painter.warm_up()?;
            }
        }
        if !live {
            painter.fit();
        }
        running.wanted.caps += 1;
        running.wanted.divisor = divisor;
        let caps = running.wanted.caps;
        running.key = Key { caps, size: settings.revisions.size, divisor, ..running.key.clone() };
        let pixels = info.width() * info.height();
        running.pacer.latency.start(warmed_up + BESIDE * pixels);
        self.report_latency(running);
        self.configured(running);
        Ok(())
    }

    /// Shows a frame in `to`: stylized, propagated, or as it came. With `lookahead` the first frame has nothing to show yet.
    ///
    /// # Errors
    /// What would be wrong with every frame: none negotiated, or memory of another size.
    pub(super) fn show(&self, frames: Frames, to: Option<&mut FrameOut>, lookahead: bool) -> Result<()> {
        let started = Instant::now();
        let settings = lock(&self.settings).of_frame();
        let mut running = lock(&self.running);
        let running = &mut *running;
        if settings.mix.strength <= 0.0 {
            running.reset();
            return self.pass_through(frames, to, started);
        }
        running.pacer.is_live(|| self.source_is_live());
        let late = self.is_late(frames);
        let plan = running.pacer.plan(&settings.pace, late);
        self.catch_up(running, &settings, plan.divisor);
        let time = frames.next.buffer().pts().map(Duration::from);
        let last = std::mem::replace(&mut running.last, time);
        if frames.next.buffer().flags().contains(gst::BufferFlags::DISCONT) && !lookahead && !goes_on(last, time) {
            running.reset();
        }
        let stylizer = Controls { smoothing: settings.smoothing, time, pace: plan.pace, lookahead };
        let controls = FrameControls { mix: settings.mix, stylizer };
        match self.watched(|| stylize(running, frames, controls)) {
            Ok(Some(stylized)) => {
                if let (Some(painter), Some(to)) = (stylized.by(running), to) {
                    painter.leave(to);
                }
                running.pacer.done(matches!(stylized.how, Shown::Inferred(_)));
                self.account(running, &settings, stylized.how, started, late);
                Ok(())
            }
            Ok(None) => self.pass_through(frames, to, started),
            Err(problem) => {
                running.complaints.warn(&self.obj(), &format!("frames are shown as they came: {problem:#}"));
                self.rescue(running, frames, to, controls)
            }
        }
    }

    /// What there is to show when the model has failed: with lookahead the frame before may be stylized, else the original.
    fn rescue(
        &self,
        running: &mut Running,
        frames: Frames,
        to: Option<&mut FrameOut>,
        controls: FrameControls,
    ) -> Result<()> {
        let started = Instant::now();
        let painter = running.painter.as_mut().context("no model is loaded")?;
        let drained = controls.stylizer.lookahead && painter.drain(frames.shown, controls).unwrap_or(false);
        match to {
            Some(to) if drained => painter.leave(to),
            to => self.pass_through(frames, to, started)?,
        }
        running.reset();
        Ok(())
    }

    pub(super) fn pass_through(&self, frames: Frames, to: Option<&mut FrameOut>, started: Instant) -> Result<()> {
        if let Some(to) = to {
            frames.shown.copy(to)?;
            lock(&self.stats).shown(Shown::Passthrough, started.elapsed(), Duration::ZERO);
        }
        Ok(())
    }

    /// Counts a frame, and lets the governor and the latency follow.
    fn account(&self, running: &mut Running, settings: &FrameSettings, how: Shown, started: Instant, late: bool) {
        let took = started.elapsed();
        let report = running.painter.as_ref().map(|p| p.stylizer().temporal_report());
        let stabilizes = !settings.smoothing.is_off();
        {
            let mut stats = lock(&self.stats);
            stats.shown(how, took, report.map_or(Duration::ZERO, |r| r.blend));
            if let Some(report) = report.filter(|_| stabilizes) {
                stats.stabilized(report);
            }
        }
        if let Some(step) = running.pacer.took(took, late, &settings.pace) {
            let structure = gst::Structure::builder("styletransfer-governor")
                .field("step", format!("1/{}@{}", step.divisor, step.interval))
                .field("divisor", step.divisor)
                .field("interval", step.interval)
                .field("frame-ms", took.as_secs_f64() * 1e3)
                .build();
            gst::info!(crate::element::log::CAT, imp = self, "{structure}");
            self.post(structure);
        }
        running.pacer.latency.frame(took, Duration::from_nanos(self.late.swap(0, Ordering::Relaxed)));
        self.report_latency(running);
        self.hurries.store(running.pacer.step().is_some(), Ordering::Relaxed);
        let latency = Duration::from_nanos(self.latency.load(Ordering::Relaxed));
        lock(&self.stats).governed(running.pacer.step(), latency);
        if let Some(stats) = lock(&self.stats).due(settings.stats_interval) {
            self.post(stats);
        }
    }

    /// Posts a message when what frames take, or whether they wait for the next one, has changed.
    fn report_latency(&self, running: &Running) {
        let waiting = if lock(&self.settings).lookahead > 0 && !running.is_recurrent() {
            running.pacer.frame_time()
        } else {
            Duration::ZERO
        };
        let reported = (running.pacer.latency.reported() + waiting).as_nanos() as u64;
        if self.latency.swap(reported, Ordering::Relaxed) != reported {
            let element = self.obj();
            // Without a bus nobody wants to know.
            let _ = element.post_message(gst::message::Latency::builder().src(&*element).build());
        }
    }

    fn source_is_live(&self) -> bool {
        let mut query = gst::query::Latency::new();
        self.obj().sink_pad().peer_query(&mut query) && query.result().0
    }

    fn is_late(&self, frames: Frames) -> bool {
        let Some(earliest) = *lock(&self.earliest) else { return false };
        let segment = self.obj().segment();
        let time = segment.downcast_ref::<gst::ClockTime>().and_then(|s| s.to_running_time(frames.next.buffer().pts()));
        time.is_some_and(|time| time < earliest)
    }

    /// Takes note of how late frames are downstream. True if the element itself does something about it.
    pub(super) fn heed(&self, qos: &gst::event::Qos) -> bool {
        let (_, _, diff, timestamp) = qos.get();
        let Some(timestamp) = timestamp else { return false };
        *lock(&self.earliest) = match diff {
            diff if diff > 0 => Some(timestamp + gst::ClockTime::from_nseconds(diff as u64)),
            _ => None,
        };
        self.late.store(diff.max(0) as u64, Ordering::Relaxed);
        // Frames that are hopelessly late had better be left out: then the base class does so.
        self.hurries.load(Ordering::Relaxed) && diff < HOPELESS.as_nanos() as i64
    }
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

/// A frame that was stylized.
struct Stylized {
    how: Shown,
    /// Whether the pipeline before has it: with lookahead the new one is a frame behind.
    old: bool,
}

impl Stylized {
    fn by<'a>(&self, running: &'a Running) -> Option<&'a Painter> {
        match self.old {
            true => running.before.as_ref().map(|before| &before.painter),
            false => running.painter.as_ref(),
        }
    }
}

/// Stylizes with what is running, and with what was running before while that fades out. `None`: nothing to show yet.
fn stylize(running: &mut Running, frames: Frames, controls: FrameControls) -> Result<Option<Stylized>> {
    let old = running.before.as_mut().and_then(|before| {
        // The old stylized frame is propagated along: two inferences a frame would be late.
        let controls = FrameControls { stylizer: Controls { pace: Pace::Propagate, ..controls.stylizer }, ..controls };
        shown(before.painter.stylize(frames, controls).ok()?)
    });
    let painter = running.painter.as_mut().context("no model is loaded")?;
    let outcome = painter.stylize(frames, controls)?;
    ensure!(outcome != Outcome::NotFinite, "the model's output has NaN or infinite values");
    let Some(how) = shown(outcome) else { return Ok(old.map(|how| Stylized { how, old: true })) };
    if let Some(before) = &mut running.before {
        let share = before.fade.share(controls.stylizer.time);
        match share < 1.0 && old.is_some() {
            true => painter.fade_from(&before.painter, share)?,
            false => running.before = None,
        }
    }
    Ok(Some(Stylized { how, old: false }))
}

fn shown(outcome: Outcome) -> Option<Shown> {
    match outcome {
        Outcome::Stylized(took) => Some(Shown::Inferred(took)),
        Outcome::Propagated => Some(Shown::Propagated),
        Outcome::Delayed(_) | Outcome::NotFinite => None,
    }
}
