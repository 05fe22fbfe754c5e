//! Dense inverse search over a pyramid, coarse to fine.
//!
//! Input: the pyramids of the new and the previous frame. Output: dense [`Flow`] from new to previous. Overlapping patches of
//! the new frame are searched in the previous one, starting from the coarser level and from their neighbours; every
//! pixel takes the mean of the patches that cover it, weighted by the inverse of their photometric error (Kroeger et
//! al. 2016, equation 3).

use fearless_simd::{dispatch, f32x8, prelude::*};

use crate::flow::patch::{PATCH, Template, Window, distance};
use crate::flow::pyramid::{Plane, Pyramid};
use crate::flow::{Flow, Vector};
use crate::frame::lanes::{eight, level};

/// Pixels from one patch to the next: patches overlap by half.
const STRIDE: usize = 4;

/// Weight of a patch along a side: it falls towards the edges, so that the flow is continuous from patch to patch.
const TENT: [f32; PATCH] = [1.0, 3.0, 5.0, 7.0, 7.0, 5.0, 3.0, 1.0];

/// Searches flow; holds scratch of one size.
#[derive(Debug, Default)]
pub struct Search {
    flow: Flow,
    coarser: Flow,
    patches: Vec<Vector>,
    /// Per pixel: the sum of the weights, then of the weighted vectors' x and y.
    sums: Vec<f32>,
}

impl Search {
    /// The flow from `new` to `old`, in pixels of the largest level. Both must have the same sizes.
    pub fn run(&mut self, new: &Pyramid, old: &Pyramid) -> &Flow {
        self.flow.resize(0, 0);
        for (new, old) in new.levels().iter().zip(old.levels()).rev() {
            std::mem::swap(&mut self.flow, &mut self.coarser);
            self.flow.resize(new.width(), new.height());
            if new.width() < PATCH || new.height() < PATCH {
                continue;
            }
            dispatch!(level(), simd => {
                self.search_level(simd, new, old);
                self.densify(simd, new, old);
            });
        }
        &self.flow
    }

    #[inline(always)]
    fn search_level<S: Simd>(&mut self, simd: S, new: &Plane, old: &Plane) {
        let (columns, rows) = (patch_count(new.width()), patch_count(new.height()));
        self.patches.clear();
        self.patches.resize(columns * rows, [0.0; 2]);
        for row in 0..rows {
            for column in 0..columns {
                let (x, y) = (patch_start(column, new.width()), patch_start(row, new.height()));
                let index = row * columns + column;
                let template = Template::cut(simd, new, x, y);
                let left = (column > 0).then(|| self.patches[index - 1]);
                let above = (row > 0).then(|| self.patches[index - columns]);
                let candidates = [Some(self.prediction(x, y)), left, above];
                self.patches[index] = template.search(simd, old, candidates);
            }
        }
        // Second pass in reverse order: motion propagates from the right and from below too.
        for index in (0..columns * rows).rev() {
            let (row, column) = (index / columns, index % columns);
            let right = (column + 1 < columns).then(|| self.patches[index + 1]);
            let below = (row + 1 < rows).then(|| self.patches[index + columns]);
            let own = self.patches[index];
            let differs = |other: &Option<Vector>| other.is_some_and(|o| distance(o, own) > 0.5);
            if differs(&right) || differs(&below) {
                let template =
                    Template::cut(simd, new, patch_start(column, new.width()), patch_start(row, new.height()));
                self.patches[index] = template.search(simd, old, [Some(own), right, below]);
            }
        }
    }

    /// The flow of the coarser level at a patch.
    fn prediction(&self, x: usize, y: usize) -> Vector {
        if self.coarser.vectors.is_empty() {
            return [0.0; 2];
        }
        self.coarser.at((x + PATCH / 2) / 2, (y + PATCH / 2) / 2).map(|v| 2.0 * v)
    }

    /// Sets every pixel to the weighted mean of the patches that cover it.
    #[inline(always)]
    fn densify<S: Simd>(&mut self, simd: S, new: &Plane, old: &Plane) {
        let (width, columns) = (new.width(), patch_count(new.width()));
        self.sums.clear();
        self.sums.resize(3 * self.flow.vectors.len(), 0.0);
        let (weights, rest) = self.sums.split_at_mut(self.flow.vectors.len());
        let (across, down) = rest.split_at_mut(weights.len());
        for (index, vector) in self.patches.iter().enumerate() {
            let (x, y) = (patch_start(index % columns, width), patch_start(index / columns, new.height()));
            let window = Window::at(old, x as f32 + vector[0], y as f32 + vector[1]);
            window.rows(
                simd,
                old,
                #[inline(always)]
                |row, there| {
                    let start = (y + row) * width + x;
                    let error = (there - eight(simd, new.run(x as isize, (y + row) as isize))).abs();
                    let weight = eight(simd, &TENT) * TENT[row] / error.max(1.0);
                    add(simd, &mut weights[start..], weight);
                    add(simd, &mut across[start..], weight * vector[0]);
                    add(simd, &mut down[start..], weight * vector[1]);
                },
            );
        }
        for (vector, ((weight, x), y)) in self.flow.vectors.iter_mut().zip(weights.iter().zip(across).zip(down)) {
            *vector = [*x / weight, *y / weight];
        }
    }
}

/// Adds `values` to the first eight of `sums`.
#[inline(always)]
fn add<S: Simd>(simd: S, sums: &mut [f32], values: f32x8<S>) {
    if let Some(sums) = sums.first_chunk_mut() {
        (eight(simd, sums) + values).store_array(sums);
    }
}

/// Number of patches along a side.
fn patch_count(side: usize) -> usize {
    (side - PATCH).div_ceil(STRIDE) + 1
}

/// First pixel of a patch; the last patch ends at the last pixel.
fn patch_start(index: usize, side: usize) -> usize {
    (index * STRIDE).min(side - PATCH)
}
