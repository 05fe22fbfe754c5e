//! Tensor to image.
//!
//! Input: a generator's output tensor. Output: planar RGB in 0..=1 for the stabilizer, then an image: clamped, rounded
//! and cropped.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, ensure};
use fearless_simd::dispatch;
use ndarray::{ArrayView1, Axis};

use crate::frame::image::{ImageMut, Sample};
use crate::frame::lanes::level;
use crate::frame::threads;
use crate::tensor::ingest::Number;
use crate::tensor::layout::Format;
use crate::tensor::placement::Placement;

/// Converts a tensor of a model's format to planar RGB; a value in the model's range becomes 0..=1, others are not clamped.
///
/// # Errors
/// Lengths that are not 3 x width x height.
pub fn to_planar<T: Number>(data: &[T], format: &Format, size: (usize, usize), planar: &mut [f32]) -> Result<()> {
    let (width, height) = size;
    let wrong = || format!("the tensor has {} elements, expected 3x{height}x{width}", data.len());
    ensure!(planar.len() == 3 * width * height, wrong());
    let view = format.view(data, width, height).with_context(wrong)?;
    for (channel, plane) in planar.chunks_exact_mut(width * height).enumerate() {
        let source = view.index_axis(Axis(0), format.channels.index(channel));
        let scale = 1.0 / format.range.scale[channel];
        let offset = -format.range.offset[channel] * scale;
        for (row, target) in source.rows().into_iter().zip(plane.chunks_exact_mut(width)) {
            convert_row(row, target, scale, offset);
        }
    }
    Ok(())
}

fn convert_row<T: Number>(row: ArrayView1<T>, target: &mut [f32], scale: f32, offset: f32) {
    match row.as_slice() {
        Some(row) => row.iter().zip(target).for_each(|(v, t)| *t = v.to_f32() * scale + offset),
        None => row.iter().zip(target).for_each(|(v, t)| *t = v.to_f32() * scale + offset),
    }
}

/// Converts planar RGB in 0..=1 to a tensor of a model's format.
///
/// # Errors
/// Lengths that are not 3 x width x height.
pub fn from_planar<T: Number>(planar: &[f32], format: &Format, size: (usize, usize), data: &mut [T]) -> Result<()> {
    let (width, height) = size;
    let length = data.len();
    let wrong = || format!("the tensor has {length} elements, expected 3x{height}x{width}");
    ensure!(planar.len() == 3 * width * height, wrong());
    let mut view = format.view_mut(data, width, height).with_context(wrong)?;
    for (channel, plane) in planar.chunks_exact(width * height).enumerate() {
        let mut target = view.index_axis_mut(Axis(0), format.channels.index(channel));
        let (scale, offset) = (format.range.scale[channel], format.range.offset[channel]);
        for (row, source) in target.rows_mut().into_iter().zip(plane.chunks_exact(width)) {
            row.into_iter().zip(source).for_each(|(t, v)| *t = T::from_f32(v * scale + offset));
        }
    }
    Ok(())
}

/// Whether no value is NaN or infinite.
#[inline(always)]
pub fn all_finite(values: &[f32]) -> bool {
    const LANES: usize = 16;
    let chunks = values.chunks_exact(LANES);
    let rest = chunks.remainder();
    let mut zero = [0f32; LANES];
    // 0 * v is 0 for every finite v and NaN otherwise.
    for chunk in chunks {
        for (z, v) in zero.iter_mut().zip(chunk) {
            *z += v * 0.0;
        }
    }
    zero.iter().chain(rest).all(|v| v.is_finite())
}

/// Clamps, rounds and crops planar RGB in 0..=1 into an image; NaN becomes 0. Returns whether all values of the tensor
/// are finite, those outside the picture too.
///
/// # Errors
/// A tensor of another length than 3 x `place.tensor`, or an image of another size than `place.picture`.
pub fn to_image<S: Sample>(planar: &[f32], place: &Placement, image: &mut ImageMut<S>) -> Result<bool> {
    let (width, height) = place.tensor;
    let shape = image.shape();
    ensure!(
        (shape.width, shape.height) == place.picture,
        "the image has {}x{} pixels, expected {}x{}",
        shape.width,
        shape.height,
        place.picture.0,
        place.picture.1
    );
    ensure!(
        planar.len() == 3 * width * height,
        "the tensor has {} elements, expected 3x{height}x{width}",
        planar.len()
    );
    let (broken, rows) = (AtomicBool::new(false), threads::band(height));
    threads::share(image.bands(height, place.origin.1, rows), |(first, (mut image, top))| {
        let rows = first..(first + rows).min(height);
        dispatch!(level(), _simd => {
            if !to_band(planar, place, rows, &mut image, top) {
                broken.store(true, Ordering::Relaxed);
            }
        });
    });
    Ok(!broken.into_inner())
}

/// Converts `rows` of the tensor into `image`, which starts at the tensor's row `top`. Returns whether all of their
/// values are finite.
#[inline(always)]
fn to_band<S: Sample>(
    planar: &[f32],
    place: &Placement,
    rows: Range<usize>,
    image: &mut ImageMut<S>,
    top: usize,
) -> bool {
    let ((width, height), left, shape) = (place.tensor, place.origin.0, image.shape());
    let mut finite = true;
    for (channel, plane) in planar.chunks_exact(width * height).enumerate() {
        for y in rows.clone() {
            let row = &plane[y * width..(y + 1) * width];
            finite &= all_finite(row);
            if (top..top + shape.height).contains(&y) {
                to_row(&row[left..left + shape.width], image.row_mut(channel, y - top), shape.white);
            }
        }
    }
    finite
}

/// Clamps to 0..=1, scales to 0 ..= `white` and rounds a row of values; NaN becomes 0.
#[inline(always)]
pub fn to_row<S: Sample>(source: &[f32], target: &mut [S], white: u16) {
    let white = f32::from(white);
    #[expect(clippy::manual_clamp, reason = "clamp keeps NaN; in this order max turns it into 0")]
    for (s, v) in target.iter_mut().zip(source) {
        *s = S::from_f32(v.max(0.0).min(1.0) * white);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::image::{Image, Shape};
    use crate::tensor::ingest::ingest;
    use crate::tensor::layout::{Axes, Channels, Range};

    #[test]
    fn images_round_trip_through_every_format() {
        let samples: Vec<u8> = (0..3 * 7 * 5).map(|i| (i * 37 % 256) as u8).collect();
        let planes: Vec<&[u8]> = samples.chunks(35).collect();
        let shape = Shape { width: 7, height: 5, white: 255 };
        let image = Image::new([planes[0], planes[1], planes[2]], [7; 3], shape).unwrap();
        let place = Placement::centered((7, 5), (8, 8));
        let ranges = ["0,1", "0,255", "-1,1", "mean=0.485,0.456,0.406;std=0.229,0.224,0.225"];
        for range in ranges.map(|r| r.parse::<Range>().unwrap()) {
            for (axes, channels) in Axes::ALL.iter().flat_map(|a| Channels::ALL.map(|c| (a.1, c.1))) {
                let format = Format { axes, channels, range };
                let mut tensor = vec![0f32; 3 * 64];
                ingest(&image, &mut tensor, &format, &place).unwrap();
                let mut planar = vec![0f32; 3 * 64];
                to_planar(&tensor, &format, (8, 8), &mut planar).unwrap();
                let mut again = vec![0f32; 3 * 64];
                from_planar(&planar, &format, (8, 8), &mut again).unwrap();
                assert!(tensor.iter().zip(&again).all(|(a, b)| (a - b).abs() < 1e-3), "{format:?}");
                let mut back = vec![0u8; 105];
                let (r, rest) = back.split_at_mut(35);
                let (g, b) = rest.split_at_mut(35);
                to_image(&planar, &place, &mut ImageMut::new([r, g, b], [7; 3], shape).unwrap()).unwrap();
                assert_eq!(back, samples, "{format:?}");
            }
        }
    }

    #[test]
    fn values_out_of_range_are_clamped_and_nan_is_zero() {
        let planar = [-0.5, 1.5, f32::NAN, 0.5, f32::INFINITY, 1.0, f32::NEG_INFINITY, 0.0, 1e30, -1e30, 0.999, 0.001];
        let shape = Shape { width: 2, height: 2, white: 4095 };
        let (mut r, mut g, mut b) = ([0u16; 4], [0u16; 4], [0u16; 4]);
        let mut image = ImageMut::new([&mut r[..], &mut g[..], &mut b[..]], [2; 3], shape).unwrap();
        to_image(&planar, &Placement::centered((2, 2), (2, 2)), &mut image).unwrap();
        assert_eq!(r, [0, 4095, 0, 2048]);
        assert_eq!(g, [4095, 4095, 0, 0]);
        assert_eq!(b, [4095, 0, 4091, 4]);
    }

    #[test]
    fn one_value_that_is_not_finite_is_detected_anywhere() {
        for length in [1, 15, 16, 17, 100] {
            assert!(all_finite(&vec![1.0; length]));
            for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                for at in 0..length {
                    let mut values = vec![1.0; length];
                    values[at] = bad;
                    assert!(!all_finite(&values), "{bad} at {at} of {length}");
                }
            }
        }
    }
}
