//! The carried history: bicubic warp and blend in one pass.
//!
//! Comes in: the history, the motion, the new painting. Goes out: the blend. A pixel is four lanes, so that one tap of
//! the warp is one vector.

use std::ops::Range;

use rayon::prelude::*;
use wide::{f32x4, i32x4};

use super::blend::{Weights, mix};
use super::confidence::Field;
use super::taps::{PHASES, TAPS, sample};
use crate::geometry::{Between, between};

/// Red, green, blue, and how good a history the pixel is: the largest share it may have in the next blend, 0..=1.
pub type Pixel = f32x4;

/// A painting's own pixel is one frame's worth of history; every blend brings it nearer to 1.
pub const FRESH: f32 = 0.6;

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
    /// For each band of rows that is worked on beside the others.
    scratch: Vec<Row>,
}

/// Scratch for one row.
#[derive(Debug, Clone, Default)]
struct Row {
    /// Motion and trust at the columns of the field.
    cells: Vec<Pixel>,
    /// Trust in what was looked up for each pixel; 0 for nothing.
    trust: Vec<f32>,
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
        let row = Row { cells: vec![Pixel::ZERO; field.width], trust: vec![0.0; canvas.width] };
        self.scratch = vec![row; bands];
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
            for (j, (blend, blur)) in blend.chunks_mut(canvas.width).zip(blur.chunks_mut(canvas.width)).enumerate() {
                let start = i * chunk + j * canvas.width;
                let mut into = blend.iter_mut().zip(blur).zip(&mut row.trust);
                warp.walk(start / canvas.width, Reach::Trusted, &mut row.cells, |found| {
                    let Some(((pixel, blur), trust)) = into.next() else { return };
                    (*pixel, *blur, *trust) = found.map_or((Pixel::ZERO, 0.0, 0.0), |f| (f.pixel, f.blur, f.trust));
                });
                let fresh = [0, 1, 2].map(|c| &fresh[c * area + start..][..canvas.width]);
                mix(blend, &row.trust, fresh, weights);
            }
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
            let mut pixels = blend.iter_mut().zip(blur);
            let lines = i * chunk / canvas.width..i * chunk / canvas.width + pixels.len() / canvas.width;
            warp.walk_all(lines, Reach::Everywhere, row, |found| {
                if let (Some((blend, blur)), Some(found)) = (pixels.next(), found) {
                    // What came into view since the last painting must not outlive the next one.
                    let worth = Pixel::new([1.0, 1.0, 1.0, (found.trust * SURE).min(1.0)]);
                    (*blend, *blur) = (unit(found.pixel) * worth, 0.0);
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
        let mut pixels = red.iter_mut().zip(green).zip(blue).zip(confidence);
        warp.walk_all(0..canvas.height, Reach::Trusted, row, |found| {
            let Some((((red, green), blue), confidence)) = pixels.next() else { return };
            let (pixel, trust) = found.map_or((Pixel::ZERO, 0.0), |found| (unit(found.pixel), found.trust));
            let [r, g, b, _] = pixel.to_array();
            (*red, *green, *blue, *confidence) = (r, g, b, trust.min(1.0));
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

    /// Looks up the pixels of some `rows` of the painting where they were in the history; `visit` gets them in their
    /// order.
    fn walk_all(&self, rows: Range<usize>, reach: Reach, row: &mut Row, mut visit: impl FnMut(Option<Found>)) {
        rows.for_each(|y| self.walk(y, reach, &mut row.cells, &mut visit));
    }

    /// The same for one row.
    #[inline(always)]
    fn walk(&self, y: usize, reach: Reach, row: &mut [Pixel], mut visit: impl FnMut(Option<Found>)) {
        let Canvas { width, height, picture, .. } = self.canvas;
        let (history, columns) = (self.history, self.columns);
        let scale = |picture: usize, cells: usize| picture as f32 / cells as f32;
        let scale = [scale(picture.0, self.field.width), scale(picture.1, self.field.height), 1.0, 0.0];
        let (scale, last) = (Pixel::new(scale), Pixel::new([(width - 1) as f32, (height - 1) as f32, f32::MAX, 0.0]));
        let least = Pixel::new([0.0, 0.0, if reach == Reach::Everywhere { 0.0 } else { LEAST }, 0.0]);
        self.take_row(y, row);
        let mut here = Pixel::new([0.0, y as f32, 0.0, 0.0]);
        for Between { low, high, share } in columns {
            let (left, right) = (row[*low as usize], row[*high as usize]);
            // Column, row and trust, side by side.
            let place = (left + (right - left) * *share) * scale + here;
            let found = match (place.simd_ge(least) & place.simd_le(last)).all() {
                true => Some(look_up(history, (width, height), place)),
                // From beyond the border nothing is known: what was here before is better than streaks.
                false if reach == Reach::Everywhere => Some(look_up(history, (width, height), here)),
                false => None,
            };
            visit(found);
            here += RIGHT;
        }
    }
}

/// The history at a `place`: column, row, trust.
#[inline(always)]
fn look_up(history: &[Pixel], (width, height): (usize, usize), place: Pixel) -> Found {
    let fine = (place * (PHASES as f32) + Pixel::HALF).fast_trunc_int();
    let [x, y, ..] = (fine >> PHASES.trailing_zeros() as i32).to_array();
    let [across, down, ..] = (fine & PHASE).to_array();
    let (at, trust) = ((x as usize, y as usize), place.to_array()[2]);
    match (across | down) == 0 {
        // Nothing to interpolate, as in most of what a still camera sees.
        true => Found { pixel: history[at.1 * width + at.0], trust, blur: 0.0 },
        false => {
            let (across, down) = (&TAPS[across as usize % PHASES], &TAPS[down as usize % PHASES]);
            let pixel = sample(history, width, height, at, across, down);
            Found { pixel, trust, blur: across.blur.max(down.blur) }
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

/// Trust beyond 1 / this is as good as full, for a frame that is not painted.
const SURE: f32 = 1.25;
/// One column further.
const RIGHT: Pixel = Pixel::new([1.0, 0.0, 0.0, 0.0]);
/// Of a place in 1/[`PHASES`], what lies between two pixels.
const PHASE: i32x4 = i32x4::splat(PHASES as i32 - 1);
