//! Where the history may be relied on: where the frame, propagated along the motion, still looks like the new one.
//!
//! Comes in: two small pictures and the motion between them. Goes out: motion and confidence, cell by cell, and what
//! the frames as a whole have in common.

pub mod exposure;
pub mod occlusion;
pub mod scene_cut;

use fearless_simd::{dispatch, f32x8, prelude::*};

use crate::confidence::exposure::Light;
use crate::confidence::occlusion::Occlusion;
use crate::flow::Flow;
use crate::flow::pyramid::{Plane, Pyramid, TINT};
use crate::frame::lanes::{LANES, columns, level, load, store};

/// Motion and confidence of every cell, row after row.
#[derive(Debug, Clone, Default)]
pub struct Field {
    /// Cells in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Motion across, in cells.
    pub x: Vec<f32>,
    /// Motion down, in cells.
    pub y: Vec<f32>,
    /// 0..=1
    pub confidence: Vec<f32>,
}

impl Field {
    fn resize(&mut self, width: usize, height: usize) {
        (self.width, self.height) = (width, height);
        for plane in [&mut self.x, &mut self.y, &mut self.confidence] {
            plane.resize(width * height, 0.0);
        }
    }
}

/// What the two frames have in common.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Resemblance {
    /// Mean confidence.
    pub confidence: f32,
    /// Share of the cells that are hardly relied on.
    pub lost: f32,
    /// Share of the new frame that has come into view, by the motion alone: from beyond the border, or from behind
    /// something.
    pub disoccluded: f32,
    /// By how much (0..=255) the new frame is brighter throughout.
    pub brighter: f32,
}

/// Mean difference (0..=255) over 3 x 3 cells at which confidence has fallen to 1/e.
const TOLERANCE: f32 = 22.0;
/// The same for the tints, both together.
const TINGE: f32 = 80.0;
/// Difference of the motion on the two sides of a cell at which confidence is halved: an edge that covers or discloses.
const EDGE: f32 = 4.0;
/// Trust below this is hardly any.
const LOST: f32 = 0.3;

/// The photometric check and its memory.
#[derive(Debug, Default)]
pub struct Check {
    /// The old picture propagated along the motion, then how far it is off.
    warped: Vec<f32>,
    /// How far the tints are off, for every column of cells and every [`TINT`]th row of them.
    tinge: Vec<f32>,
    /// Motion of the last rows, row y in `y % 3`, and the propagated picture's columns summed over three; their first and
    /// last value stand twice.
    ways: [[Vec<f32>; 2]; 3],
    sums: Vec<f32>,
    /// How far off each cell is: 1 where confidence has fallen to 1/e.
    off: Vec<f32>,
    occlusion: Occlusion,
}

impl Check {
    /// Fills `field` from the motion `flow` (cells of the largest level) of `from` back to `to`; tells what the frames have in common.
    pub fn run(&mut self, from: &Pyramid, to: &Pyramid, flow: &Flow, field: &mut Field) -> Resemblance {
        let (Some(new), Some(old)) = (from.levels().first(), to.levels().first()) else {
            return Resemblance::default();
        };
        let (width, height) = (new.width(), new.height());
        field.resize(width, height);
        self.warped.resize(width * height, 0.0);
        self.off.resize(width * height, 0.0);
        let room = width.next_multiple_of(TINT * LANES);
        self.tinge.resize(room * height.div_ceil(TINT), 0.0);
        self.ways.as_flattened_mut().iter_mut().for_each(|row| row.resize(room + 2, 0.0));
        self.sums.resize(room + 2, 0.0);
        let mut total = dispatch!(level(), simd => {
            self.propagate(simd, old, flow);
            self.compare_tints(simd, from.tints(), to.tints(), flow);
            let light = Light::between(simd, &self.warped, new, from);
            self.compare(simd, new, from, light);
            Resemblance { brighter: light.brighter, ..self.confidence(simd, from, flow, field) }
        });
        total.confidence -= self.occlusion.settle(flow, &self.off, |loser| {
            let alpha = from.alpha_row(loser / width)[loser % width];
            alpha * std::mem::take(&mut field.confidence[loser])
        });
        let visible = from.visible();
        if visible < 1.0 {
            return Resemblance { confidence: 1.0, ..Resemblance::default() };
        }
        total.confidence /= visible;
        total.lost /= visible;
        total.disoccluded /= visible;
        total
    }

    /// The old picture, propagated along the motion.
    #[inline(always)]
    fn propagate<S: Simd>(&mut self, simd: S, old: &Plane, flow: &Flow) {
        for (y, line) in self.warped.chunks_exact_mut(flow.width).enumerate() {
            let row = flow.row(y);
            for x in (0..flow.width).step_by(LANES) {
                let (dx, dy) = vectors(simd, row, x);
                let spots = old.spots(simd, columns(simd, x) + dx, dy + y as f32);
                store(old.at(simd, &spots), line, x);
            }
        }
    }

    /// How much the tints differ, propagated along the motion: things of the same luma may have other colours.
    #[inline(always)]
    fn compare_tints<S: Simd>(&mut self, simd: S, new: &[Plane; 2], old: &[Plane; 2], flow: &Flow) {
        let room = self.sums.len() - 2;
        for (y, line) in self.tinge.chunks_exact_mut(room).enumerate() {
            let y = y.min(new[0].height() - 1);
            let (row, own) = (flow.row(TINT * y), [new[0].row(y), new[1].row(y)]);
            let (whole, _) = line.as_chunks_mut::<{ TINT * LANES }>();
            for (x, cells) in (0..).step_by(LANES).zip(whole) {
                if x >= own[0].len() {
                    // No tint of its own: as its neighbour.
                    break;
                }
                // Every other cell.
                let (a, b) = (vectors(simd, row, TINT * x), vectors(simd, row, TINT * x + LANES));
                let (dx, dy) = (a.0.deinterleave(b.0).0, a.1.deinterleave(b.1).0);
                let (px, py) = (columns(simd, x) + dx * (1.0 / TINT as f32), dy * (1.0 / TINT as f32) + y as f32);
                let spots = old[0].spots(simd, px, py);
                let red = (old[0].at(simd, &spots) - load(simd, own[0], x)).abs();
                let off = red + (old[1].at(simd, &spots) - load(simd, own[1], x)).abs();
                let (left, right) = off.interleave(off);
                left.store_slice(&mut cells[..LANES]);
                right.store_slice(&mut cells[LANES..]);
            }
            let known = TINT * own[0].len();
            let last = line[known - 1];
            line[known..].fill(last);
        }
    }

    /// How far the propagated picture is off.
    #[inline(always)]
    fn compare<S: Simd>(&mut self, simd: S, new: &Plane, pyramid: &Pyramid, light: Light) {
        for (y, line) in self.warped.chunks_exact_mut(new.width()).enumerate() {
            let (row, alpha) = (new.row(y), pyramid.alpha_row(y));
            for x in (0..line.len()).step_by(LANES) {
                let lit = light.apply(simd, load(simd, line, x), load(simd, alpha, x));
                store((lit - load(simd, row, x)).abs(), line, x);
            }
        }
    }

    /// Motion and confidence of all cells; sums of what the frames have in common.
    #[inline(always)]
    fn confidence<S: Simd>(&mut self, simd: S, new: &Pyramid, flow: &Flow, field: &mut Field) -> Resemblance {
        let (width, last) = (flow.width, flow.height - 1);
        let mut ready = 0;
        let mut total = Resemblance::default();
        for y in 0..flow.height {
            while ready <= last.min(y + 1) {
                take_ways(simd, flow.row(ready), width, &mut self.ways[ready % 3]);
                ready += 1;
            }
            self.sum_columns(simd, y, width, last);
            let alpha = new.alpha_row(y);
            let (start, tinge) = (y * width, &self.tinge[y / TINT * (self.sums.len() - 2)..]);
            let rows = [y.saturating_sub(1), y, (y + 1).min(last)].map(|y| &self.ways[y % 3]);
            let ([up_x, up_y], [way_x, way_y], [down_x, down_y]) = (rows[0], rows[1], rows[2]);
            let all = f32x8::splat(simd, 1.0);
            let none = f32x8::splat(simd, 0.0);
            let (mut trusts, mut disoccluded, mut lost) = (none, none, none);
            for x in (0..width).step_by(LANES) {
                let sum = load(simd, &self.sums, x) + load(simd, &self.sums, x + 1) + load(simd, &self.sums, x + 2);
                let off = sum * (1.0 / (9.0 * TOLERANCE)) + load(simd, tinge, x) * (1.0 / TINGE);
                let (dx, dy) = (load(simd, way_x, x + 1), load(simd, way_y, x + 1));
                let across =
                    [load(simd, way_x, x + 2) - load(simd, way_x, x), load(simd, way_y, x + 2) - load(simd, way_y, x)];
                let along = [
                    load(simd, down_x, x + 1) - load(simd, up_x, x + 1),
                    load(simd, down_y, x + 1) - load(simd, up_y, x + 1),
                ];
                let confidence = bell(off * off) / (bend(across, along) * (1.0 / (EDGE * EDGE)) + 1.0);
                let here = columns(simd, x);
                let (px, py) = (here + dx, dy + y as f32);
                let beyond =
                    px.simd_lt(0.0) | px.simd_gt((width - 1) as f32) | py.simd_lt(0.0) | py.simd_gt(last as f32);
                // 0 beyond the end of the row.
                let counts = load(simd, alpha, x);
                trusts += confidence * counts;
                disoccluded += beyond.select(all, stretch(across, along)) * counts;
                lost += confidence.simd_lt(LOST).select(counts, none);
                store(off, &mut self.off[start..start + width], x);
                store(dx, &mut field.x[start..start + width], x);
                store(dy, &mut field.y[start..start + width], x);
                store(confidence, &mut field.confidence[start..start + width], x);
            }
            total.confidence += trusts.reduce_sum();
            total.disoccluded += disoccluded.reduce_sum();
            total.lost += lost.reduce_sum();
        }
        total
    }

    /// What is off in row `y` and those beside it.
    #[inline(always)]
    fn sum_columns<S: Simd>(&mut self, simd: S, y: usize, width: usize, last: usize) {
        let line = |y: usize| &self.warped[y * width..(y + 1) * width];
        let (above, here, below) = (line(y.saturating_sub(1)), line(y), line((y + 1).min(last)));
        for x in (0..width).step_by(LANES) {
            let sum = load(simd, above, x) + load(simd, here, x) + load(simd, below, x);
            store(sum, &mut self.sums, x + 1);
        }
        (self.sums[0], self.sums[width + 1]) = (self.sums[1], self.sums[width]);
    }
}

/// Vectors `x..x + 8` of a row, across and down; 0 beyond its end.
#[inline(always)]
fn vectors<S: Simd>(simd: S, row: &[f32], x: usize) -> (f32x8<S>, f32x8<S>) {
    let part = |i: usize| load(simd, row, i.min(row.len()));
    part(2 * x).deinterleave(part(2 * x + LANES))
}

/// A row of vectors, across and down, from the second value on; the first and the last stand twice.
#[inline(always)]
fn take_ways<S: Simd>(simd: S, row: &[f32], width: usize, [across, down]: &mut [Vec<f32>; 2]) {
    for x in (0..width).step_by(LANES) {
        let (dx, dy) = vectors(simd, row, x);
        store(dx, across, x + 1);
        store(dy, down, x + 1);
    }
    (across[0], across[width + 1]) = (across[1], across[width]);
    (down[0], down[width + 1]) = (down[1], down[width]);
}

/// How much the motion differs on the two sides of cells, across and along: squared cells.
#[inline(always)]
fn bend<S: Simd>(across: [f32x8<S>; 2], along: [f32x8<S>; 2]) -> f32x8<S> {
    across[0] * across[0] + across[1] * across[1] + along[0] * along[0] + along[1] * along[1]
}

/// The part of cells that has come into view between their neighbours: 1 where all of them come from the same place.
#[inline(always)]
fn stretch<S: Simd>(across: [f32x8<S>; 2], along: [f32x8<S>; 2]) -> f32x8<S> {
    let area = (across[0] * 0.5 + 1.0) * (along[1] * 0.5 + 1.0) - across[1] * along[0] * 0.25;
    (area * -1.0 + 1.0).max(0.0).min(1.0)
}

/// About exp(-x) for x >= 0, and 0 from 8 on; smooth enough for a weight and made of what vector units have.
#[inline(always)]
fn bell<S: Simd>(x: f32x8<S>) -> f32x8<S> {
    let base = (x * (-1.0 / 8.0) + 1.0).max(0.0);
    let squared = base * base;
    let fourth = squared * squared;
    fourth * fourth
}
