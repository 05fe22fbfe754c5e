//! What averaging takes from a painting, and what it must not change: fine detail and mean colour, measured in passing.
//!
//! Comes in: a painting, interleaved or planar. Goes out: numbers to compare.

use std::iter::Sum;

use fearless_simd::{dispatch, f32x8, prelude::*};

use super::finish::Line;
use super::warp::Canvas;
use crate::lanes::{LANES, level, load, unit};

/// Rows between those that detail is measured in.
const EVERY: usize = 4;

/// What a blend is like, looked at row by row.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Tally {
    detail: f32,
    sum: [f32; 3],
    count: f32,
}

impl Tally {
    /// Looks at row `y` of `height`, if it is one of those that are looked at, with the rows above and below.
    #[inline(always)]
    pub fn look<S: Simd>(&mut self, simd: S, (width, height): (usize, usize), y: usize, lines: [&Line; 3]) {
        if y % EVERY == 1 && y + 1 < height {
            self.detail += detail_of(simd, lines.map(|line| &line.planes[1].as_flattened()[..width]));
        }
        if y.is_multiple_of(EVERY) {
            for (sum, plane) in self.sum.iter_mut().zip(&lines[1].planes) {
                *sum += sum_of(simd, &plane.as_flattened()[..width]);
            }
            self.count += width as f32;
        }
    }

    /// Sum of the absolute Laplacian of green over every fourth row.
    pub fn detail(&self) -> f32 {
        self.detail
    }

    /// Mean colour of every fourth row.
    pub fn mean(&self) -> [f32; 3] {
        self.sum.map(|sum| sum / self.count.max(1.0))
    }
}

/// Sum of the absolute Laplacian of a row; the last columns, if they are no eight, are left out.
#[inline(always)]
fn detail_of<S: Simd>(simd: S, [above, here, below]: [&[f32]; 3]) -> f32 {
    let mut sum = f32x8::splat(simd, 0.0);
    for x in (1..here.len().saturating_sub(LANES)).step_by(LANES) {
        let beside = unit(load(simd, here, x - 1)) + unit(load(simd, here, x + 1));
        let around = beside + unit(load(simd, above, x)) + unit(load(simd, below, x));
        sum += unit(load(simd, here, x)).mul_add(-4.0, around).abs();
    }
    sum.reduce_sum()
}

/// Sum of a row.
#[inline(always)]
fn sum_of<S: Simd>(simd: S, row: &[f32]) -> f32 {
    let mut sum = f32x8::splat(simd, 0.0);
    for x in (0..row.len()).step_by(LANES) {
        sum += unit(load(simd, row, x));
    }
    sum.reduce_sum()
}

impl Sum for Tally {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        let add = |a: Tally, b: Tally| Tally {
            detail: a.detail + b.detail,
            sum: [0, 1, 2].map(|c| a.sum[c] + b.sum[c]),
            count: a.count + b.count,
        };
        all.fold(Tally::default(), add)
    }
}

/// The detail of a planar painting.
pub fn detail_planar(planar: &[f32], Canvas { width, height, .. }: Canvas) -> f32 {
    let green = &planar[width * height..];
    let rows = |y: usize| [y - 1, y, y + 1].map(|y| &green[y * width..(y + 1) * width]);
    let looked_at = (1..height.saturating_sub(1)).step_by(EVERY);
    let mut sum = 0.0;
    dispatch!(level(), simd => {
        for y in looked_at {
            sum += detail_of(simd, rows(y));
        }
    });
    sum
}

/// The mean colour of a planar painting.
pub fn mean_planar(planar: &[f32], Canvas { width, height, .. }: Canvas) -> [f32; 3] {
    let mut sums = [0.0; 3];
    dispatch!(level(), simd => {
        for (sum, plane) in sums.iter_mut().zip(planar.chunks_exact(width * height)) {
            for row in plane.chunks_exact(width).step_by(EVERY) {
                *sum += sum_of(simd, row);
            }
        }
    });
    sums.map(|sum| sum / (width * height.div_ceil(EVERY)) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planar_paintings_and_lines_measure_alike() {
        let canvas = Canvas { width: 62, height: 33, origin: (0, 0), picture: (62, 33) };
        let area = canvas.width * canvas.height;
        let planar: Vec<f32> = (0..3 * area).map(|i| (i * 7919 % 1000) as f32 / 900.0 - 0.05).collect();
        let line = |y: usize| {
            let mut line = Line::default();
            line.fit(62);
            for (c, plane) in line.planes[..3].iter_mut().enumerate() {
                plane.as_flattened_mut()[..62].copy_from_slice(&planar[c * area + y * 62..][..62]);
            }
            line
        };
        let mut tally = Tally::default();
        for y in 0..33usize {
            let [above, here, below] = [line(y.saturating_sub(1)), line(y), line((y + 1).min(32))];
            dispatch!(level(), simd => tally.look(simd, (62, 33), y, [&above, &here, &below]));
        }
        let plain = |c: usize| {
            let rows = planar[c * area..][..area].chunks(62).step_by(4);
            rows.flatten().map(|v| v.clamp(0.0, 1.0)).sum::<f32>() / (9 * 62) as f32
        };
        for (c, (mean, other)) in tally.mean().into_iter().zip(mean_planar(&planar, canvas)).enumerate() {
            assert!((mean - other).abs() < 1e-4 && (mean - plain(c)).abs() < 1e-4, "{mean} {other}");
        }
        // Seven whole eights have neighbours on both sides.
        let at = |x: usize, y: usize| planar[area + y * 62 + x].clamp(0.0, 1.0);
        let around = |x: usize, y: usize| at(x - 1, y) + at(x + 1, y) + at(x, y - 1) + at(x, y + 1) - 4.0 * at(x, y);
        let wanted: f32 =
            (1..32).step_by(4).flat_map(|y| (1..57).map(move |x| (x, y))).map(|(x, y)| around(x, y).abs()).sum();
        for detail in [tally.detail(), detail_planar(&planar, canvas)] {
            assert!((detail / wanted - 1.0).abs() < 1e-4, "{detail} instead of {wanted}");
        }
    }
}
