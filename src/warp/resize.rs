//! A history at another size: when the same pictures are stylized smaller or larger from now on.
//!
//! Comes in: the history at its size. Goes out: the same at the new one.

use std::array::from_fn;

use crate::frame::image::Sample;
use crate::frame::size::{Between, between};
use crate::warp::canvas::Canvas;
use crate::warp::pixel::Pixel;

/// The `history` of a stylized frame of size `from`, for one of size `to`: linear, and the mean of what a pixel covers. Beyond the
/// picture is its edge.
pub fn resized(history: &[Pixel], from: Canvas, to: Canvas) -> Vec<Pixel> {
    let (across, columns) = spread(to.width, to.origin.0, to.picture.0, from.picture.0);
    let (down, rows) = spread(to.height, to.origin.1, to.picture.1, from.picture.1);
    let share = 1.0 / (across * down) as f32;
    let at =
        |row: u32, column: u32| history[(from.origin.1 + row as usize) * from.width + from.origin.0 + column as usize];
    let pixel = |x: usize, y: usize| {
        let mut sum = [0.0; 4];
        for row in &rows[y * down..(y + 1) * down] {
            for column in &columns[x * across..(x + 1) * across] {
                let corners = [
                    (row.low, column.low, (1.0 - row.share) * (1.0 - column.share)),
                    (row.low, column.high, (1.0 - row.share) * column.share),
                    (row.high, column.low, row.share * (1.0 - column.share)),
                    (row.high, column.high, row.share * column.share),
                ];
                for (row, column, weight) in corners {
                    let value = at(row, column);
                    sum = from_fn(|c| sum[c] + share * weight * f32::from(value[c]));
                }
            }
        }
        sum.map(Sample::from_f32)
    };
    (0..to.height).flat_map(|y| (0..to.width).map(move |x| (x, y))).map(|(x, y)| pixel(x, y)).collect()
}

/// So many points a pixel is the mean of, and where those of `count` pixels lie among the `cells` of the other picture.
fn spread(count: usize, origin: usize, picture: usize, cells: usize) -> (usize, Vec<Between>) {
    let each = cells.div_ceil(picture).max(1);
    (each, between(count * each, origin * each, picture * each, cells))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In hundredths.
    fn slope(canvas: Canvas, scale: f32) -> Vec<Pixel> {
        let at = |i: usize, width: usize| {
            let (x, y) = ((i % width) as f32 + 0.5, (i / width) as f32 + 0.5);
            [(x - canvas.origin.0 as f32) * scale, (y - canvas.origin.1 as f32) * scale, 0.5, 1.0]
                .map(|v| (v * 100.0) as u16)
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
                    let off = made.iter().zip(wanted).map(|(a, b)| a.abs_diff(*b)).max();
                    assert!(!inside || off < Some(60), "{made:?} instead of {wanted:?} at {x}, {y}");
                }
            }
        }
    }
}
