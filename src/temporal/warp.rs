//! The carried history: bicubic warp and blend in one pass.
//!
//! Comes in: the history, the motion, the new painting. Goes out: the blend. A pixel is four lanes, so that one tap of
//! the warp is one vector.

use std::ops::Range;

use rayon::prelude::*;
use wide::f32x4;

use super::confidence::Field;
use super::taps::{PHASES, TAPS, sample};
use crate::geometry::{Between, between};

/// Red, green, blue, and how good a history the pixel is: the largest share it may have in the next blend, 0..=1.
pub type Pixel = f32x4;

/// A painting's own pixel is one frame's worth of history; every blend brings it nearer to 1.
pub const FRESH: f32 = 0.6;

/// How much of the history is taken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weights {
    /// Where history and painting agree.
    pub low: f32,
    /// Where they differ: with the scene unchanged, that is flicker.
    pub high: f32,
}

/// Difference of history and painting at which the weight is half way from low to high.
const FLICKER: f32 = 0.05;
/// Less trust than this is none.
const LEAST: f32 = 0.02;

/// Size of the painting, and where the picture that moved lies in it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Canvas {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// First pixel of the picture, and its size; around it is padding.
    pub origin: (usize, usize),
    /// Size of the picture in the painting.
    pub picture: (usize, usize),
}

/// Warps and blends; holds tables and scratch of one size.
#[derive(Debug, Default)]
pub struct Carrier {
    canvas: Option<Canvas>,
    field: (usize, usize),
    columns: Vec<Between>,
    rows: Vec<Between>,
    /// Motion and trust of one row, for each band of rows that is worked on beside the others.
    scratch: Vec<Vec<Pixel>>,
}

/// Rows of a band; every band is a piece of work for one thread.
pub(super) fn band(height: usize) -> usize {
    height.div_ceil(rayon::current_num_threads().clamp(1, 8)).max(16)
}

impl Carrier {
    fn prepare(&mut self, canvas: Canvas, field: &Field) {
        if self.canvas == Some(canvas) && self.field == (field.width, field.height) {
            return;
        }
        self.columns = between(canvas.width, canvas.origin.0, canvas.picture.0, field.width);
        self.rows = between(canvas.height, canvas.origin.1, canvas.picture.1, field.height);
        let bands = canvas.height.div_ceil(band(canvas.height));
        self.scratch = vec![vec![Pixel::ZERO; field.width]; bands];
        (self.canvas, self.field) = (Some(canvas), (field.width, field.height));
    }

    /// Blends `fresh` (planar) with the warped `history` into `blend`; `blur` becomes the strength of the blur that the
    /// warp's interpolation left, 0..=1.
    pub fn carry(
        &mut self,
        canvas: Canvas,
        field: &Field,
        history: &[Pixel],
        fresh: &[f32],
        weights: Weights,
        (blend, blur): (&mut [Pixel], &mut [f32]),
    ) {
        self.prepare(canvas, field);
        let area = canvas.width * canvas.height;
        let warp = Warp { canvas, field, history, columns: &self.columns, rows: &self.rows };
        let chunk = band(canvas.height) * canvas.width;
        let bands = blend.par_chunks_mut(chunk).zip(blur.par_chunks_mut(chunk)).zip(&mut self.scratch);
        bands.enumerate().for_each(|(i, ((blend, blur), row))| {
            let lines = i * chunk..i * chunk + blend.len();
            let [red, green, blue] = [0, 1, 2].map(|c| &fresh[c * area + lines.start..c * area + lines.end]);
            warp.walk(lines, Reach::Trusted, row, |at, found| {
                let new = unit(Pixel::new([red[at], green[at], blue[at], 0.0]));
                (blend[at], blur[at]) = match found {
                    Some(found) => (mixed(new, found.pixel, found.trust, weights), found.blur),
                    None => (new + ONE_FRAME, 0.0),
                };
            });
        });
    }

    /// The `history` carried along the motion, whether it can be trusted or not; for a frame that is not painted.
    pub fn slide(
        &mut self,
        canvas: Canvas,
        field: &Field,
        history: &[Pixel],
        (blend, blur): (&mut [Pixel], &mut [f32]),
    ) {
        self.prepare(canvas, field);
        let warp = Warp { canvas, field, history, columns: &self.columns, rows: &self.rows };
        let chunk = band(canvas.height) * canvas.width;
        let bands = blend.par_chunks_mut(chunk).zip(blur.par_chunks_mut(chunk)).zip(&mut self.scratch);
        bands.enumerate().for_each(|(i, ((blend, blur), row))| {
            warp.walk(i * chunk..i * chunk + blend.len(), Reach::Everywhere, row, |at, found| {
                if let Some(found) = found {
                    // What came into view since the last painting must not outlive the next one.
                    let worth = Pixel::new([1.0, 1.0, 1.0, (found.trust * SURE).min(1.0)]);
                    (blend[at], blur[at]) = (unit(found.pixel) * worth, 0.0);
                }
            });
        });
    }

    /// The `history` carried along the motion (planar), and the trust in it: what a recurrent model is fed. Both are 0
    /// where there is nothing to trust.
    pub fn guide(
        &mut self,
        canvas: Canvas,
        field: &Field,
        history: &[Pixel],
        (previous, confidence): (&mut [f32], &mut [f32]),
    ) {
        self.prepare(canvas, field);
        let area = canvas.width * canvas.height;
        let (red, rest) = previous.split_at_mut(area);
        let (green, blue) = rest.split_at_mut(area);
        let warp = Warp { canvas, field, history, columns: &self.columns, rows: &self.rows };
        let Some(row) = self.scratch.first_mut() else { return };
        warp.walk(0..area, Reach::Trusted, row, |at, found| {
            let (pixel, trust) = found.map_or((Pixel::ZERO, 0.0), |found| (unit(found.pixel), found.trust));
            let [r, g, b, _] = pixel.to_array();
            (red[at], green[at], blue[at], confidence[at]) = (r, g, b, trust.min(1.0));
        });
    }
}

/// One warp: what is the same for all its pixels.
struct Warp<'a> {
    canvas: Canvas,
    field: &'a Field,
    history: &'a [Pixel],
    columns: &'a [Between],
    rows: &'a [Between],
}

impl Warp<'_> {
    /// The motion and trust of one row of the painting, at the columns of the field.
    fn take_row(&self, y: usize, row: &mut [Pixel]) {
        let Between { low, high, share } = self.rows[y];
        let line = |y: u32| &self.field.cells[y as usize * self.field.width..][..self.field.width];
        let (above, below) = (line(low), line(high));
        for ((cell, a), b) in row.iter_mut().zip(above).zip(below) {
            let lanes = |v: &[f32; 3]| Pixel::new([v[0], v[1], v[2], 0.0]);
            *cell = lanes(a) + (lanes(b) - lanes(a)) * share;
        }
    }

    /// Looks up the pixels `lines` (whole rows) of the painting where they were in the history; `visit` gets their
    /// places counted from the first.
    #[inline(always)]
    fn walk(&self, lines: Range<usize>, reach: Reach, row: &mut [Pixel], mut visit: impl FnMut(usize, Option<Found>)) {
        let Canvas { width, height, picture, .. } = self.canvas;
        let scale = |picture: usize, cells: usize| picture as f32 / cells as f32;
        let scale = [scale(picture.0, self.field.width), scale(picture.1, self.field.height), 1.0, 0.0];
        let (scale, last) = (Pixel::new(scale), ((width - 1) as f32, (height - 1) as f32));
        for y in lines.start / width..lines.end / width {
            self.take_row(y, row);
            let first = y * width - lines.start;
            for (x, Between { low, high, share }) in self.columns.iter().copied().enumerate() {
                let (left, right) = (row[low as usize], row[high as usize]);
                // Column, row and trust, side by side.
                let [dx, dy, trust, _] = ((left + (right - left) * share) * scale).to_array();
                let (px, py) = (x as f32 + dx, y as f32 + dy);
                if reach == Reach::Everywhere {
                    // From beyond the border nothing is known: what was here before is better than streaks.
                    let inside = px >= 0.0 && py >= 0.0 && px <= last.0 && py <= last.1;
                    let found = match inside {
                        true => self.look_up(px, py, trust),
                        false => self.look_up(x as f32, y as f32, 0.0),
                    };
                    visit(first + x, Some(found));
                    continue;
                }
                if !(px >= 0.0 && py >= 0.0 && px <= last.0 && py <= last.1 && trust >= LEAST) {
                    visit(first + x, None);
                    continue;
                }
                visit(first + x, Some(self.look_up(px, py, trust)));
            }
        }
    }

    #[inline(always)]
    fn look_up(&self, px: f32, py: f32, trust: f32) -> Found {
        let Canvas { width, height, .. } = self.canvas;
        let fine = |v: f32| (v * PHASES as f32 + 0.5) as u32 as usize;
        let (fx, fy) = (fine(px), fine(py));
        let place = (fx / PHASES, fy / PHASES);
        let (across, down) = (&TAPS[fx % PHASES], &TAPS[fy % PHASES]);
        match (fx | fy).is_multiple_of(PHASES) {
            // Nothing to interpolate, as in most of what a still camera sees.
            true => Found { pixel: self.history[place.1 * width + place.0], trust, blur: 0.0 },
            false => Found {
                pixel: sample(self.history, width, height, place, across, down),
                trust,
                blur: across.blur.max(down.blur),
            },
        }
    }
}

/// Which pixels of the history are looked up.
#[derive(Clone, Copy, PartialEq)]
enum Reach {
    /// Those that can be trusted and lie inside.
    Trusted,
    /// All.
    Everywhere,
}

/// A pixel of the history, where it was.
struct Found {
    pixel: Pixel,
    trust: f32,
    /// Strength of the blur that the interpolation left, 0..=1.
    blur: f32,
}

#[inline(always)]
pub(super) fn unit(pixel: Pixel) -> Pixel {
    pixel.fast_max(Pixel::ZERO).fast_min(Pixel::ONE)
}

#[inline(always)]
fn mixed(new: Pixel, old: Pixel, trust: f32, weights: Weights) -> Pixel {
    let old = unit(old);
    let [r, g, b, before] = (new - old).abs().to_array();
    let off = (r + g + b) * (1.0 / 3.0);
    let square = off * off;
    let flicker = square / (square + FLICKER * FLICKER);
    let share = (trust * (weights.low + (weights.high - weights.low) * flicker)).min(before);
    // The last lane of `new` is 0, and becomes FRESH and what the history adds to it.
    let step = (old - new) * SCENE + MORE;
    new + ONE_FRAME + step * share
}

/// Trust beyond 1 / this is as good as full, for a frame that is not painted.
const SURE: f32 = 1.25;
const ONE_FRAME: Pixel = Pixel::new([0.0, 0.0, 0.0, FRESH]);
const MORE: Pixel = Pixel::new([0.0, 0.0, 0.0, 1.0 - FRESH]);
const SCENE: Pixel = Pixel::new([1.0, 1.0, 1.0, 0.0]);
