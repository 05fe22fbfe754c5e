//! Resizes a history when the inference size changes while the stream goes on.
//!
//! Input: the history at one size and placement. Output: the same at another, bilinear, averaged over the area of a
//! pixel when shrinking.

use std::array::from_fn;

use crate::frame::image::Sample;
use crate::frame::size::{Lerp, lerp_table};
use crate::tensor::placement::Placement;
use crate::warp::pixel::Pixel;

/// Resizes `history` from placement `from` to placement `to`; outside the picture its border is repeated.
pub fn resized(history: &[Pixel], from: Placement, to: Placement) -> Vec<Pixel> {
    let (across, columns) = supersampled(to.tensor.0, to.origin.0, to.picture.0, from.picture.0);
    let (down, rows) = supersampled(to.tensor.1, to.origin.1, to.picture.1, from.picture.1);
    let share = 1.0 / (across * down) as f32;
    let at = |row: u32, column: u32| {
        history[(from.origin.1 + row as usize) * from.tensor.0 + from.origin.0 + column as usize]
    };
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
    (0..to.tensor.1).flat_map(|y| (0..to.tensor.0).map(move |x| (x, y))).map(|(x, y)| pixel(x, y)).collect()
}

/// Samples a pixel is the mean of, and the interpolation of those of `count` pixels among `cells` pixels of the other size.
fn supersampled(count: usize, origin: usize, picture: usize, cells: usize) -> (usize, Vec<Lerp>) {
    let each = cells.div_ceil(picture).max(1);
    (each, lerp_table(count * each, origin * each, picture * each, cells))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A linear ramp in x and y, in hundredths of a pixel.
    fn ramp(place: Placement, scale: f32) -> Vec<Pixel> {
        let at = |i: usize, width: usize| {
            let (x, y) = ((i % width) as f32 + 0.5, (i / width) as f32 + 0.5);
            [(x - place.origin.0 as f32) * scale, (y - place.origin.1 as f32) * scale, 0.5, 1.0]
                .map(|v| (v * 100.0) as u16)
        };
        (0..place.tensor.0 * place.tensor.1).map(|i| at(i, place.tensor.0)).collect()
    }

    #[test]
    fn a_ramp_stays_the_same_ramp() {
        let place = |tensor, origin, picture| Placement { tensor, origin, picture };
        let large = place((72, 48), (4, 2), (64, 44));
        for small in [place((32, 22), (0, 0), (32, 22)), place((24, 16), (1, 0), (22, 15))] {
            for (from, to, ratio) in
                [(large, small, 64.0 / small.picture.0 as f32), (small, large, small.picture.0 as f32 / 64.0)]
            {
                let (made, wanted) = (resized(&ramp(from, 1.0), from, to), ramp(to, ratio));
                for (i, (made, wanted)) in made.iter().zip(&wanted).enumerate() {
                    let (x, y) = (i % to.tensor.0, i / to.tensor.0);
                    let inside = x > to.origin.0 + 2 && x + 3 < to.origin.0 + to.picture.0;
                    let inside = inside && y > to.origin.1 + 2 && y + 3 < to.origin.1 + to.picture.1;
                    let off = made.iter().zip(wanted).map(|(a, b)| a.abs_diff(*b)).max();
                    assert!(!inside || off < Some(60), "{made:?} instead of {wanted:?} at {x}, {y}");
                }
            }
        }
    }
}
