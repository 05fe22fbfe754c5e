//! From the blend to what is shown and what is kept: sharpened, so that blur does not add up from frame to frame.
//!
//! Comes in: the blend, and where the warp blurred it. Goes out: the stylized frame to show and the history.

use fearless_simd::prelude::*;

use crate::frame::lanes::{LANES, eight, unit};
use crate::warp::FRESH;
use crate::warp::pixel::{Pixel, store_eight};

/// What is done to the blend.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Finish {
    /// What is shown: makes up for the detail that averaging takes from the stylized frame; 0 is none.
    pub shown: f32,
    /// What is kept, where the warp's interpolation blurred: so that blur does not add up from frame to frame.
    pub kept: f32,
    /// Added to what is kept: takes the history's mean colour after the stylized frame's, so that it cannot drift.
    pub lift: [f32; 3],
}

impl Finish {
    /// Shown and kept as it is.
    pub const NONE: Finish = Finish { shown: 0.0, kept: 0.0, lift: [0.0; 3] };
}

/// Fine detail above this is sharpened less and less, so that edges get no halos.
const COARSE: f32 = 0.02;

/// A row of the blend, in whole eights: a few values more than it has pixels.
#[derive(Debug, Clone, Default)]
pub struct Line {
    /// Red, green, blue, and worth as history.
    pub planes: [Vec<[f32; LANES]>; 4],
    /// How strong the blur is that the warp left, 0..=1.
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

/// Scratch for a row: the sums of its columns, what to show, and what to keep before it is interleaved.
#[derive(Debug, Clone, Default)]
pub struct Scratch {
    columns: Vec<f32>,
    shown: [Vec<[f32; LANES]>; 3],
    kept: [Vec<[f32; LANES]>; 3],
}

impl Scratch {
    /// Makes room for `width` pixels.
    pub fn fit(&mut self, width: usize) {
        let room = width.div_ceil(LANES);
        self.columns.resize(room * LANES + 2, 0.0);
        self.shown.iter_mut().chain(&mut self.kept).for_each(|row| row.resize(room, [0.0; LANES]));
    }

    /// What to show of the row that was finished last, of one colour; a few values more than it has pixels.
    #[inline(always)]
    pub fn shown(&self, c: usize) -> &[f32] {
        self.shown[c].as_flattened()
    }
}

/// Finishes the line in the middle, between those above and below; [`Scratch::shown`] is what to show of it then.
#[inline(always)]
pub(crate) fn finish_row<S: Simd>(simd: S, lines: [&Line; 3], how: Finish, scratch: &mut Scratch, kept: &mut [Pixel]) {
    let (width, here) = (kept.len(), lines[1]);
    for c in 0..3 {
        sum_columns(simd, lines.map(|line| &line.planes[c][..]), &mut scratch.columns, width);
        finish(simd, here, how, scratch, c);
    }
    let [red, green, blue] = &scratch.kept;
    let planes = red.iter().zip(green).zip(blue).zip(&here.planes[3]);
    for (x, (((red, green), blue), worth)) in (0..).step_by(LANES).zip(planes) {
        let lanes = [eight(simd, red), eight(simd, green), eight(simd, blue), eight(simd, worth)];
        store_eight(simd, lanes, kept, x);
    }
}

/// Each pixel twice, and those above and below; the first and the last sum are repeated.
#[inline(always)]
fn sum_columns<S: Simd>(simd: S, [above, here, below]: [&[[f32; LANES]]; 3], columns: &mut [f32], width: usize) {
    let (sums, _) = columns[1..].as_chunks_mut::<LANES>();
    for (((sum, a), b), c) in sums.iter_mut().zip(above).zip(here).zip(below) {
        eight(simd, b).mul_add(2.0, eight(simd, a) + eight(simd, c)).store_array(sum);
    }
    (columns[0], columns[width + 1]) = (columns[1], columns[width]);
}

/// Colour `c` of a row: what to keep and what to show.
#[inline(always)]
fn finish<S: Simd>(simd: S, line: &Line, how: Finish, scratch: &mut Scratch, c: usize) {
    let Scratch { columns, kept, shown } = scratch;
    let beside = |x: usize| columns[x..].as_chunks::<LANES>().0;
    let columns = beside(0).iter().zip(beside(1)).zip(beside(2));
    let blend = line.planes[c].iter().zip(&line.planes[3]).zip(&line.blur);
    let lines = blend.zip(columns).zip(&mut kept[c]).zip(&mut shown[c]);
    for (((((here, worth), blur), ((left, middle), right)), kept), shown) in lines {
        let here = eight(simd, here);
        // Where the history has a share, averaging has taken detail.
        let show = (eight(simd, worth) - FRESH).max(0.0) * (how.shown / (1.0 - FRESH));
        let sum = eight(simd, middle).mul_add(2.0, eight(simd, left) + eight(simd, right));
        let fine = sum.mul_add(-1.0 / 16.0, here);
        (fine * show / fine.abs().mul_add(1.0 / COARSE, 1.0) + here).store_array(shown);
        unit(fine.mul_add(eight(simd, blur) * how.kept, here + how.lift[c])).store_array(kept);
    }
}
