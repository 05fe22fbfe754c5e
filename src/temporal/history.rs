//! The history of what was shown, and the blend with it.
//!
//! Comes in: a stylized frame, planar RGB `f32`, and the motion back to the frame before. Goes out: the picture to show. (Temporal
//! accumulation as in Yang et al. 2020, "A Survey of Temporal Antialiasing Techniques"; motion as confidence in it after
//! Ruder et al. 2018.)

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::confidence::scene_cut::{Change, Watch};
use crate::frame::image::{ImageMut, Sample};
use crate::metrics::meter::Meter;
use crate::temporal::estimator::Motion;
use crate::temporal::stabilizer::{Method, Report, Smoothing};
use crate::tensor::egress::to_image;
use crate::warp::canvas::Canvas;
use crate::warp::finish::Finish;
use crate::warp::pixel::{Pixel, pixel_of};
use crate::warp::resize::resized;
use crate::warp::{FRESH, Warper};

/// Detail of the shown stylized frame that is asked for, as a share of the raw one's.
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

/// How a blend went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blended {
    /// What there is to show is in the picture.
    Shown,
    /// So it is, and the history waits at the frame before: through a flash.
    Waits,
    /// The stylized frame has NaN or infinity: neither picture nor history is of use.
    Broken,
}

impl Blended {
    fn of(finite: bool) -> Self {
        if finite { Blended::Shown } else { Blended::Broken }
    }
}

/// Holds the history.
#[derive(Debug)]
pub struct Blender {
    /// With the average, what was shown last; else scratch.
    shown: Vec<f32>,
    canvas: Option<Canvas>,
    method: Method,
    watch: Watch,
    meter: Meter,
    warper: Warper,
    history: Vec<Pixel>,
    /// The history to come, while it is made of the present one.
    next: Vec<Pixel>,
    /// What the frame before has asked for.
    finish: Finish,
    /// Whether the history is kept for frames that are not stylized, and for recurrent models.
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
            warper: Warper::default(),
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

    /// Takes over the history of `other`, whose stylized frames had another size, for stylized frames on `canvas`. The average
    /// begins anew.
    pub fn continue_from(&mut self, other: &Blender, canvas: Canvas) {
        let Some(from) = other.canvas.filter(|_| other.method != Method::Average) else { return };
        self.history = resized(&other.history, from, canvas);
        (self.canvas, self.method, self.finish) = (Some(canvas), other.method, other.finish);
    }

    /// Blends `fresh` with the history `into` the picture to show. Another size or method starts a new history.
    ///
    /// # Errors
    /// A picture of another size than that on the canvas.
    pub fn blend<S: Sample>(
        &mut self,
        fresh: &[f32],
        found: Found,
        canvas: Canvas,
        smoothing: Smoothing,
        into: &mut ImageMut<S>,
    ) -> Result<Blended> {
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
            (self.report.confidence, self.report.motion) = (motion.seen.confidence, took);
        }
        match method {
            Method::Motion => match (change, found) {
                (Change::Flash, _) if had_history => {
                    let finite = to_image(fresh, &canvas.into(), into)?;
                    Ok(if finite { Blended::Waits } else { Blended::Broken })
                }
                (Change::None, Some((motion, _))) if had_history => {
                    self.accumulate(fresh, motion, canvas, smoothing, into)
                }
                _ => self.restart(fresh, canvas, into),
            },
            Method::Average => self.average(fresh, (canvas, had_history), smoothing, into),
            Method::None => self.restart(fresh, canvas, into),
        }
    }

    fn average<S: Sample>(
        &mut self,
        fresh: &[f32],
        (canvas, had_history): (Canvas, bool),
        smoothing: Smoothing,
        into: &mut ImageMut<S>,
    ) -> Result<Blended> {
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
        Ok(Blended::of(to_image(&self.shown, &canvas.into(), into)?))
    }

    /// The stylized frame is shown as it is and becomes the history.
    fn restart<S: Sample>(&mut self, fresh: &[f32], canvas: Canvas, into: &mut ImageMut<S>) -> Result<Blended> {
        self.meter.reset();
        remember(&mut self.history, fresh, canvas);
        Ok(Blended::of(to_image(fresh, &canvas.into(), into)?))
    }

    fn accumulate<S: Sample>(
        &mut self,
        fresh: &[f32],
        motion: &Motion,
        canvas: Canvas,
        smoothing: Smoothing,
        into: &mut ImageMut<S>,
    ) -> Result<Blended> {
        let started = Instant::now();
        let field = &motion.field;
        self.fit(canvas);
        let how = (smoothing.weights(), self.finish);
        let seen = self.warper.accumulate(canvas, field, &self.history, fresh, how, (into, &mut self.next));
        if seen.broken {
            return Ok(Blended::Broken);
        }
        std::mem::swap(&mut self.history, &mut self.next);
        let missing = DETAIL * seen.raw.detail() / seen.blend.detail().max(1e-6) - 1.0;
        let (wanted, mean) = (seen.raw.mean(), seen.blend.mean());
        let lift = [0, 1, 2].map(|c| (wanted[c] - mean[c]) * LIFT);
        self.finish = Finish { shown: (SLOPE * missing).clamp(0.0, STRONGEST), kept: KEPT, lift };
        self.meter.look(canvas, field, fresh, &into.view());
        self.report.blend = started.elapsed();
        Ok(Blended::Shown)
    }

    /// Carries the history on to a frame that is not stylized, `into` the picture to show; false without a history.
    pub fn propagate<S: Sample>(
        &mut self,
        motion: &Motion,
        took: Duration,
        canvas: Canvas,
        into: &mut ImageMut<S>,
    ) -> bool {
        if !self.has_history(canvas) {
            return false;
        }
        let started = Instant::now();
        self.fit(canvas);
        // Half as much as a stylized frame: what is sharpened here is sharpened already.
        let how = Finish { shown: 0.5 * self.finish.shown, ..Finish::NONE };
        self.warper.propagate(canvas, &motion.field, &self.history, how, (into, &mut self.next));
        std::mem::swap(&mut self.history, &mut self.next);
        self.meter.reset();
        self.report = Report {
            change: Change::None,
            confidence: motion.seen.confidence,
            errors: self.meter.errors(),
            motion: took,
            blend: started.elapsed(),
        };
        true
    }

    /// What a recurrent model is fed: the history (planar) propagated to the new frame, and the confidence in it; 0 where there
    /// is none.
    pub fn guide(&mut self, found: Found, canvas: Canvas, previous: &mut [f32], confidence: &mut [f32]) {
        match found {
            Some((motion, _)) if self.has_history(canvas) && Change::of(motion.seen) != Change::Cut => {
                self.warper.guide(canvas, &motion.field, &self.history, (previous, confidence));
            }
            _ => {
                previous.fill(0.0);
                confidence.fill(0.0);
            }
        }
    }

    /// Blends `next`, the stylized frame of the frame after, into `fresh` where the motion `ahead` can be relied on.
    ///
    /// # Errors
    /// A stylized frame of another size than the canvas.
    pub fn blend_ahead(
        &mut self,
        fresh: &mut [f32],
        next: &[f32],
        ahead: &Motion,
        canvas: Canvas,
        smoothing: Smoothing,
        scratch: &mut Vec<Pixel>,
    ) -> Result<()> {
        if smoothing.method != Method::Motion || smoothing.is_off() || Change::of(ahead.seen) != Change::None {
            return Ok(());
        }
        self.fit(canvas);
        remember(scratch, next, canvas);
        self.shown.resize(fresh.len(), 0.0);
        let how = (smoothing.weights_ahead(), Finish::NONE);
        let mut blended = ImageMut::of_planar(&mut self.shown, (canvas.width, canvas.height))?;
        self.warper.accumulate(canvas, &ahead.field, scratch, fresh, how, (&mut blended, &mut self.next));
        fresh.copy_from_slice(&self.shown);
        Ok(())
    }

    fn fit(&mut self, canvas: Canvas) {
        let area = canvas.width * canvas.height;
        self.next.resize(area, Pixel::default());
    }
}

/// The stylized frame becomes the history.
fn remember(history: &mut Vec<Pixel>, stylized: &[f32], canvas: Canvas) {
    let area = canvas.width * canvas.height;
    history.clear();
    let (red, rest) = stylized.split_at(area);
    let (green, blue) = rest.split_at(area);
    let pixels = red.iter().zip(green).zip(blue).map(|((r, g), b)| pixel_of([*r, *g, *b, FRESH]));
    history.extend(pixels);
}
