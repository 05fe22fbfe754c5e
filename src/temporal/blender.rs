//! The history of what was shown, and the blend with it.
//!
//! Comes in: a painting, planar RGB `f32`, and the motion back to the frame before. Goes out: what to show. (Temporal
//! accumulation as in Yang et al. 2020, "A Survey of Temporal Antialiasing Techniques"; motion as trust in it after
//! Ruder et al. 2018.)

use std::time::{Duration, Instant};

use super::balance::{detail_planar, mean_planar};
use super::estimator::Motion;
use super::finish::Finish;
use super::meter::Meter;
use super::resize::resized;
use super::scene_cut::{Change, Watch};
use super::stabilizer::{Method, Report, Smoothing};
use super::warp::{Canvas, Carrier, FRESH, Pixel};

/// Detail of the shown painting that is asked for, as a share of the raw one's.
const DETAIL: f32 = 0.915;
/// How fast the sharpening rises with what is missing, and where it ends.
const SLOPE: f32 = 3.4;
const STRONGEST: f32 = 2.0;
/// Makes up for the blur of one bicubic warp.
const KEPT: f32 = 0.18;

/// Share of the difference in mean colour that is taken off with every frame.
const LIFT: f32 = 0.3;

/// Motion, if a frame before is known, and how long it took to find.
pub type Found<'a> = Option<(&'a Motion, Duration)>;

/// Holds the history.
#[derive(Debug)]
pub struct Blender {
    /// What was shown last; for the average it is the history.
    shown: Vec<f32>,
    canvas: Option<Canvas>,
    method: Method,
    watch: Watch,
    meter: Meter,
    carrier: Carrier,
    history: Vec<Pixel>,
    /// The history to come, while it is made of the present one.
    next: Vec<Pixel>,
    /// What the frame before has asked for.
    finish: Finish,
    /// Whether the history is kept for frames that are not painted, and for recurrent models.
    pub keeps: bool,
    /// What became of the last frame.
    pub report: Report,
}

impl Default for Blender {
    fn default() -> Self {
        Self {
            shown: Vec::new(),
            canvas: None,
            method: Method::None,
            watch: Watch::default(),
            meter: Meter::default(),
            carrier: Carrier::default(),
            history: Vec::new(),
            next: Vec::new(),
            finish: Finish::NONE,
            keeps: false,
            report: Report::NOTHING,
        }
    }
}

impl Blender {
    /// Forgets the history; the memory is kept.
    pub fn forget(&mut self) {
        self.canvas = None;
        self.meter.reset();
        self.report = Report::NOTHING;
    }

    /// Whether there is a history of this size.
    pub fn has_history(&self, canvas: Canvas) -> bool {
        self.canvas == Some(canvas)
    }

    /// Takes over the history of `other`, whose paintings had another size, for paintings on `canvas`. The average
    /// begins anew.
    pub fn follow_on(&mut self, other: &Blender, canvas: Canvas) {
        let Some(from) = other.canvas.filter(|_| other.method != Method::Average) else { return };
        self.history = resized(&other.history, from, canvas);
        (self.canvas, self.method, self.finish) = (Some(canvas), other.method, other.finish);
    }

    /// Blends `fresh` with the history and returns what to show, and whether the history waits at the frame before:
    /// through a flash. Another size or method starts a new history.
    pub fn blend<'a>(
        &'a mut self,
        fresh: &'a [f32],
        found: Found,
        canvas: Canvas,
        smoothing: Smoothing,
    ) -> (&'a [f32], bool) {
        let method = if smoothing.is_off() { Method::None } else { smoothing.method };
        if self.canvas != Some(canvas) || self.method != method {
            // From no blend to one and back the pictures go on; the average's history is another.
            self.canvas = self.canvas.filter(|c| *c == canvas && method != Method::Average);
            self.method = method;
        }
        let had_history = self.canvas.replace(canvas).is_some();
        let change = found.map_or(Change::Cut, |(motion, _)| self.watch.judge(motion.seen));
        self.report = Report { change, errors: self.meter.errors(), ..Report::NOTHING };
        if let Some((motion, took)) = found {
            (self.report.trust, self.report.motion) = (motion.seen.trust, took);
        }
        match method {
            Method::Motion => match (change, found) {
                (Change::Flash, _) if had_history => (fresh, true),
                (Change::None, Some((motion, _))) if had_history => {
                    (self.follow(fresh, motion, canvas, smoothing), false)
                }
                _ => (self.restart(fresh, canvas), false),
            },
            Method::Average => (self.average(fresh, (canvas, had_history), smoothing), false),
            Method::None => (self.restart(fresh, canvas), false),
        }
    }

    fn average(&mut self, fresh: &[f32], (canvas, had_history): (Canvas, bool), smoothing: Smoothing) -> &[f32] {
        if had_history {
            let share = 1.0 - smoothing.amount.min(1.0);
            for (old, new) in self.shown.iter_mut().zip(fresh) {
                *old += (new - *old) * share;
            }
        } else {
            self.shown.clear();
            self.shown.extend_from_slice(fresh);
        }
        if self.keeps {
            remember(&mut self.history, &self.shown, canvas);
        }
        &self.shown
    }

    /// The painting is shown as it is and becomes the history.
    fn restart<'a>(&mut self, fresh: &'a [f32], canvas: Canvas) -> &'a [f32] {
        self.meter.reset();
        remember(&mut self.history, fresh, canvas);
        fresh
    }

    fn follow(&mut self, fresh: &[f32], motion: &Motion, canvas: Canvas, smoothing: Smoothing) -> &[f32] {
        let started = Instant::now();
        let field = &motion.field;
        self.fit(canvas);
        let (how, into) = ((smoothing.weights(), self.finish), (&mut self.shown[..], &mut self.next[..]));
        let seen = self.carrier.follow(canvas, field, &self.history, fresh, how, into);
        std::mem::swap(&mut self.history, &mut self.next);
        let missing = DETAIL * detail_planar(fresh, canvas) / seen.detail().max(1e-6) - 1.0;
        let (wanted, mean) = (mean_planar(fresh, canvas), seen.mean());
        let lift = [0, 1, 2].map(|c| (wanted[c] - mean[c]) * LIFT);
        self.finish = Finish { shown: (SLOPE * missing).clamp(0.0, STRONGEST), kept: KEPT, lift };
        self.meter.look(canvas, field, fresh, &self.shown);
        self.report.blend = started.elapsed();
        &self.shown
    }

    /// Carries the history on to a frame that is not painted, and returns what to show: nothing without a history.
    pub fn slide(&mut self, motion: &Motion, took: Duration, canvas: Canvas) -> Option<&[f32]> {
        if !self.has_history(canvas) {
            return None;
        }
        let started = Instant::now();
        self.fit(canvas);
        // Half as much as a painting: what is sharpened here is sharpened already.
        let how = Finish { shown: 0.5 * self.finish.shown, ..Finish::NONE };
        self.carrier.slide(canvas, &motion.field, &self.history, how, (&mut self.shown, &mut self.next));
        std::mem::swap(&mut self.history, &mut self.next);
        self.meter.reset();
        self.report = Report {
            change: Change::None,
            trust: motion.seen.trust,
            errors: self.meter.errors(),
            motion: took,
            blend: started.elapsed(),
        };
        Some(&self.shown)
    }

    /// What a recurrent model is fed: the history (planar) carried to the new frame, and the trust in it; 0 where there
    /// is none.
    pub fn guide(&mut self, found: Found, canvas: Canvas, previous: &mut [f32], confidence: &mut [f32]) {
        match found {
            Some((motion, _)) if self.has_history(canvas) && Change::of(motion.seen) != Change::Cut => {
                self.carrier.guide(canvas, &motion.field, &self.history, (previous, confidence));
            }
            _ => {
                previous.fill(0.0);
                confidence.fill(0.0);
            }
        }
    }

    /// Blends `next`, the painting of the frame after, into `fresh` where the motion `ahead` can be trusted.
    pub fn ease(
        &mut self,
        fresh: &mut [f32],
        next: &[f32],
        ahead: &Motion,
        canvas: Canvas,
        smoothing: Smoothing,
        scratch: &mut Vec<Pixel>,
    ) {
        if smoothing.method != Method::Motion || smoothing.is_off() || Change::of(ahead.seen) != Change::None {
            return;
        }
        self.fit(canvas);
        remember(scratch, next, canvas);
        let (how, into) = ((smoothing.weights_ahead(), Finish::NONE), (&mut self.shown[..], &mut self.next[..]));
        self.carrier.follow(canvas, &ahead.field, scratch, fresh, how, into);
        fresh.copy_from_slice(&self.shown);
    }

    fn fit(&mut self, canvas: Canvas) {
        let area = canvas.width * canvas.height;
        self.next.resize(area, [0.0; 4]);
        self.shown.resize(3 * area, 0.0);
    }
}

/// The painting becomes the history.
fn remember(history: &mut Vec<Pixel>, painting: &[f32], canvas: Canvas) {
    let area = canvas.width * canvas.height;
    history.clear();
    let (red, rest) = painting.split_at(area);
    let (green, blue) = rest.split_at(area);
    let pixels = red.iter().zip(green).zip(blue).map(|((r, g), b)| [*r, *g, *b, FRESH].map(|v| v.clamp(0.0, 1.0)));
    history.extend(pixels);
}
