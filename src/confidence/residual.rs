//! Photometric residual: how far the previous frame, warped along the motion, is from the new one in luma and chroma.
//!
//! Input: luma and chroma planes of both frames and the optical flow. Output: a normalised residual of every cell, 1 where
//! confidence falls to 1/e. A change of exposure between the frames is compensated first.

use fearless_simd::{f32x8, prelude::*};

use crate::confidence::exposure::Exposure;
use crate::confidence::vectors;
use crate::flow::Flow;
use crate::flow::pyramid::{CHROMA_STEP, Plane, Pyramid};
use crate::frame::lanes::{LANES, columns, load, store};

/// Mean difference in luma (0..=255) over 3 x 3 cells at which confidence has fallen to 1/e.
const LUMA_TOLERANCE: f32 = 22.0;
/// The same for the sum of both chroma differences.
const CHROMA_TOLERANCE: f32 = 80.0;

/// The residual's planes; holds memory for one size.
#[derive(Debug, Default)]
pub struct Residual {
    width: usize,
    /// The previous luma warped along the motion, then its absolute difference from the new luma.
    luma: Vec<f32>,
    /// Chroma difference of every column of cells and every [`CHROMA_STEP`]th row; rows are `room` long.
    chroma: Vec<f32>,
    room: usize,
    /// Sums over three rows of luma differences; the first and the last one are repeated.
    sums: Vec<f32>,
}

impl Residual {
    /// Makes room for `width` x `height` cells.
    pub fn resize(&mut self, width: usize, height: usize) {
        self.width = width;
        self.luma.resize(width * height, 0.0);
        self.room = width.next_multiple_of(CHROMA_STEP * LANES);
        self.chroma.resize(self.room * height.div_ceil(CHROMA_STEP), 0.0);
        self.sums.resize(self.room + 2, 0.0);
    }

    /// Computes the differences of all cells; returns the change of brightness, new minus previous.
    #[inline(always)]
    pub fn compute<S: Simd>(
        &mut self,
        simd: S,
        (new, luma): (&Pyramid, &Plane),
        (old, old_luma): (&Pyramid, &Plane),
        flow: &Flow,
    ) -> f32 {
        self.warp_luma(simd, old_luma, flow);
        self.compare_chroma(simd, new.chroma(), old.chroma(), flow);
        let exposure = Exposure::between(simd, &self.luma, luma, new.visible());
        self.compare_luma(simd, luma, new, exposure);
        exposure.brightness_change
    }

    /// The normalised residuals of row `y` of `height`: luma over 3 x 3 cells, plus chroma.
    #[inline(always)]
    pub fn row<S: Simd>(&mut self, simd: S, y: usize, height: usize, residuals: &mut [f32]) {
        self.sum_columns(simd, y, height - 1);
        let chroma = &self.chroma[y / CHROMA_STEP * self.room..];
        for x in (0..self.width).step_by(LANES) {
            let sum = load(simd, &self.sums, x) + load(simd, &self.sums, x + 1) + load(simd, &self.sums, x + 2);
            let residual = sum * (1.0 / (9.0 * LUMA_TOLERANCE)) + load(simd, chroma, x) * (1.0 / CHROMA_TOLERANCE);
            store(residual, residuals, x);
        }
    }

    #[inline(always)]
    fn warp_luma<S: Simd>(&mut self, simd: S, old: &Plane, flow: &Flow) {
        for (y, line) in self.luma.chunks_exact_mut(flow.width).enumerate() {
            let row = flow.row(y);
            for x in (0..flow.width).step_by(LANES) {
                let (dx, dy) = vectors(simd, row, x);
                let positions = old.positions(simd, columns(simd, x) + dx, dy + y as f32);
                store(old.sample(simd, &positions), line, x);
            }
        }
    }

    /// Chroma catches what has another colour but the same luma.
    #[inline(always)]
    fn compare_chroma<S: Simd>(&mut self, simd: S, new: &[Plane; 2], old: &[Plane; 2], flow: &Flow) {
        const SCALE: f32 = 1.0 / CHROMA_STEP as f32;
        for (y, line) in self.chroma.chunks_exact_mut(self.room).enumerate() {
            let y = y.min(new[0].height() - 1);
            let (row, own) = (flow.row(CHROMA_STEP * y), [new[0].row(y), new[1].row(y)]);
            let (whole, _) = line.as_chunks_mut::<{ CHROMA_STEP * LANES }>();
            for (x, cells) in (0..).step_by(LANES).zip(whole) {
                if x >= own[0].len() {
                    break;
                }
                // Every second cell.
                let step = CHROMA_STEP * x;
                let (a, b) = (vectors(simd, row, step), vectors(simd, row, step + LANES));
                let (dx, dy) = (a.0.deinterleave(b.0).0, a.1.deinterleave(b.1).0);
                let (px, py) = (columns(simd, x) + dx * SCALE, dy * SCALE + y as f32);
                let positions = old[0].positions(simd, px, py);
                let red = (old[0].sample(simd, &positions) - load(simd, own[0], x)).abs();
                let sum = red + (old[1].sample(simd, &positions) - load(simd, own[1], x)).abs();
                let (left, right) = sum.interleave(sum);
                left.store_slice(&mut cells[..LANES]);
                right.store_slice(&mut cells[LANES..]);
            }
            // Columns without a chroma pixel take the last one's.
            let known = CHROMA_STEP * own[0].len();
            let last = line[known - 1];
            line[known..].fill(last);
        }
    }

    #[inline(always)]
    fn compare_luma<S: Simd>(&mut self, simd: S, new: &Plane, pyramid: &Pyramid, exposure: Exposure) {
        for (y, line) in self.luma.chunks_exact_mut(new.width()).enumerate() {
            let (row, alpha) = (new.row(y), pyramid.alpha_row(y));
            for x in (0..line.len()).step_by(LANES) {
                let compensated = exposure.apply(simd, load(simd, line, x), load(simd, alpha, x));
                store((compensated - load(simd, row, x)).abs(), line, x);
            }
        }
    }

    /// Luma differences of row `y` and the rows above and below it, summed.
    #[inline(always)]
    fn sum_columns<S: Simd>(&mut self, simd: S, y: usize, last: usize) {
        let width = self.width;
        let line = |y: usize| &self.luma[y * width..(y + 1) * width];
        let (above, here, below) = (line(y.saturating_sub(1)), line(y), line((y + 1).min(last)));
        for x in (0..width).step_by(LANES) {
            let sum: f32x8<S> = load(simd, above, x) + load(simd, here, x) + load(simd, below, x);
            store(sum, &mut self.sums, x + 1);
        }
        (self.sums[0], self.sums[width + 1]) = (self.sums[1], self.sums[width]);
    }
}
