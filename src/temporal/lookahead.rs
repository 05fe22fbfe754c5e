//! Lookahead: the frame that is held back until the next one is known.
//!
//! Input: its stylized frame and motion, then those of the next frame. Output: its stabilized frame.

use anyhow::Result;

use crate::frame::image::{ImageMut, Sample};
use crate::temporal::estimator::{Estimate, Motion};
use crate::temporal::history::{Blended, History};
use crate::temporal::stabilizer::Smoothing;
use crate::tensor::placement::Placement;
use crate::warp::pixel::Pixel;

/// The held frame and its memory.
#[derive(Debug, Default)]
pub struct HeldFrame {
    /// Whether a frame is held.
    pub full: bool,
    /// Empty for a frame that was not stylized.
    stylized: Vec<f32>,
    motion: Motion,
    has_motion: bool,
    scratch: Vec<Pixel>,
}

impl HeldFrame {
    /// Holds a frame: its stylized frame, if it has one, and the motion back to the frame before.
    pub fn take(&mut self, stylized: Option<&[f32]>, estimate: Option<Estimate>) {
        self.stylized.clear();
        self.stylized.extend_from_slice(stylized.unwrap_or_default());
        (self.full, self.has_motion) = (true, estimate.is_some());
        if let Some(estimate) = estimate {
            std::mem::swap(&mut self.motion, estimate.back);
        }
    }

    /// Blends `next`, the stylized frame after the held one, into that, if the held frame was stylized.
    ///
    /// # Errors
    /// As [`History::blend_ahead`].
    pub fn blend_ahead(
        &mut self,
        history: &mut History,
        next: &[f32],
        ahead: &Motion,
        place: Placement,
        smoothing: Smoothing,
    ) -> Result<()> {
        match self.stylized.is_empty() {
            true => Ok(()),
            false => history.blend_ahead(&mut self.stylized, next, ahead, place, smoothing, &mut self.scratch),
        }
    }

    /// Stabilizes or propagates the held frame into `into`; false for a frame that has neither a stylized frame nor a
    /// history.
    ///
    /// # Errors
    /// As [`History::blend`].
    pub fn show<S: Sample>(
        &mut self,
        history: &mut History,
        place: Placement,
        smoothing: Smoothing,
        into: &mut ImageMut<S>,
    ) -> Result<bool> {
        let motion = self.has_motion.then_some(&self.motion);
        if self.stylized.is_empty() {
            return Ok(motion.is_some_and(|motion| history.propagate(motion, place, into)));
        }
        let blended = history.blend(&self.stylized, motion, place, smoothing, into)?;
        if let (Blended::HistoryKept, Some(motion)) = (blended, motion) {
            // The next frame's motion starts at this frame: the history follows, without an output.
            history.propagate(motion, place, &mut into.view_mut().split_off(0));
        }
        Ok(true)
    }
}
