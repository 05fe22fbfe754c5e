//! The stabilizer: blends every stylized frame with the history and, with lookahead, with the next stylized frame.
//!
//! Input: an input frame, then its stylized frame, planar RGB `f32` in 0..=1. Output: the frame to show. Motion
//! estimation runs on a thread of its own from [`Stabilizer::observe`] on. Frames are identified by the order of the
//! calls, not by time.

use std::time::Duration;

use anyhow::Result;

use crate::confidence::scene_cut::Change;
use crate::frame::image::{Image, ImageMut, Sample};
use crate::metrics::meter::Errors;
use crate::temporal::blend::Weights;
use crate::temporal::estimator::{Estimate, Motion, MotionEstimator};
use crate::temporal::history::{Blended, History};
use crate::temporal::lookahead::HeldFrame;
use crate::tensor::egress::to_image;
use crate::tensor::placement::Placement;

/// Temporal method: how the history is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Not at all.
    None,
    /// Exponential moving average: the share `amount` of the output is the previous output.
    Average,
    /// Average along the motion, weighted by the confidence in it.
    Motion,
}

/// Temporal method and its strength.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Smoothing {
    /// How the history is used.
    pub method: Method,
    /// Share of the history, 0 (none) ..= 1 (with [`Method::Average`] the output never changes).
    pub amount: f32,
}

impl Smoothing {
    /// No blending.
    pub const OFF: Smoothing = Smoothing { method: Method::None, amount: 0.0 };

    /// Whether nothing is blended.
    pub fn is_off(self) -> bool {
        self.method == Method::None || self.amount <= 0.0
    }

    /// Share of the history where it agrees with the stylized frame, and where it differs. At 0.75: 0.74 and 0.93; at
    /// most 0.98 and 0.97, so that the output never freezes.
    pub(crate) fn weights(self) -> Weights {
        let amount = self.amount.clamp(0.0, 1.0);
        Weights { low: 0.98 * amount, high: amount.powf(0.27).min(0.97) }
    }

    /// The same for the next stylized frame with lookahead: half, so that the frame itself dominates.
    pub(crate) fn weights_ahead(self) -> Weights {
        let Weights { low, high } = self.weights();
        Weights { low: 0.5 * low, high: 0.5 * high }
    }
}

/// Report on the last frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Report {
    /// Change from the previous frame; [`Change::Cut`] for the first.
    pub change: Change,
    /// Mean confidence, 0..=1.
    pub confidence: f32,
    /// Mean warping errors of the frames so far.
    pub errors: Errors,
    /// Time of the motion estimation, on its thread.
    pub motion: Duration,
    /// Time of warp and blend.
    pub blend: Duration,
}

impl Report {
    pub(crate) const NONE: Report = Report {
        change: Change::Cut,
        confidence: 0.0,
        errors: Errors { raw: 0.0, shown: 0.0 },
        motion: Duration::ZERO,
        blend: Duration::ZERO,
    };
}

/// Share of the frame that may be disoccluded since the last inference before the next one is due; mostly along the
/// border, as in a pan.
const MAX_DISOCCLUDED: f32 = 0.2;
/// The same for the largest connected disoccluded area inside the frame, summed over the frames: there a propagated
/// frame shows what was in front, stretched. At 0.01 the smear behind a moving arm is still seen, at 0.002 it is gone; of
/// a fast film four of five frames get an inference then instead of three of five.
const MAX_DISOCCLUDED_AREA: f32 = 0.003;

/// The stabilizer: motion estimation, history, and with lookahead the held frame.
#[derive(Debug, Default)]
pub struct Stabilizer {
    estimator: MotionEstimator,
    history: History,
    looks_ahead: bool,
    held: HeldFrame,
    /// Since the last inference.
    disoccluded: Disoccluded,
}

/// Sums over frames of disoccluded shares of the frame.
#[derive(Debug, Clone, Copy, Default)]
struct Disoccluded {
    total: f32,
    largest_area: f32,
}

impl Stabilizer {
    /// Drops the history: the next stylized frame is shown unblended. Memory is kept.
    pub fn reset(&mut self) {
        self.history.drop_frames();
        self.estimator.reset();
        self.held.full = false;
        self.disoccluded = Disoccluded::default();
    }

    /// Takes over the history of `other`, which has processed the same frames at another size. The next frame has
    /// `size`, its stylized frame lies at `place`. Does nothing with lookahead.
    pub fn continue_from(&mut self, other: &mut Stabilizer, size: (usize, usize), place: Placement) {
        if !other.looks_ahead {
            self.estimator.continue_from(&mut other.estimator, size);
            self.history.continue_from(&other.history, place);
            self.disoccluded = other.disoccluded;
        }
    }

    /// Keeps the history without smoothing too: for frames that are propagated, and for recurrent models.
    pub fn keep_history(&mut self, keep: bool) {
        self.history.keeps = keep;
    }

    /// Turns lookahead on or off; with it call [`Stabilizer::stabilize_delayed`] instead of [`Stabilizer::stabilize`].
    /// A change drops the history.
    pub fn look_ahead(&mut self, ahead: bool) {
        if std::mem::replace(&mut self.looks_ahead, ahead) != ahead {
            self.reset();
        }
    }

    /// Report on the last frame.
    pub fn report(&self) -> Report {
        self.history.report
    }

    /// Starts the motion estimation of a frame; call it before the frame is stylized. Pixels count by their alpha.
    pub fn observe<S: Sample>(&mut self, image: &Image<S>, smoothing: Smoothing) {
        if self.history.keeps || self.looks_ahead || (smoothing.method == Method::Motion && !smoothing.is_off()) {
            self.estimator.begin(image, self.looks_ahead);
        }
    }

    /// Blends `stylized`, 3 x width x height values, with the history into `into`. False if it has NaN or infinite
    /// values: then
    /// `into` must not be shown, and the history is dropped. Another size or method starts a new history.
    ///
    /// # Errors
    /// `stylized` has another length than `place.tensor`, or `into` another size than `place.picture`.
    pub fn stabilize<S: Sample>(
        &mut self,
        stylized: &[f32],
        place: Placement,
        smoothing: Smoothing,
        into: &mut ImageMut<S>,
    ) -> Result<bool> {
        if smoothing.is_off() && !self.history.keeps {
            self.reset();
            return to_image(stylized, &place, into);
        }
        self.disoccluded = Disoccluded::default();
        match self.history.blend(stylized, back(&self.estimator.estimate()), place, smoothing, into)? {
            Blended::Shown => self.estimator.accept(),
            Blended::HistoryKept => {}
            Blended::NotFinite => {
                self.reset();
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether the frame of the last [`Stabilizer::observe`] may be propagated instead of stylized: not at a cut or a
    /// flash, nor when too much is disoccluded since the last inference, in total or in one connected area. A `late`
    /// frame may have twice as much. Call it once a frame.
    pub fn can_propagate(&mut self, place: Placement, late: bool) -> bool {
        let has_history = self.history.exists(place) || self.held.full;
        let Some(estimate) = self.estimator.estimate().filter(|_| has_history) else { return false };
        let similarity = estimate.back.similarity;
        self.disoccluded.total += similarity.disoccluded;
        self.disoccluded.largest_area += self.estimator.largest_disoccluded_area();
        let tolerance = if late { 2.0 } else { 1.0 };
        Change::of(similarity) == Change::None
            && self.disoccluded.total < tolerance * MAX_DISOCCLUDED
            && self.disoccluded.largest_area < tolerance * MAX_DISOCCLUDED_AREA
    }

    /// Propagates the history along the motion into `into`, for a frame that is not stylized; false without a history.
    pub fn propagate<S: Sample>(&mut self, place: Placement, into: &mut ImageMut<S>) -> bool {
        let Some(estimate) = self.estimator.estimate() else { return false };
        if !self.history.propagate(estimate.back, place, into) {
            return false;
        }
        self.estimator.accept();
        true
    }

    /// The inputs of a recurrent model: the previous output (planar RGB) propagated to the frame of the last
    /// [`Stabilizer::observe`], and the confidence in it, 0..=1; zeros without a history.
    pub fn recurrent_inputs(&mut self, place: Placement, previous: &mut [f32], confidence: &mut [f32]) {
        self.history.recurrent_inputs(back(&self.estimator.estimate()), place, previous, confidence);
    }

    /// With lookahead: takes a stylized frame, whose values must be finite (`None` for a frame to propagate), and
    /// writes the previous frame into `into`; false for the first.
    ///
    /// # Errors
    /// As [`Stabilizer::stabilize`].
    pub fn stabilize_delayed<S: Sample>(
        &mut self,
        stylized: Option<&[f32]>,
        place: Placement,
        smoothing: Smoothing,
        into: &mut ImageMut<S>,
    ) -> Result<bool> {
        if stylized.is_some() {
            self.disoccluded = Disoccluded::default();
        }
        let (held, estimate) = (&mut self.held, self.estimator.estimate());
        let mut shown = false;
        if held.full {
            let ahead = estimate.as_ref().and_then(|e| e.ahead);
            if let (Some(next), Some(ahead)) = (stylized, ahead) {
                held.blend_ahead(&mut self.history, next, ahead, place, smoothing)?;
            }
            shown = held.show(&mut self.history, place, smoothing, into)?;
        }
        held.take(stylized, estimate);
        self.estimator.accept();
        Ok(shown)
    }

    /// With lookahead: writes the held frame, after which no other comes, into `into`; false if none is held. Drops the
    /// history.
    ///
    /// # Errors
    /// As [`Stabilizer::stabilize`].
    pub fn drain<S: Sample>(&mut self, place: Placement, smoothing: Smoothing, into: &mut ImageMut<S>) -> Result<bool> {
        let shown = self.held.full && self.held.show(&mut self.history, place, smoothing, into)?;
        self.reset();
        Ok(shown)
    }
}

fn back<'a>(estimate: &'a Option<Estimate<'a>>) -> Option<&'a Motion> {
    estimate.as_ref().map(|e| &*e.back)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF: Smoothing = Smoothing { method: Method::Average, amount: 0.5 };

    fn row(width: usize) -> Placement {
        Placement::centered((width, 1), (width, 1))
    }

    fn stabilize(stabilizer: &mut Stabilizer, stylized: &[f32], smoothing: Smoothing) -> Vec<f32> {
        let (mut shown, width) = (vec![9.0; stylized.len()], stylized.len() / 3);
        let mut image = ImageMut::of_planar(&mut shown, (width, 1)).unwrap();
        assert!(stabilizer.stabilize(stylized, row(width), smoothing, &mut image).unwrap());
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
    fn reset_another_size_and_off_drop_the_history() {
        let mut stabilizer = Stabilizer::default();
        stabilize(&mut stabilizer, &[0.0; 3], HALF);
        stabilizer.reset();
        assert_eq!(stabilize(&mut stabilizer, &[1.0; 3], HALF), [1.0; 3]);
        assert_eq!(stabilize(&mut stabilizer, &[0.5; 6], HALF), [0.5; 6]);
        assert_eq!(stabilize(&mut stabilizer, &[1.0; 6], Smoothing::OFF), [1.0; 6]);
        assert_eq!(stabilize(&mut stabilizer, &[0.5; 6], HALF), [0.5; 6]);
    }
}
