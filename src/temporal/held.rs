//! With lookahead: the frame before the last one seen, which waits to be shown.
//!
//! Comes in: its painting and motion, then those of the next frame. Goes out: the picture to show of it.

use std::time::Duration;

use anyhow::Result;

use super::blender::{Blended, Blender};
use super::canvas::Canvas;
use super::estimator::{Estimate, Motion};
use super::pixel::Pixel;
use super::stabilizer::Smoothing;
use crate::image::{ImageMut, Sample};

/// The frame.
#[derive(Debug, Default)]
pub struct Held {
    /// Whether there is one.
    pub full: bool,
    /// Empty for a frame that was not painted.
    painting: Vec<f32>,
    motion: Motion,
    took: Option<Duration>,
    scratch: Vec<Pixel>,
}

impl Held {
    /// Takes the next frame's painting, and its motion back to the one before.
    pub fn take(&mut self, fresh: Option<&[f32]>, estimate: Option<Estimate>) {
        self.painting.clear();
        self.painting.extend_from_slice(fresh.unwrap_or_default());
        (self.full, self.took) = (true, estimate.as_ref().map(|e| e.took));
        if let Some(estimate) = estimate {
            std::mem::swap(&mut self.motion, estimate.back);
        }
    }

    /// Blends the painting of the frame after into that of the frame that waits, if that has one.
    ///
    /// # Errors
    /// As [`Blender::ease`].
    pub fn ease(
        &mut self,
        blender: &mut Blender,
        next: &[f32],
        ahead: &Motion,
        canvas: Canvas,
        smoothing: Smoothing,
    ) -> Result<()> {
        match self.painting.is_empty() {
            true => Ok(()),
            false => blender.ease(&mut self.painting, next, ahead, canvas, smoothing, &mut self.scratch),
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
        if self.painting.is_empty() {
            return Ok(found.is_some_and(|(motion, took)| blender.slide(motion, took, canvas, into)));
        }
        let blended = blender.blend(&self.painting, found, canvas, smoothing, into)?;
        if let (Blended::Waits, Some((motion, took))) = (blended, found) {
            // The motion to come starts at this frame.
            blender.slide(motion, took, canvas, &mut into.view_mut().split_off(0));
        }
        Ok(true)
    }
}
