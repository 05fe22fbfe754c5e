//! With lookahead: the frame before the last one seen, which waits to be shown.
//!
//! Comes in: its stylized frame and motion, then those of the next frame. Goes out: the picture to show of it.

use std::time::Duration;

use anyhow::Result;

use crate::frame::image::{ImageMut, Sample};
use crate::temporal::estimator::{Estimate, Motion};
use crate::temporal::history::{Blended, Blender};
use crate::temporal::stabilizer::Smoothing;
use crate::warp::canvas::Canvas;
use crate::warp::pixel::Pixel;

/// The frame.
#[derive(Debug, Default)]
pub struct Delayed {
    /// Whether there is one.
    pub full: bool,
    /// Empty for a frame that was not stylized.
    stylized: Vec<f32>,
    motion: Motion,
    took: Option<Duration>,
    scratch: Vec<Pixel>,
}

impl Delayed {
    /// Takes the next frame's stylized frame, and its motion back to the one before.
    pub fn take(&mut self, fresh: Option<&[f32]>, estimate: Option<Estimate>) {
        self.stylized.clear();
        self.stylized.extend_from_slice(fresh.unwrap_or_default());
        (self.full, self.took) = (true, estimate.as_ref().map(|e| e.took));
        if let Some(estimate) = estimate {
            std::mem::swap(&mut self.motion, estimate.back);
        }
    }

    /// Blends the stylized frame of the frame after into that of the frame that waits, if that has one.
    ///
    /// # Errors
    /// As [`Blender::blend_ahead`].
    pub fn blend_ahead(
        &mut self,
        blender: &mut Blender,
        next: &[f32],
        ahead: &Motion,
        canvas: Canvas,
        smoothing: Smoothing,
    ) -> Result<()> {
        match self.stylized.is_empty() {
            true => Ok(()),
            false => blender.blend_ahead(&mut self.stylized, next, ahead, canvas, smoothing, &mut self.scratch),
        }
    }

    /// Shows the frame that waited in the picture; false if there is nothing to show of it.
    ///
    /// # Errors
    /// As [`Blender::blend`].
    pub fn show<S: Sample>(
        &mut self,
        blender: &mut Blender,
        canvas: Canvas,
        smoothing: Smoothing,
        into: &mut ImageMut<S>,
    ) -> Result<bool> {
        let found = self.took.map(|took| (&self.motion, took));
        if self.stylized.is_empty() {
            return Ok(found.is_some_and(|(motion, took)| blender.propagate(motion, took, canvas, into)));
        }
        let blended = blender.blend(&self.stylized, found, canvas, smoothing, into)?;
        if let (Blended::Waits, Some((motion, took))) = (blended, found) {
            // The motion to come starts at this frame.
            blender.propagate(motion, took, canvas, &mut into.view_mut().split_off(0));
        }
        Ok(true)
    }
}
