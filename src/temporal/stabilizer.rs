//! What is shown of the paintings: every one blended with those before, and, if asked, the one after.
//!
//! Comes in: a frame, then its painting, planar RGB `f32` in 0..=1. Goes out: the picture to show. Motion is searched
//! on a thread of its own from the moment a frame comes in.

use std::time::Duration;

use anyhow::Result;

use super::blend::Weights;
use super::blender::{Blended, Blender, Found};
use super::canvas::Canvas;
use super::estimator::{Estimate, Estimator};
use super::held::Held;
use super::meter::Errors;
use super::scene_cut::Change;
use crate::image::{Image, ImageMut, Sample};
use crate::tensor::egress::to_image;

/// How the history is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Not at all.
    None,
    /// Exponential average: the share `smoothing` of what is shown comes from what was shown before.
    Average,
    /// Average along the motion, where the history can be trusted.
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
    /// Every painting for itself.
    pub const OFF: Smoothing = Smoothing { method: Method::None, amount: 0.0 };

    /// Whether there is nothing to do.
    pub fn is_off(self) -> bool {
        self.method == Method::None || self.amount <= 0.0
    }

    /// The share of history where it agrees with the painting, and where it does not. At 0.75: 0.74 and 0.93; never so
    /// much that the picture freezes.
    pub(super) fn weights(self) -> Weights {
        let amount = self.amount.clamp(0.0, 1.0);
        Weights { low: 0.98 * amount, high: amount.powf(0.27).min(0.97) }
    }

    /// The same for the painting of the frame after: at most half, so that the frame itself leads.
    pub(super) fn weights_ahead(self) -> Weights {
        let Weights { low, high } = self.weights();
        Weights { low: 0.5 * low, high: 0.5 * high }
    }
}

/// What became of the last frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Report {
    /// What happened since the frame before; `Cut` for the first.
    pub change: Change,
    /// Mean trust in the history, 0..=1.
    pub trust: f32,
    /// Mean warping errors so far.
    pub errors: Errors,
    /// How long the motion search took, on its thread.
    pub motion: Duration,
    /// How long warp and blend took.
    pub blend: Duration,
}

impl Report {
    pub(super) const NOTHING: Report = Report {
        change: Change::Cut,
        trust: 0.0,
        errors: Errors { raw: 0.0, shown: 0.0 },
        motion: Duration::ZERO,
        blend: Duration::ZERO,
    };
}

/// Share of the picture that may have come into view since the last painting before another one is due.
const MOST_UNCOVERED: f32 = 0.2;

/// The stabilizer: motion, history, and the frame that waits for the next one.
#[derive(Debug, Default)]
pub struct Stabilizer {
    estimator: Estimator,
    blender: Blender,
    looks_ahead: bool,
    held: Held,
    uncovered: f32,
}

impl Stabilizer {
    /// Forgets the history: the next painting is shown as it is. The memory is kept.
    pub fn reset(&mut self) {
        self.blender.forget();
        self.estimator.reset();
        self.held.full = false;
        self.uncovered = 0.0;
    }

    /// Takes over the history of `other`, which has seen the same frames and their paintings at another size. The next
    /// frame is one of `size`, its painting lies on `canvas`. Not with lookahead.
    pub fn follow_on(&mut self, other: &mut Stabilizer, size: (usize, usize), canvas: Canvas) {
        if !other.looks_ahead {
            self.estimator.follow_on(&mut other.estimator, size);
            self.blender.follow_on(&other.blender, canvas);
            self.uncovered = other.uncovered;
        }
    }

    /// Keeps the history even where nothing is blended: for frames that are carried on, and recurrent models.
    pub fn keep_history(&mut self, keep: bool) {
        self.blender.keeps = keep;
    }

    /// Whether frames wait for the next one: then [`Stabilizer::steady_behind`] takes the place of
    /// [`Stabilizer::steady`]. A change forgets the history.
    pub fn look_ahead(&mut self, ahead: bool) {
        if std::mem::replace(&mut self.looks_ahead, ahead) != ahead {
            self.reset();
        }
    }

    /// What became of the last frame.
    pub fn report(&self) -> Report {
        self.blender.report
    }

    /// Takes a frame before it is painted, so that its motion is found meanwhile.
    pub fn observe<S: Sample>(&mut self, image: &Image<S>, smoothing: Smoothing) {
        if self.blender.keeps || self.looks_ahead || (smoothing.method == Method::Motion && !smoothing.is_off()) {
            self.estimator.begin(image, self.looks_ahead);
        }
    }

    /// Blends `fresh`, of 3 x width x height values, with the history `into` the picture to show. False if it has NaN or
    /// infinity: then the picture is of no use, and the history is forgotten.
    ///
    /// A painting of another size, or another method, starts a new history.
    ///
    /// # Errors
    /// A painting of another size than the canvas, or a picture of another size than that on it.
    pub fn steady<S: Sample>(
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
        self.uncovered = 0.0;
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
    /// painting of its own: not at a cut or in another light, nor when too much has come into view (twice as much, if the
    /// frame is `late`).
    pub fn can_carry(&mut self, canvas: Canvas, late: bool) -> bool {
        let has_history = self.blender.has_history(canvas) || self.held.full;
        let Some(found) = self.estimator.estimate().filter(|_| has_history) else { return false };
        self.uncovered += found.back.seen.uncovered;
        let most = if late { 2.0 * MOST_UNCOVERED } else { MOST_UNCOVERED };
        Change::of(found.back.seen) == Change::None && self.uncovered < most
    }

    /// The history carried on to a frame that is not painted, `into` the picture to show; false without a history.
    pub fn carry<S: Sample>(&mut self, canvas: Canvas, into: &mut ImageMut<S>) -> bool {
        let Some(estimate) = self.estimator.estimate() else { return false };
        if !self.blender.slide(estimate.back, estimate.took, canvas, into) {
            return false;
        }
        self.estimator.accept();
        true
    }

    /// What a recurrent model is fed: what was shown last (planar), carried to the frame of the last
    /// [`Stabilizer::observe`], and the trust in it, 0..=1; both are 0 where there is none.
    pub fn guide(&mut self, canvas: Canvas, previous: &mut [f32], confidence: &mut [f32]) {
        self.blender.guide(found(&self.estimator.estimate()), canvas, previous, confidence);
    }

    /// With lookahead: takes a painting, which must be finite (`None` for a frame that is to be carried), and shows the
    /// frame before in the picture; false for the first.
    ///
    /// # Errors
    /// As [`Stabilizer::steady`].
    pub fn steady_behind<S: Sample>(
        &mut self,
        fresh: Option<&[f32]>,
        canvas: Canvas,
        smoothing: Smoothing,
        into: &mut ImageMut<S>,
    ) -> Result<bool> {
        if fresh.is_some() {
            self.uncovered = 0.0;
        }
        let (held, estimate) = (&mut self.held, self.estimator.estimate());
        let mut shown = false;
        if held.full {
            let ahead = estimate.as_ref().and_then(|e| e.ahead);
            if let (Some(next), Some(ahead)) = (fresh, ahead) {
                held.ease(&mut self.blender, next, ahead, canvas, smoothing)?;
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
    /// As [`Stabilizer::steady`].
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

    fn steady(stabilizer: &mut Stabilizer, fresh: &[f32], smoothing: Smoothing) -> Vec<f32> {
        let (mut shown, width) = (vec![9.0; fresh.len()], fresh.len() / 3);
        let mut image = ImageMut::of_planar(&mut shown, (width, 1)).unwrap();
        assert!(stabilizer.steady(fresh, canvas(width), smoothing, &mut image).unwrap());
        shown
    }

    #[test]
    fn the_average_approaches_a_step_by_halves() {
        let mut stabilizer = Stabilizer::default();
        assert_eq!(steady(&mut stabilizer, &[0.0; 3], HALF), [0.0; 3]);
        let shown: Vec<f32> = (0..4).map(|_| steady(&mut stabilizer, &[1.0; 3], HALF)[0]).collect();
        assert_eq!(shown, [0.5, 0.75, 0.875, 0.9375]);
    }

    #[test]
    fn reset_size_change_and_off_forget() {
        let mut stabilizer = Stabilizer::default();
        steady(&mut stabilizer, &[0.0; 3], HALF);
        stabilizer.reset();
        assert_eq!(steady(&mut stabilizer, &[1.0; 3], HALF), [1.0; 3]);
        assert_eq!(steady(&mut stabilizer, &[0.5; 6], HALF), [0.5; 6]);
        assert_eq!(steady(&mut stabilizer, &[1.0; 6], Smoothing::OFF), [1.0; 6]);
        assert_eq!(steady(&mut stabilizer, &[0.5; 6], HALF), [0.5; 6]);
    }
}
