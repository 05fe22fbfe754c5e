//! Live warping error of the shown and of the raw stylized frames, for the element's statistics.
//!
//! Input: every stylized frame, raw and as shown, with its motion field. Output: running means of the error of
//! [`crate::metrics::warping_error`]. One pair of frames in eight is measured, at a few thousand pixels, with the
//! motion that the stabilizer has estimated anyway.

use crate::confidence::MotionField;
use crate::frame::image::{Image, Sample};
use crate::metrics::warping_error::linear;
use crate::tensor::placement::Placement;

/// One pair of frames in so many is measured.
const EVERY: u32 = 8;
/// Largest stylized frame that is measured, in values: 4096x2160. A measurement keeps two copies.
const LARGEST: usize = 3 * 4096 * 2160;
/// Every fourth cell of every fourth row is measured.
const STEP: usize = 4;
/// Cells with less confidence may be occluded and are ignored.
const MIN_CONFIDENCE: f32 = 0.5;

/// Mean warping errors, 0..=3; 0 before the first measurement.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Errors {
    /// Of the raw stylized frames.
    pub raw: f32,
    /// Of the shown frames.
    pub shown: f32,
}

/// Measures warping errors.
#[derive(Debug, Default)]
pub struct Meter {
    /// Previous frame without padding, planar, as stylized and as shown.
    raw: Vec<f32>,
    shown: Vec<f32>,
    armed: bool,
    frames: u32,
    errors: Errors,
}

impl Meter {
    /// The next frame is not compared with the previous one.
    pub fn reset(&mut self) {
        self.armed = false;
    }

    /// Exponential means over about the last 32 measurements.
    pub fn errors(&self) -> Errors {
        self.errors
    }

    /// Takes a frame: `raw` is the stylized frame (planar, of the tensor's size), `shown` the picture as shown, `field`
    /// the motion back to the previous frame.
    pub fn measure<S: Sample>(&mut self, place: Placement, field: &MotionField, raw: &[f32], shown: &Image<S>) {
        if raw.len() > LARGEST {
            return;
        }
        let Placement { tensor: (width, height), origin: (left, top), picture } = place;
        let raw_row = |c: usize, y: usize| &raw[(c * height + y + top) * width + left..][..picture.0];
        let white = f32::from(shown.shape().white);
        if std::mem::take(&mut self.armed) && self.raw.len() == 3 * picture.0 * picture.1 {
            let raw = error(picture, field, &self.raw, |c, x, y| raw_row(c, y)[x].clamp(0.0, 1.0));
            let shown = error(picture, field, &self.shown, |c, x, y| shown.row(c, y)[x].to_f32() / white);
            let update = |mean: f32, now: f32| if mean == 0.0 { now } else { mean + (now - mean) / 32.0 };
            self.errors = Errors { raw: update(self.errors.raw, raw), shown: update(self.errors.shown, shown) };
        }
        self.frames = (self.frames + 1) % EVERY;
        if self.frames == 0 {
            self.raw.clear();
            self.shown.clear();
            for (c, y) in (0..3).flat_map(|c| (0..picture.1).map(move |y| (c, y))) {
                self.raw.extend_from_slice(raw_row(c, y));
                self.shown.extend(shown.row(c, y).iter().map(|v| v.to_f32() / white));
            }
            self.armed = true;
        }
    }
}

/// Mean over the confident cells; `new` is the value of a channel at (x, y) of the picture.
fn error(picture: (usize, usize), field: &MotionField, old: &[f32], new: impl Fn(usize, usize, usize) -> f32) -> f32 {
    let scale = (picture.0 as f32 / field.width as f32, picture.1 as f32 / field.height as f32);
    let (mut sum, mut count) = (0.0, 0.0);
    for row in (0..field.height).step_by(STEP) {
        for column in (0..field.width).step_by(STEP) {
            let cell = row * field.width + column;
            let (dx, dy, confidence) = (field.x[cell], field.y[cell], field.confidence[cell]);
            let (x, y) = (((column as f32 + 0.5) * scale.0) as usize, ((row as f32 + 0.5) * scale.1) as usize);
            if confidence < MIN_CONFIDENCE || x >= picture.0 || y >= picture.1 {
                continue;
            }
            let (px, py) = (x as f32 + dx * scale.0, y as f32 + dy * scale.1);
            for (c, old) in old.chunks_exact(picture.0 * picture.1).enumerate() {
                let before = linear(old, picture.0, px, py).clamp(0.0, 1.0);
                sum += (before - new(c, x, y)).powi(2);
            }
            count += 1.0;
        }
    }
    sum / f32::max(count, 1.0)
}
