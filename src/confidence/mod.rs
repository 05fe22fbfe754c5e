//! Confidence in the history: where the previous frame, warped along the motion, still matches the new frame.
//!
//! Input: the pyramids of both frames and the optical flow between them. Output: motion and confidence of every cell, and
//! statistics of the pair of frames as a whole. A cell is a pixel of the pyramid's largest level. Confidence falls with the
//! photometric residual and at motion discontinuities (after Ruder et al. 2018) and is 0 where a cell is disoccluded.

pub mod disocclusion;
pub mod exposure;
pub mod occlusion;
pub mod residual;
pub mod scene_cut;

use fearless_simd::{dispatch, f32x8, prelude::*};

use crate::confidence::occlusion::Occlusion;
use crate::confidence::residual::Residual;
use crate::flow::Flow;
use crate::flow::pyramid::Pyramid;
use crate::frame::lanes::{LANES, columns, level, load, store};

/// Motion from a frame back to the previous one and the confidence in it, one value a cell, row after row.
#[derive(Debug, Clone, Default)]
pub struct MotionField {
    /// Cells in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Horizontal motion in cells.
    pub x: Vec<f32>,
    /// Vertical motion in cells.
    pub y: Vec<f32>,
    /// Confidence, 0..=1.
    pub confidence: Vec<f32>,
}

impl MotionField {
    fn resize(&mut self, width: usize, height: usize) {
        (self.width, self.height) = (width, height);
        for plane in [&mut self.x, &mut self.y, &mut self.confidence] {
            plane.resize(width * height, 0.0);
        }
    }
}

/// Statistics of a pair of frames; means and shares are weighted by the new frame's alpha.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Similarity {
    /// Mean confidence, 0..=1.
    pub confidence: f32,
    /// Share of the cells with a confidence below [`LOW_CONFIDENCE`], 0..=1.
    pub unmatched: f32,
    /// Share of the new frame that is disoccluded by the motion alone: it comes from beyond the border, or from between
    /// cells of the previous frame that move apart.
    pub disoccluded: f32,
    /// Difference of the mean luma, new minus previous, -255..=255; 0 unless a change of exposure explains the frames.
    pub brightness_change: f32,
}

/// Below this confidence a cell counts as unmatched.
pub const LOW_CONFIDENCE: f32 = 0.3;
/// Difference of the motion between both sides of a cell, in cells, at which confidence is halved.
const DISCONTINUITY: f32 = 4.0;

/// Computes motion fields; holds scratch of one size.
#[derive(Debug, Default)]
pub struct ConfidenceEstimator {
    residual: Residual,
    occlusion: Occlusion,
    /// Motion of the rows y - 1, y and y + 1 in `y % 3`, horizontal and vertical; the first and the last value are
    /// repeated.
    rows: [[Vec<f32>; 2]; 3],
    /// Normalised residual of every cell: confidence has fallen to 1/e at 1.
    residuals: Vec<f32>,
}

impl ConfidenceEstimator {
    /// Fills `field` from `flow`, the motion from `new` back to `old`. Without a pyramid level nothing is similar.
    pub fn estimate(&mut self, new: &Pyramid, old: &Pyramid, flow: &Flow, field: &mut MotionField) -> Similarity {
        let (Some(luma), Some(old_luma)) = (new.levels().first(), old.levels().first()) else {
            return Similarity::default();
        };
        let (width, height) = (luma.width(), luma.height());
        field.resize(width, height);
        self.residuals.resize(width * height, 0.0);
        self.residual.resize(width, height);
        let room = width.next_multiple_of(LANES) + 2;
        self.rows.as_flattened_mut().iter_mut().for_each(|row| row.resize(room, 0.0));
        let mut total = dispatch!(level(), simd => {
            let brightness_change = self.residual.compute(simd, (new, luma), (old, old_luma), flow);
            Similarity { brightness_change, ..self.fill(simd, new, flow, field) }
        });
        total.confidence -= self.occlusion.resolve(flow, &self.residuals, |cell| {
            let alpha = new.alpha_row(cell / width)[cell % width];
            alpha * std::mem::take(&mut field.confidence[cell])
        });
        let visible = new.visible();
        if visible < 1.0 {
            return Similarity { confidence: 1.0, ..Similarity::default() };
        }
        total.confidence /= visible;
        total.unmatched /= visible;
        total.disoccluded /= visible;
        total
    }

    /// Motion and confidence of all cells; returns sums, not yet divided by the visible area.
    #[inline(always)]
    fn fill<S: Simd>(&mut self, simd: S, new: &Pyramid, flow: &Flow, field: &mut MotionField) -> Similarity {
        let (width, last) = (flow.width, flow.height - 1);
        let mut ready = 0;
        let mut total = Similarity::default();
        for y in 0..flow.height {
            while ready <= last.min(y + 1) {
                copy_motion_row(simd, flow.row(ready), width, &mut self.rows[ready % 3]);
                ready += 1;
            }
            let start = y * width;
            let row = Row {
                y,
                size: (width, flow.height),
                motion: [y.saturating_sub(1), y, (y + 1).min(last)].map(|y| &self.rows[y % 3]),
                alpha: new.alpha_row(y),
            };
            let residuals = &mut self.residuals[start..start + width];
            self.residual.row(simd, y, flow.height, residuals);
            row.fill(simd, residuals, field, &mut total);
        }
        total
    }
}

/// One row of cells with the motion around it.
struct Row<'a> {
    y: usize,
    size: (usize, usize),
    motion: [&'a [Vec<f32>; 2]; 3],
    alpha: &'a [f32],
}

impl Row<'_> {
    /// Writes motion and confidence of the row and adds to `total`.
    #[inline(always)]
    fn fill<S: Simd>(&self, simd: S, residuals: &[f32], field: &mut MotionField, total: &mut Similarity) {
        let ((width, height), y, start) = (self.size, self.y, self.y * self.size.0);
        let ([up_x, up_y], [here_x, here_y], [down_x, down_y]) = (self.motion[0], self.motion[1], self.motion[2]);
        let (one, zero) = (f32x8::splat(simd, 1.0), f32x8::splat(simd, 0.0));
        let (mut confidences, mut disoccluded, mut unmatched) = (zero, zero, zero);
        for x in (0..width).step_by(LANES) {
            let residual = load(simd, residuals, x);
            let (dx, dy) = (load(simd, here_x, x + 1), load(simd, here_y, x + 1));
            let across =
                [load(simd, here_x, x + 2) - load(simd, here_x, x), load(simd, here_y, x + 2) - load(simd, here_y, x)];
            let along = [
                load(simd, down_x, x + 1) - load(simd, up_x, x + 1),
                load(simd, down_y, x + 1) - load(simd, up_y, x + 1),
            ];
            let gradient = squared_gradient(across, along) * (1.0 / (DISCONTINUITY * DISCONTINUITY));
            let confidence = falloff(residual * residual) / (gradient + 1.0);
            let (px, py) = (columns(simd, x) + dx, dy + y as f32);
            let beyond =
                px.simd_lt(0.0) | px.simd_gt((width - 1) as f32) | py.simd_lt(0.0) | py.simd_gt((height - 1) as f32);
            // 0 beyond the end of the row.
            let weight = load(simd, self.alpha, x);
            confidences += confidence * weight;
            disoccluded += beyond.select(one, expansion(across, along)) * weight;
            unmatched += confidence.simd_lt(LOW_CONFIDENCE).select(weight, zero);
            store(dx, &mut field.x[start..start + width], x);
            store(dy, &mut field.y[start..start + width], x);
            store(confidence, &mut field.confidence[start..start + width], x);
        }
        total.confidence += confidences.reduce_sum();
        total.disoccluded += disoccluded.reduce_sum();
        total.unmatched += unmatched.reduce_sum();
    }
}

/// Motion vectors `x..x + 8` of a row, horizontal and vertical; 0 beyond its end.
#[inline(always)]
fn vectors<S: Simd>(simd: S, row: &[f32], x: usize) -> (f32x8<S>, f32x8<S>) {
    let part = |i: usize| load(simd, row, i.min(row.len()));
    part(2 * x).deinterleave(part(2 * x + LANES))
}

/// A row of motion vectors as a horizontal and a vertical row that start at index 1; the first and the last value are
/// repeated.
#[inline(always)]
fn copy_motion_row<S: Simd>(simd: S, row: &[f32], width: usize, [across, down]: &mut [Vec<f32>; 2]) {
    for x in (0..width).step_by(LANES) {
        let (dx, dy) = vectors(simd, row, x);
        store(dx, across, x + 1);
        store(dy, down, x + 1);
    }
    (across[0], across[width + 1]) = (across[1], across[width]);
    (down[0], down[width + 1]) = (down[1], down[width]);
}

/// Squared difference of the motion between both sides of cells, horizontally and vertically.
#[inline(always)]
fn squared_gradient<S: Simd>(across: [f32x8<S>; 2], along: [f32x8<S>; 2]) -> f32x8<S> {
    across[0] * across[0] + across[1] * across[1] + along[0] * along[0] + along[1] * along[1]
}

/// The part of cells that appears between cells of the previous frame: 1 minus the determinant of the motion's
/// Jacobian, 0..=1.
#[inline(always)]
fn expansion<S: Simd>(across: [f32x8<S>; 2], along: [f32x8<S>; 2]) -> f32x8<S> {
    let area = (across[0] * 0.5 + 1.0) * (along[1] * 0.5 + 1.0) - across[1] * along[0] * 0.25;
    (area * -1.0 + 1.0).max(0.0).min(1.0)
}

/// (1 - x/8)^8, close to exp(-x) for x >= 0 and 0 from 8 on: a smooth weight without a call to `exp`.
#[inline(always)]
fn falloff<S: Simd>(x: f32x8<S>) -> f32x8<S> {
    let base = (x * (-1.0 / 8.0) + 1.0).max(0.0);
    let squared = base * base;
    let fourth = squared * squared;
    fourth * fourth
}
