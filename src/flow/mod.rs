//! Dense backward motion between two small grey pictures: where was each pixel one frame ago?
//!
//! Dense inverse search (Kroeger et al. 2016): patches of the new picture are searched in the old one by gradient
//! descent, coarse to fine; every pixel takes the mean of the patches that cover it, weighted by how
//! well they fit.

pub mod patch;
pub mod pyramid;

use fearless_simd::{dispatch, f32x8, prelude::*};

use crate::flow::patch::{PATCH, Template, Vector, Window, distance};
use crate::flow::pyramid::{Plane, Pyramid};
use crate::frame::lanes::{eight, level};

const STRIDE: usize = 4;

/// Weight of a patch over its pixels: where one patch ends the next has taken over, so that motion is continuous and
/// the propagated history shows no lattice of patches.
const TENT: [f32; PATCH] = [1.0, 3.0, 5.0, 7.0, 7.0, 5.0, 3.0, 1.0];

/// Dense motion: for each pixel of the new picture the way to its place in the old one.
#[derive(Debug, Clone, Default)]
pub struct Flow {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Row after row.
    pub vectors: Vec<Vector>,
}

impl Flow {
    fn resize(&mut self, width: usize, height: usize) {
        (self.width, self.height) = (width, height);
        self.vectors.clear();
        self.vectors.resize(width * height, [0.0; 2]);
    }

    /// The vectors of row `y`, or of the nearest to it: x, y, x, y...
    #[inline(always)]
    pub fn row(&self, y: usize) -> &[f32] {
        let start = y.min(self.height - 1) * self.width;
        self.vectors[start..start + self.width].as_flattened()
    }

    /// The vector of a pixel, or of the nearest to it.
    #[inline(always)]
    pub fn at(&self, x: usize, y: usize) -> Vector {
        self.vectors[y.min(self.height - 1) * self.width + x.min(self.width - 1)]
    }
}

/// The search and its memory.
#[derive(Debug, Default)]
pub struct Search {
    flow: Flow,
    coarser: Flow,
    patches: Vec<Vector>,
    /// Of the weights at every pixel, and of the vectors by them.
    sums: Vec<f32>,
}

impl Search {
    /// The motion from `new` back to `old`, in pixels of the largest level. Both must have the same sizes.
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
        let (columns, rows) = (count(new.width()), count(new.height()));
        self.patches.clear();
        self.patches.resize(columns * rows, [0.0; 2]);
        for row in 0..rows {
            for column in 0..columns {
                let (x, y) = (place(column, new.width()), place(row, new.height()));
                let index = row * columns + column;
                let template = Template::cut(simd, new, x, y);
                let left = (column > 0).then(|| self.patches[index - 1]);
                let above = (row > 0).then(|| self.patches[index - columns]);
                let candidates = [Some(self.guess(x, y)), left, above];
                self.patches[index] = template.search(simd, old, candidates);
            }
        }
        // Backwards, so that motion spreads from below and from the right too.
        for index in (0..columns * rows).rev() {
            let (row, column) = (index / columns, index % columns);
            let right = (column + 1 < columns).then(|| self.patches[index + 1]);
            let below = (row + 1 < rows).then(|| self.patches[index + columns]);
            let own = self.patches[index];
            let differs = |other: &Option<Vector>| other.is_some_and(|o| distance(o, own) > 0.5);
            if differs(&right) || differs(&below) {
                let template = Template::cut(simd, new, place(column, new.width()), place(row, new.height()));
                self.patches[index] = template.search(simd, old, [Some(own), right, below]);
            }
        }
    }

    fn guess(&self, x: usize, y: usize) -> Vector {
        if self.coarser.vectors.is_empty() {
            return [0.0; 2];
        }
        self.coarser.at((x + PATCH / 2) / 2, (y + PATCH / 2) / 2).map(|v| 2.0 * v)
    }

    /// Every pixel: the mean of the patches over it, by the inverse of how far their colours are off.
    #[inline(always)]
    fn densify<S: Simd>(&mut self, simd: S, new: &Plane, old: &Plane) {
        let (width, columns) = (new.width(), count(new.width()));
        self.sums.clear();
        self.sums.resize(3 * self.flow.vectors.len(), 0.0);
        let (weights, rest) = self.sums.split_at_mut(self.flow.vectors.len());
        let (across, down) = rest.split_at_mut(weights.len());
        for (index, vector) in self.patches.iter().enumerate() {
            let (x, y) = (place(index % columns, width), place(index / columns, new.height()));
            let window = Window::at(old, x as f32 + vector[0], y as f32 + vector[1]);
            window.rows(
                simd,
                old,
                #[inline(always)]
                |row, there| {
                    let start = (y + row) * width + x;
                    let off = (there - eight(simd, new.run(x as isize, (y + row) as isize))).abs();
                    let weight = eight(simd, &TENT) * TENT[row] / off.max(1.0);
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

/// Adds to the first eight of `sums`.
#[inline(always)]
fn add<S: Simd>(simd: S, sums: &mut [f32], values: f32x8<S>) {
    if let Some(sums) = sums.first_chunk_mut() {
        (eight(simd, sums) + values).store_array(sums);
    }
}

/// Patches along a side.
fn count(side: usize) -> usize {
    (side - PATCH).div_ceil(STRIDE) + 1
}

/// First pixel of a patch; the last one ends with the side.
fn place(index: usize, side: usize) -> usize {
    (index * STRIDE).min(side - PATCH)
}
