//! What is shown of the stylized frames: every one blended with those before, and, if asked, the one after.
//!
//! Comes in: a frame, then its stylized frame, planar RGB `f32` in 0..=1. Goes out: the picture to show. Motion is searched
//! on a thread of its own from the moment a frame comes in.

use std::time::Duration;

use anyhow::Result;

use crate::confidence::scene_cut::Change;
use crate::frame::image::{Image, ImageMut, Sample};
use crate::metrics::meter::Errors;
use crate::temporal::delayed::Delayed;
use crate::temporal::estimator::{Estimate, Estimator};
use crate::temporal::history::{Blended, Blender, Found};
use crate::tensor::egress::to_image;
use crate::warp::blend::Weights;
use crate::warp::canvas::Canvas;

/// How the history is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Not at all.
    None,
    /// Exponential average: the share `smoothing` of what is shown comes from what was shown before.
    Average,
    /// Average along the motion, where the history can be relied on.
    Motion,
}

/// What the user wants of the history.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Smoothing {
    /// How it is used.
    pub method: Method,
    /// Its share, 0 (none) ..= 1 (with `Average`: never changes).
    pub amount: f32,
}

impl Smoothing {
    /// Every stylized frame for itself.
    pub const OFF: Smoothing = Smoothing { method: Method::None, amount: 0.0 };

    /// Whether there is nothing to do.
    pub fn is_off(self) -> bool {
        self.method == Method::None || self.amount <= 0.0
    }

    /// The share of history where it agrees with the stylized frame, and where it does not. At 0.75: 0.74 and 0.93; never so
    /// much that the picture freezes.
    pub(crate) fn weights(self) -> Weights {
        let amount = self.amount.clamp(0.0, 1.0);
        Weights { low: 0.98 * amount, high: amount.powf(0.27).min(0.97) }
    }

    /// The same for the stylized frame of the frame after: at most half, so that the frame itself leads.
    pub(crate) fn weights_ahead(self) -> Weights {
        let Weights { low, high } = self.weights();
        Weights { low: 0.5 * low, high: 0.5 * high }
    }
}

/// What became of the last frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Report {
    /// What happened since the frame before; `Cut` for the first.
    pub change: Change,
    /// Mean confidence in the history, 0..=1.
    pub confidence: f32,
    /// Mean warping errors so far.
    pub errors: Errors,
    /// How long the motion search took, on its thread.
    pub motion: Duration,
    /// How long warp and blend took.
    pub blend: Duration,
}

impl Report {
    pub(crate) const NOTHING: Report = Report {
        change: Change::Cut,
        confidence: 0.0,
        errors: Errors { raw: 0.0, shown: 0.0 },
        motion: Duration::ZERO,
        blend: Duration::ZERO,
    };
}

/// Share of the picture that may have come into view since the last stylized frame before another one is due.
const MOST_DISOCCLUDED: f32 = 0.2;

/// The stabilizer: motion, history, and the frame that waits for the next one.
#[derive(Debug, Default)]
pub struct Stabilizer {
    estimator: Estimator,
    blender: Blender,
    looks_ahead: bool,
    held: Delayed,
    disoccluded: f32,
}

impl Stabilizer {
    /// Forgets the history: the next stylized frame is shown as it is. The memory is kept.
    pub fn reset(&mut self) {
        self.blender.forget();
        self.estimator.reset();
        self.held.full = false;
        self.disoccluded = 0.0;
    }

    /// Takes over the history of `other`, which has seen the same frames and their stylized frames at another size. The next
    /// frame is one of `size`, its stylized frame lies on `canvas`. Not with lookahead.
    pub fn continue_from(&mut self, other: &mut Stabilizer, size: (usize, usize), canvas: Canvas) {
        if !other.looks_ahead {
            self.estimator.continue_from(&mut other.estimator, size);
            self.blender.continue_from(&other.blender, canvas);
            self.disoccluded = other.disoccluded;
        }
    }

    /// Keeps the history even where nothing is blended: for frames that are propagated on, and recurrent models.
    pub fn keep_history(&mut self, keep: bool) {
        self.blender.keeps = keep;
    }

    /// Whether frames wait for the next one: then [`Stabilizer::stabilize_delayed`] takes the place of
    /// [`Stabilizer::stabilize`]. A change forgets the history.
    pub fn look_ahead(&mut self, ahead: bool) {
        if std::mem::replace(&mut self.looks_ahead, ahead) != ahead {
            self.reset();
        }
    }

    /// What became of the last frame.
    pub fn report(&self) -> Report {
        self.blender.report
    }

    /// Takes a frame before it is stylized, so that its motion is found meanwhile.
    pub fn observe<S: Sample>(&mut self, image: &Image<S>, smoothing: Smoothing) {
        if self.blender.keeps || self.looks_ahead || (smoothing.method == Method::Motion && !smoothing.is_off()) {
            self.estimator.begin(image, self.looks_ahead);
        }
    }

    /// Blends `fresh`, of 3 x width x height values, with the history `into` the picture to show. False if it has NaN or
    /// infinity: then the picture is of no use, and the history is forgotten.
    ///
    /// A stylized frame of another size, or another method, starts a new history.
    ///
    /// # Errors
    /// A stylized frame of another size than the canvas, or a picture of another size than that on it.
    pub fn stabilize<S: Sample>(
        &mut self,
        fresh: &[f32],
        canvas: Canvas,
        smoothing: Smoothing,
        into: &mut ImageMut<S>,
    ) -> Result<bool> {
        if smoothing.is_off() && !self.blender.keeps {
            self.reset();
            return to_image(fresh, &canvas.into(), into);
        }
        self.disoccluded = 0.0;
        match self.blender.blend(fresh, found(&self.estimator.estimate()), canvas, smoothing, into)? {
            Blended::Shown => self.estimator.accept(),
            Blended::Waits => {}
            Blended::Broken => {
                self.reset();
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether the frame of the last [`Stabilizer::observe`] may be shown by carrying the history on, without a
    /// stylized frame of its own: not at a cut or in another light, nor when too much has come into view (twice as much, if the
    /// frame is `late`).
    pub fn can_propagate(&mut self, canvas: Canvas, late: bool) -> bool {
        let has_history = self.blender.has_history(canvas) || self.held.full;
        let Some(found) = self.estimator.estimate().filter(|_| has_history) else { return false };
        self.disoccluded += found.back.seen.disoccluded;
        let most = if late { 2.0 * MOST_DISOCCLUDED } else { MOST_DISOCCLUDED };
        Change::of(found.back.seen) == Change::None && self.disoccluded < most
    }

    /// The history propagated on to a frame that is not stylized, `into` the picture to show; false without a history.
    pub fn propagate<S: Sample>(&mut self, canvas: Canvas, into: &mut ImageMut<S>) -> bool {
        let Some(estimate) = self.estimator.estimate() else { return false };
        if !self.blender.propagate(estimate.back, estimate.took, canvas, into) {
            return false;
        }
        self.estimator.accept();
        true
    }

    /// What a recurrent model is fed: what was shown last (planar), propagated to the frame of the last
    /// [`Stabilizer::observe`], and the confidence in it, 0..=1; both are 0 where there is none.
    pub fn guide(&mut self, canvas: Canvas, previous: &mut [f32], confidence: &mut [f32]) {
        self.blender.guide(found(&self.estimator.estimate()), canvas, previous, confidence);
    }

    /// With lookahead: takes a stylized frame, which must be finite (`None` for a frame that is to be propagated), and shows the
    /// frame before in the picture; false for the first.
    ///
    /// # Errors
    /// As [`Stabilizer::stabilize`].
    pub fn stabilize_delayed<S: Sample>(
        &mut self,
        fresh: Option<&[f32]>,
        canvas: Canvas,
        smoothing: Smoothing,
        into: &mut ImageMut<S>,
    ) -> Result<bool> {
        if fresh.is_some() {
            self.disoccluded = 0.0;
        }
        let (held, estimate) = (&mut self.held, self.estimator.estimate());
        let mut shown = false;
        if held.full {
            let ahead = estimate.as_ref().and_then(|e| e.ahead);
            if let (Some(next), Some(ahead)) = (fresh, ahead) {
                held.blend_ahead(&mut self.blender, next, ahead, canvas, smoothing)?;
            }
            shown = held.show(&mut self.blender, canvas, smoothing, into)?;
        }
        held.take(fresh, estimate);
        self.estimator.accept();
        Ok(shown)
    }

    /// With lookahead: shows the last frame, to which no next one comes, in the picture; false if there is none. Forgets
    /// the history.
    ///
    /// # Errors
    /// As [`Stabilizer::stabilize`].
    pub fn drain<S: Sample>(&mut self, canvas: Canvas, smoothing: Smoothing, into: &mut ImageMut<S>) -> Result<bool> {
        let shown = self.held.full && self.held.show(&mut self.blender, canvas, smoothing, into)?;
        self.reset();
        Ok(shown)
    }
}

fn found<'a>(estimate: &'a Option<Estimate<'a>>) -> Found<'a> {
    estimate.as_ref().map(|e| (&*e.back, e.took))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF: Smoothing = Smoothing { method: Method::Average, amount: 0.5 };

    fn canvas(width: usize) -> Canvas {
        Canvas { width, height: 1, origin: (0, 0), picture: (width, 1) }
    }

    fn stabilize(stabilizer: &mut Stabilizer, fresh: &[f32], smoothing: Smoothing) -> Vec<f32> {
        let (mut shown, width) = (vec![9.0; fresh.len()], fresh.len() / 3);
        let mut image = ImageMut::of_planar(&mut shown, (width, 1)).unwrap();
        assert!(stabilizer.stabilize(fresh, canvas(width), smoothing, &mut image).unwrap());
        shown
    }

    #[test]
    fn the_average_approaches_a_step_by_halves() {
        let mut stabilizer = Stabilizer::default();
        assert_eq!(stabilize(&mut stabilizer, &[0.0; 3], HALF), [0.0; 3]);
        let shown: Vec<f32> = (0..4).map(|_| stabilize(&mut stabilizer, &[1.0; 3], HALF)[0]).collect();
        assert_eq!(shown, [0.5, 0.75, 0.875, 0.9375]);
    }

    #[test]
    fn reset_size_change_and_off_forget() {
        let mut stabilizer = Stabilizer::default();
        stabilize(&mut stabilizer, &[0.0; 3], HALF);
        stabilizer.reset();
        assert_eq!(stabilize(&mut stabilizer, &[1.0; 3], HALF), [1.0; 3]);
        assert_eq!(stabilize(&mut stabilizer, &[0.5; 6], HALF), [0.5; 6]);
        assert_eq!(stabilize(&mut stabilizer, &[1.0; 6], Smoothing::OFF), [1.0; 6]);
        assert_eq!(stabilize(&mut stabilizer, &[0.5; 6], HALF), [0.5; 6]);
    }
}
