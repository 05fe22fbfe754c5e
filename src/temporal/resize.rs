//! A history at another size: when the same pictures are painted smaller or larger from now on.
//!
//! Comes in: the history at its size. Goes out: the same at the new one.

use std::array::from_fn;

use super::warp::{Canvas, Pixel};

/// The `history` of a painting of size `from`, for one of size `to`: linear, and the mean of what a pixel covers.
pub fn resized(history: &[Pixel], from: Canvas, to: Canvas) -> Vec<Pixel> {
    let scale = |from: usize, to: usize| from as f32 / to.max(1) as f32;
    let (across, down) = (scale(from.picture.0, to.picture.0), scale(from.picture.1, to.picture.1));
    let columns = spread(to.width, to.origin.0, across, from.origin.0, from.width);
    let rows = spread(to.height, to.origin.1, down, from.origin.1, from.height);
    let share = 1.0 / (columns.each * rows.each) as f32;
    let pixel = |x: usize, y: usize| {
        let mut sum = [0.0; 4];
        for row in rows.of(y) {
            for column in columns.of(x) {
                let corners = [
                    (row.low, column.low, (1.0 - row.share) * (1.0 - column.share)),
                    (row.low, column.high, (1.0 - row.share) * column.share),
                    (row.high, column.low, row.share * (1.0 - column.share)),
                    (row.high, column.high, row.share * column.share),
                ];
                for (row, column, weight) in corners {
                    let value = &history[row * from.width + column];
                    sum = from_fn(|c| sum[c] + share * weight * value[c]);
                }
            }
        }
        sum
    };
    (0..to.height).flat_map(|y| (0..to.width).map(move |x| (x, y))).map(|(x, y)| pixel(x, y)).collect()
}

/// Where the points lie that a row (or column) of pixels is the mean of, `each` for every pixel.
struct Spread {
    points: Vec<Point>,
    each: usize,
}

/// A place between two pixels.
struct Point {
    low: usize,
    high: usize,
    share: f32,
}

impl Spread {
    fn of(&self, pixel: usize) -> &[Point] {
        &self.points[pixel * self.each..(pixel + 1) * self.each]
    }
}

fn spread(count: usize, origin: usize, scale: f32, start: usize, side: usize) -> Spread {
    let each = scale.ceil().max(1.0) as usize;
    let point = |i: usize| {
        let at = (i as f32 + 0.5) / each as f32 - origin as f32;
        let at = (at * scale + start as f32 - 0.5).clamp(0.0, (side - 1) as f32);
        Point { low: at as usize, high: (at as usize + 1).min(side - 1), share: at.fract() }
    };
    Spread { points: (0..count * each).map(point).collect(), each }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slope(canvas: Canvas, scale: f32) -> Vec<Pixel> {
        let at = |i: usize, width: usize| {
            let (x, y) = ((i % width) as f32 + 0.5, (i / width) as f32 + 0.5);
            [(x - canvas.origin.0 as f32) * scale, (y - canvas.origin.1 as f32) * scale, 0.5, 1.0]
        };
        (0..canvas.width * canvas.height).map(|i| at(i, canvas.width)).collect()
    }

    #[test]
    fn a_slope_stays_the_same_slope() {
        let canvas = |width, height, origin, picture| Canvas { width, height, origin, picture };
        let large = canvas(72, 48, (4, 2), (64, 44));
        for small in [canvas(32, 22, (0, 0), (32, 22)), canvas(24, 16, (1, 0), (22, 15))] {
            for (from, to, ratio) in
                [(large, small, 64.0 / small.picture.0 as f32), (small, large, small.picture.0 as f32 / 64.0)]
            {
                let (made, wanted) = (resized(&slope(from, 1.0), from, to), slope(to, ratio));
                for (i, (made, wanted)) in made.iter().zip(&wanted).enumerate() {
                    let (x, y) = (i % to.width, i / to.width);
                    let inside = x > to.origin.0 + 2 && x + 3 < to.origin.0 + to.picture.0;
                    let inside = inside && y > to.origin.1 + 2 && y + 3 < to.origin.1 + to.picture.1;
                    let off = made.iter().zip(wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                    assert!(!inside || off < 0.6, "{made:?} instead of {wanted:?} at {x}, {y}");
                }
            }
        }
    }
}
