//! The warping error of what is shown, and of the raw stylized frames, measured while playing: for the statistics.
//!
//! One pair of frames in eight is looked at, at a few thousand places; the error is that of [`crate::metrics`], with
//! the motion of the frames that the stabilizer found anyway.

use crate::confidence::Field;
use crate::frame::image::{Image, Sample};
use crate::metrics::linear;
use crate::warp::canvas::Canvas;

const EVERY: u32 = 8;
/// Values of a stylized frame up to which it is measured: 4096x2160. Larger ones would be kept twice for a number.
const LARGEST: usize = 3 * 4096 * 2160;
/// Every fourth cell of every fourth row.
const STEP: usize = 4;
/// Cells that are relied on less may be occluded.
const TRUSTED: f32 = 0.5;

/// Mean warping errors, 0..=3; 0 before anything was measured.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Errors {
    /// Of the raw stylized frames.
    pub raw: f32,
    /// Of what was shown.
    pub shown: f32,
}

/// Measures.
#[derive(Debug, Default)]
pub struct Meter {
    /// The picture, without padding, planar, as it was stylized and as it was shown.
    raw: Vec<f32>,
    shown: Vec<f32>,
    armed: bool,
    frames: u32,
    errors: Errors,
}

impl Meter {
    /// The frame before is not to be compared with.
    pub fn reset(&mut self) {
        self.armed = false;
    }

    /// The means so far, over about the last 32 pairs that were looked at.
    pub fn errors(&self) -> Errors {
        self.errors
    }

    /// Takes a stylized frame, raw (planar, the whole canvas) and the picture of it that is shown, and the motion from it back
    /// to the one before.
    pub fn look<S: Sample>(&mut self, canvas: Canvas, field: &Field, raw: &[f32], shown: &Image<S>) {
        if raw.len() > LARGEST {
            return;
        }
        let Canvas { width, height, origin: (left, top), picture } = canvas;
        let raw_row = |c: usize, y: usize| &raw[(c * height + y + top) * width + left..][..picture.0];
        let white = f32::from(shown.shape().white);
        if std::mem::take(&mut self.armed) && self.raw.len() == 3 * picture.0 * picture.1 {
            let raw = error(picture, field, &self.raw, |c, x, y| raw_row(c, y)[x].clamp(0.0, 1.0));
            let shown = error(picture, field, &self.shown, |c, x, y| shown.row(c, y)[x].to_f32() / white);
            let blend_ahead = |mean: f32, now: f32| if mean == 0.0 { now } else { mean + (now - mean) / 32.0 };
            self.errors =
                Errors { raw: blend_ahead(self.errors.raw, raw), shown: blend_ahead(self.errors.shown, shown) };
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

/// Mean over the cells that are relied on; `new` is the value of a channel at (x, y) of the picture.
fn error(picture: (usize, usize), field: &Field, old: &[f32], new: impl Fn(usize, usize, usize) -> f32) -> f32 {
    let scale = (picture.0 as f32 / field.width as f32, picture.1 as f32 / field.height as f32);
    let (mut sum, mut count) = (0.0, 0.0);
    for row in (0..field.height).step_by(STEP) {
        for column in (0..field.width).step_by(STEP) {
            let cell = row * field.width + column;
            let (dx, dy, confidence) = (field.x[cell], field.y[cell], field.confidence[cell]);
            let (x, y) = (((column as f32 + 0.5) * scale.0) as usize, ((row as f32 + 0.5) * scale.1) as usize);
            if confidence < TRUSTED || x >= picture.0 || y >= picture.1 {
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
