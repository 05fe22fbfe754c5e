//! The warping error of what is shown, and of the raw paintings, measured while playing: for the statistics.
//!
//! One pair of frames in eight is looked at, at a few thousand places; the error is that of [`super::metrics`], with
//! the motion of the frames that the stabilizer found anyway.

use super::confidence::Field;
use super::metrics::linear;
use super::warp::Canvas;

const EVERY: u32 = 8;
/// Values of a painting up to which it is measured: 4096x2160. Larger ones would be kept twice for a number.
const LARGEST: usize = 3 * 4096 * 2160;
/// Every fourth cell of every fourth row.
const STEP: usize = 4;
/// Cells that are trusted less may be occluded.
const TRUSTED: f32 = 0.5;

/// Mean warping errors, 0..=3; 0 before anything was measured.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Errors {
    /// Of the raw paintings.
    pub raw: f32,
    /// Of what was shown.
    pub shown: f32,
}

/// Measures.
#[derive(Debug, Default)]
pub struct Meter {
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

    /// Takes a painting, raw and as it is shown, and the motion from it back to the one before.
    pub fn look(&mut self, canvas: Canvas, field: &Field, raw: &[f32], shown: &[f32]) {
        if raw.len() > LARGEST {
            return;
        }
        if std::mem::take(&mut self.armed) && self.raw.len() == raw.len() {
            let now =
                Errors { raw: error(canvas, field, raw, &self.raw), shown: error(canvas, field, shown, &self.shown) };
            let ease = |mean: f32, now: f32| if mean == 0.0 { now } else { mean + (now - mean) / 32.0 };
            self.errors = Errors { raw: ease(self.errors.raw, now.raw), shown: ease(self.errors.shown, now.shown) };
        }
        self.frames = (self.frames + 1) % EVERY;
        if self.frames == 0 {
            for (keep, new) in [(&mut self.raw, raw), (&mut self.shown, shown)] {
                keep.clear();
                keep.extend_from_slice(new);
            }
            self.armed = true;
        }
    }
}

fn error(canvas: Canvas, field: &Field, new: &[f32], old: &[f32]) -> f32 {
    let area = canvas.width * canvas.height;
    let scale = (canvas.picture.0 as f32 / field.width as f32, canvas.picture.1 as f32 / field.height as f32);
    let (mut sum, mut count) = (0.0, 0.0);
    for row in (0..field.height).step_by(STEP) {
        for column in (0..field.width).step_by(STEP) {
            let cell = row * field.width + column;
            let (dx, dy, trust) = (field.x[cell], field.y[cell], field.trust[cell]);
            let x = canvas.origin.0 + ((column as f32 + 0.5) * scale.0) as usize;
            let y = canvas.origin.1 + ((row as f32 + 0.5) * scale.1) as usize;
            if trust < TRUSTED || x >= canvas.width || y >= canvas.height {
                continue;
            }
            let (px, py) = (x as f32 + dx * scale.0, y as f32 + dy * scale.1);
            for (old, new) in old.chunks_exact(area).zip(new.chunks_exact(area)) {
                let before = linear(old, canvas.width, px, py).clamp(0.0, 1.0);
                sum += (before - new[y * canvas.width + x].clamp(0.0, 1.0)).powi(2);
            }
            count += 1.0;
        }
    }
    sum / f32::max(count, 1.0)
}
