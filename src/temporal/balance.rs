//! What averaging takes from a painting, and what it must not change: fine detail and mean colour, measured in passing.
//!
//! Comes in: a painting, interleaved or planar. Goes out: numbers to compare.

use std::iter::Sum;

use super::warp::{Canvas, Pixel, unit};

/// Rows between those that detail is measured in.
const EVERY: usize = 4;

/// What a blend is like, looked at row by row.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Tally {
    detail: f32,
    sum: Pixel,
    count: f32,
}

impl Tally {
    /// Looks at row `y` of `height`, if it is one of those that are looked at, with the rows above and below.
    pub fn look(&mut self, y: usize, height: usize, [above, here, below]: [&[Pixel]; 3]) {
        if y % EVERY == 1 && y + 1 < height {
            let green = |p: &Pixel| p.as_array()[1];
            let middle = here.windows(3).map(|p| (green(&p[0]), green(&p[1]), green(&p[2])));
            let beside = above.iter().zip(below).skip(1).map(|(a, b)| green(a) + green(b));
            self.detail += middle.zip(beside).map(|((a, b, c), d)| (a + c + d - 4.0 * b).abs()).sum::<f32>();
        }
        if y.is_multiple_of(EVERY) {
            self.sum += here.iter().fold(Pixel::ZERO, |sum, p| sum + *p) * RGB;
            self.count += here.len() as f32;
        }
    }

    /// Sum of the absolute Laplacian of green over every fourth row.
    pub fn detail(&self) -> f32 {
        self.detail
    }

    /// Mean colour of every fourth row.
    pub fn mean(&self) -> Pixel {
        self.sum * (1.0 / self.count.max(1.0))
    }
}

impl Sum for Tally {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        let add =
            |a: Tally, b: Tally| Tally { detail: a.detail + b.detail, sum: a.sum + b.sum, count: a.count + b.count };
        all.fold(Tally::default(), add)
    }
}

/// The detail of a planar painting.
pub fn detail_planar(planar: &[f32], canvas: Canvas) -> f32 {
    let Canvas { width, height, .. } = canvas;
    let green = &planar[width * height..];
    let mut sum = Pixel::ZERO;
    for y in (1..height.saturating_sub(1)).step_by(EVERY) {
        let [above, here, below] = [y - 1, y, y + 1].map(|y| &green[y * width..(y + 1) * width]);
        // Four neighbours at a time; the last columns, if they are no four, are left out.
        for x in (1..width.saturating_sub(4)).step_by(4) {
            let four = |row: &[f32], x: usize| unit(row[x..].first_chunk().copied().map_or(Pixel::ZERO, Pixel::new));
            let around = four(here, x - 1) + four(here, x + 1) + four(above, x) + four(below, x);
            sum += (around - four(here, x) * 4.0).abs();
        }
    }
    sum.reduce_add()
}

/// The mean colour of a planar painting.
pub fn mean_planar(planar: &[f32], canvas: Canvas) -> Pixel {
    let mut mean = [0.0; 4];
    for (mean, plane) in mean.iter_mut().zip(planar.chunks_exact(canvas.width * canvas.height)) {
        let rows = plane.chunks_exact(canvas.width).step_by(EVERY);
        let count = rows.len() * canvas.width;
        let sum = rows.map(|row| {
            let (fours, rest) = row.as_chunks::<4>();
            let sum = fours.iter().fold(Pixel::ZERO, |sum, four| sum + unit(Pixel::new(*four)));
            sum.reduce_add() + rest.iter().map(|v| v.clamp(0.0, 1.0)).sum::<f32>()
        });
        *mean = sum.sum::<f32>() / count as f32;
    }
    Pixel::new(mean)
}

const RGB: Pixel = Pixel::new([1.0, 1.0, 1.0, 0.0]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planar_and_interleaved_paintings_measure_alike() {
        let canvas = Canvas { width: 62, height: 33, origin: (0, 0), picture: (62, 33) };
        let area = canvas.width * canvas.height;
        let planar: Vec<f32> = (0..3 * area).map(|i| (i * 7919 % 1000) as f32 / 900.0 - 0.05).collect();
        let pixel = |i: usize| unit(Pixel::new([planar[i], planar[area + i], planar[2 * area + i], 0.7]));
        let pixels: Vec<Pixel> = (0..area).map(pixel).collect();
        let row = |y: usize| &pixels[y * 62..(y + 1) * 62];
        let mut tally = Tally::default();
        (0..33).for_each(|y| tally.look(y, 33, [row(y.saturating_sub(1)), row(y), row((y + 1).min(32))]));
        let (means, other) = (tally.mean().to_array(), mean_planar(&planar, canvas).to_array());
        assert!(means.iter().zip(other).all(|(a, b)| (a - b).abs() < 1e-4), "{means:?} {other:?}");
        // 60 columns have neighbours on both sides.
        let (details, planar) = (tally.detail(), detail_planar(&planar, canvas));
        assert!((details / planar - 1.0).abs() < 1e-3, "{details} {planar}");
    }
}
