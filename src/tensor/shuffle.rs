//! Pixel shuffle by two: from the planes of a sub-pixel convolution to a picture (Shi et al. 2016).
//!
//! Input: four planes for each colour channel, one for each pixel of a 2 x 2 square. Output: planar RGB, cropped.

use anyhow::{Result, ensure};
use fearless_simd::{dispatch, prelude::*};

use crate::frame::lanes::{LANES, eight, level};
use crate::frame::threads;

/// Pixel `(2y + i, 2x + j)` of channel `c` is plane `4c + 2i + j` at `(y, x)`. `planes` holds twelve planes `width`
/// wide; `crop` pixels, an even number, are cut off on each side of the picture.
///
/// # Errors
/// Lengths that do not fit together, or an odd crop.
pub fn pixel_shuffle(planes: &[f32], width: usize, crop: usize, picture: &mut [f32]) -> Result<()> {
    let (area, wide) = (planes.len() / 12, (2 * width).saturating_sub(2 * crop));
    let height = (2 * area).checked_div(width).unwrap_or_default().saturating_sub(2 * crop);
    ensure!(
        wide > 0 && area.is_multiple_of(width) && picture.len() == 3 * height * wide && crop.is_multiple_of(2),
        "a picture of {} values from {} in planes {width} wide, {crop} cropped",
        picture.len(),
        planes.len()
    );
    let rows = threads::band(3 * height);
    let bands = (0..).step_by(rows).zip(picture.chunks_mut(rows * wide));
    threads::share(bands, |(first, band)| {
        dispatch!(level(), simd => {
            for (row, target) in (first..).zip(band.chunks_exact_mut(wide)) {
                let (channel, y) = (row / height, row % height + crop);
                let plane = |j: usize| {
                    let start = (4 * channel + 2 * (y % 2) + j) * area + y / 2 * width + crop / 2;
                    &planes[start..start + wide / 2]
                };
                interleave(simd, plane(0), plane(1), target);
            }
        });
    });
    Ok(())
}

/// Alternates the values of both rows.
#[inline(always)]
fn interleave<S: Simd>(simd: S, even: &[f32], odd: &[f32], target: &mut [f32]) {
    let (evens, odds) = (even.as_chunks::<LANES>(), odd.as_chunks::<LANES>());
    let targets = target.as_chunks_mut::<{ 2 * LANES }>();
    for ((a, b), target) in evens.0.iter().zip(odds.0).zip(targets.0) {
        let (low, high) = eight(simd, a).interleave(eight(simd, b));
        low.combine(high).store_array(target);
    }
    for ((a, b), target) in evens.1.iter().zip(odds.1).zip(targets.1.as_chunks_mut::<2>().0) {
        *target = [*a, *b];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pixel_comes_from_its_plane() {
        for (width, height, crop) in [(1, 1, 0), (9, 7, 0), (31, 12, 4), (40, 30, 20)] {
            let area = width * height;
            let planes: Vec<f32> = (0..12 * area).map(|i| i as f32).collect();
            let size = (2 * width - 2 * crop, 2 * height - 2 * crop);
            let mut picture = vec![-1.0; 3 * size.0 * size.1];
            pixel_shuffle(&planes, width, crop, &mut picture).unwrap();
            for (i, value) in picture.iter().enumerate() {
                let (c, y, x) = (i / size.0 / size.1, i / size.0 % size.1 + crop, i % size.0 + crop);
                let wanted = (4 * c + 2 * (y % 2) + x % 2) * area + y / 2 * width + x / 2;
                assert_eq!(*value, wanted as f32, "{i} of {width}x{height}, {crop}");
            }
        }
        assert!(pixel_shuffle(&[0.0; 48], 2, 0, &mut [0.0; 47]).is_err());
        assert!(pixel_shuffle(&[0.0; 48], 2, 2, &mut []).is_err());
        assert!(pixel_shuffle(&[], 0, 0, &mut []).is_err());
    }
}
