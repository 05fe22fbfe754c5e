//! Fine detail and mean colour of a frame, measured row by row during the blend.
//!
//! Input: rows of planar RGB. Output: the sum of absolute Laplacians and the mean colour, from every fourth row. The
//! first shows how much averaging blurs, the second whether it drifts.

use std::ops::Add;

use fearless_simd::{f32x8, prelude::*};

use crate::frame::lanes::{LANES, load, unit};

/// One row in so many is measured.
const EVERY: usize = 4;

/// Statistics of the rows added so far.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ImageStatistics {
    detail: f32,
    sum: [f32; 3],
    count: f32,
}

impl ImageStatistics {
    /// Adds row `y` of `height`, if it is one of those that are measured; `row(y, c)` is row `y` of channel `c`.
    #[inline(always)]
    pub fn add_row<'a, S: Simd>(&mut self, simd: S, height: usize, y: usize, row: impl Fn(usize, usize) -> &'a [f32]) {
        if y % EVERY == 1 && y + 1 < height {
            self.detail += detail_of(simd, [row(y - 1, 1), row(y, 1), row(y + 1, 1)]);
        }
        if y.is_multiple_of(EVERY) {
            for (c, sum) in self.sum.iter_mut().enumerate() {
                *sum += sum_of(simd, row(y, c));
            }
            self.count += row(y, 0).len() as f32;
        }
    }

    /// Sum of the absolute Laplacian of green.
    pub fn detail(&self) -> f32 {
        self.detail
    }

    /// Mean red, green and blue.
    pub fn mean(&self) -> [f32; 3] {
        self.sum.map(|sum| sum / self.count.max(1.0))
    }
}

/// Sum of the absolute Laplacian of a row; an incomplete last group of eight columns is ignored.
#[inline(always)]
fn detail_of<S: Simd>(simd: S, [above, here, below]: [&[f32]; 3]) -> f32 {
    let mut sum = f32x8::splat(simd, 0.0);
    for x in (1..here.len().saturating_sub(LANES)).step_by(LANES) {
        let horizontal = unit(load(simd, here, x - 1)) + unit(load(simd, here, x + 1));
        let around = horizontal + unit(load(simd, above, x)) + unit(load(simd, below, x));
        sum += unit(load(simd, here, x)).mul_add(-4.0, around).abs();
    }
    sum.reduce_sum()
}

/// Sum of a row, clamped to 0..=1.
#[inline(always)]
fn sum_of<S: Simd>(simd: S, row: &[f32]) -> f32 {
    let mut sum = f32x8::splat(simd, 0.0);
    for x in (0..row.len()).step_by(LANES) {
        sum += unit(load(simd, row, x));
    }
    sum.reduce_sum()
}

impl Add for ImageStatistics {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        ImageStatistics {
            detail: self.detail + other.detail,
            sum: [0, 1, 2].map(|c| self.sum[c] + other.sum[c]),
            count: self.count + other.count,
        }
    }
}

#[cfg(test)]
mod tests {
    use fearless_simd::dispatch;

    use super::*;
    use crate::frame::lanes::level;

    #[test]
    fn rows_add_up_to_the_statistics_of_the_frame() {
        let (width, height) = (62, 33);
        let area = width * height;
        let planar: Vec<f32> = (0..3 * area).map(|i| (i * 7919 % 1000) as f32 / 900.0 - 0.05).collect();
        let mut statistics = ImageStatistics::default();
        for y in 0..height {
            let row = |y: usize, c: usize| &planar[c * area + y * width..][..width];
            dispatch!(level(), simd => statistics.add_row(simd, height, y, row));
        }
        let plain = |c: usize| {
            let rows = planar[c * area..][..area].chunks(width).step_by(4);
            rows.flatten().map(|v| v.clamp(0.0, 1.0)).sum::<f32>() / (9 * width) as f32
        };
        for (c, mean) in statistics.mean().into_iter().enumerate() {
            assert!((mean - plain(c)).abs() < 1e-4, "{mean} of channel {c}");
        }
        // Seven groups of eight columns have neighbours on both sides.
        let at = |x: usize, y: usize| planar[area + y * width + x].clamp(0.0, 1.0);
        let around = |x: usize, y: usize| at(x - 1, y) + at(x + 1, y) + at(x, y - 1) + at(x, y + 1) - 4.0 * at(x, y);
        let wanted: f32 =
            (1..32).step_by(4).flat_map(|y| (1..57).map(move |x| (x, y))).map(|(x, y)| around(x, y).abs()).sum();
        assert!((statistics.detail() / wanted - 1.0).abs() < 1e-4, "{} instead of {wanted}", statistics.detail());
    }
}
