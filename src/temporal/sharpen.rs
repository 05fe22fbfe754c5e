//! Sharpening of the blend: an unsharp mask with a 3 x 3 binomial kernel.
//!
//! Input: rows of the blend, and the blur that the warp caused. Output: the row to show, and the row of the history.
//! The first makes up for detail that averaging removes; the second keeps the warp's blur from accumulating from frame
//! to frame.

use fearless_simd::prelude::*;

use crate::frame::lanes::{LANES, eight, unit};
use crate::temporal::blend::INITIAL_WEIGHT;
use crate::warp::pixel::{Pixel, store_eight};

/// Strength of the sharpening, 0 is none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sharpening {
    /// Of the frame to show, where the history has a share.
    pub shown: f32,
    /// Of the history, where the warp interpolates.
    pub history: f32,
    /// Added to the history's channels: pulls its mean colour towards the stylized frame's, so that it does not drift.
    pub color_offset: [f32; 3],
}

impl Sharpening {
    /// No change.
    pub const NONE: Sharpening = Sharpening { shown: 0.0, history: 0.0, color_offset: [0.0; 3] };
}

/// Detail at which sharpening is halved: strong edges get no halos.
const HALO_LIMIT: f32 = 0.02;

/// A row of the blend in groups of eight; the last group may reach beyond the row.
#[derive(Debug, Clone, Default)]
pub struct Line {
    /// Red, green, blue and accumulation weight.
    pub planes: [Vec<[f32; LANES]>; 4],
    /// Blur of the warp, 0 (none) ..= 1 (half way between two pixels).
    pub blur: Vec<[f32; LANES]>,
}

impl Line {
    /// Makes room for `width` pixels.
    pub fn fit(&mut self, width: usize) {
        let room = width.div_ceil(LANES);
        self.planes.iter_mut().for_each(|plane| plane.resize(room, [0.0; LANES]));
        self.blur.resize(room, [0.0; LANES]);
    }
}

/// Scratch for a row: sums of its columns, the row to show, and the row of the history before it is interleaved.
#[derive(Debug, Clone, Default)]
pub struct Scratch {
    columns: Vec<f32>,
    shown: [Vec<[f32; LANES]>; 3],
    history: [Vec<[f32; LANES]>; 3],
}

impl Scratch {
    /// Makes room for `width` pixels.
    pub fn fit(&mut self, width: usize) {
        let room = width.div_ceil(LANES);
        self.columns.resize(room * LANES + 2, 0.0);
        self.shown.iter_mut().chain(&mut self.history).for_each(|row| row.resize(room, [0.0; LANES]));
    }

    /// Channel `c` of the row to show that was sharpened last; it may reach beyond the row.
    #[inline(always)]
    pub fn shown(&self, c: usize) -> &[f32] {
        self.shown[c].as_flattened()
    }
}

/// Sharpens the second of three lines into [`Scratch::shown`] and a row of the history.
#[inline(always)]
pub(crate) fn sharpen_row<S: Simd>(
    simd: S,
    lines: [&Line; 3],
    how: Sharpening,
    scratch: &mut Scratch,
    history: &mut [Pixel],
) {
    let (width, here) = (history.len(), lines[1]);
    for c in 0..3 {
        sum_columns(simd, lines.map(|line| &line.planes[c][..]), &mut scratch.columns, width);
        sharpen(simd, here, how, scratch, c);
    }
    let [red, green, blue] = &scratch.history;
    let planes = red.iter().zip(green).zip(blue).zip(&here.planes[3]);
    for (x, (((red, green), blue), weight)) in (0..).step_by(LANES).zip(planes) {
        let lanes = [eight(simd, red), eight(simd, green), eight(simd, blue), eight(simd, weight)];
        store_eight(simd, lanes, history, x);
    }
}

/// Vertical binomial sums 1, 2, 1; the first and the last one are repeated.
#[inline(always)]
fn sum_columns<S: Simd>(simd: S, [above, here, below]: [&[[f32; LANES]]; 3], columns: &mut [f32], width: usize) {
    let (sums, _) = columns[1..].as_chunks_mut::<LANES>();
    for (((sum, a), b), c) in sums.iter_mut().zip(above).zip(here).zip(below) {
        eight(simd, b).mul_add(2.0, eight(simd, a) + eight(simd, c)).store_array(sum);
    }
    (columns[0], columns[width + 1]) = (columns[1], columns[width]);
}

/// Sharpens channel `c` of a row.
#[inline(always)]
fn sharpen<S: Simd>(simd: S, line: &Line, how: Sharpening, scratch: &mut Scratch, c: usize) {
    let Scratch { columns, history, shown } = scratch;
    let shifted = |x: usize| columns[x..].as_chunks::<LANES>().0;
    let columns = shifted(0).iter().zip(shifted(1)).zip(shifted(2));
    let blend = line.planes[c].iter().zip(&line.planes[3]).zip(&line.blur);
    let lines = blend.zip(columns).zip(&mut history[c]).zip(&mut shown[c]);
    for (((((here, weight), blur), ((left, middle), right)), history), shown) in lines {
        let here = eight(simd, here);
        // In proportion to the history's share: averaging removed detail there.
        let strength = (eight(simd, weight) - INITIAL_WEIGHT).max(0.0) * (how.shown / (1.0 - INITIAL_WEIGHT));
        let sum = eight(simd, middle).mul_add(2.0, eight(simd, left) + eight(simd, right));
        let detail = sum.mul_add(-1.0 / 16.0, here);
        (detail * strength / detail.abs().mul_add(1.0 / HALO_LIMIT, 1.0) + here).store_array(shown);
        unit(detail.mul_add(eight(simd, blur) * how.history, here + how.color_offset[c])).store_array(history);
    }
}
