//! Image to tensor: normalise, reorder, pad by reflection, in one pass.
//!
//! Input: planar RGB, with or without alpha. Output: the generator's input tensor. Pixels of alpha 0 become mid-grey, so
//! that their hidden colours do not reach visible pixels through the generator's receptive field.

use anyhow::{Context, Result};
use fearless_simd::dispatch;
use half::f16;
use ndarray::{ArrayViewMut1, ArrayViewMut3, Axis};

use crate::frame::image::{Image, Sample};
use crate::frame::lanes::level;
use crate::frame::threads;
use crate::tensor::layout::Format;
use crate::tensor::placement::{Placement, reflect};

/// An element of a model's tensor.
pub trait Number: Copy + Send + Sync + 'static {
    /// From a float in the tensor's own range.
    fn from_f32(value: f32) -> Self;
    /// To a float in the tensor's own range.
    fn to_f32(self) -> f32;
}

impl Number for f32 {
    #[inline(always)]
    fn from_f32(value: f32) -> Self {
        value
    }
    #[inline(always)]
    fn to_f32(self) -> f32 {
        self
    }
}

impl Number for f16 {
    #[inline(always)]
    fn from_f32(value: f32) -> Self {
        f16::from_f32(value)
    }
    #[inline(always)]
    fn to_f32(self) -> f32 {
        f16::to_f32(self)
    }
}

impl Number for u8 {
    #[inline(always)]
    fn from_f32(value: f32) -> Self {
        Sample::from_f32(value.clamp(0.0, 255.0))
    }
    #[inline(always)]
    fn to_f32(self) -> f32 {
        f32::from(self)
    }
}

/// Writes `image` into `tensor` at its place and fills the rest by reflection. Invisible pixels (alpha 0) become mid-grey.
///
/// # Errors
/// A tensor of another length than 3 x `place.tensor`, or an image of another size than `place.picture`.
pub fn ingest<S: Sample, T: Number>(
    image: &Image<S>,
    tensor: &mut [T],
    format: &Format,
    place: &Placement,
) -> Result<()> {
    let shape = image.shape();
    let ((width, height), picture) = (place.tensor, place.picture);
    anyhow::ensure!(
        (shape.width, shape.height) == picture,
        "the image has {}x{} pixels, expected {}x{}",
        shape.width,
        shape.height,
        picture.0,
        picture.1
    );
    let length = tensor.len();
    let mut view = format
        .view_mut(tensor, width, height)
        .with_context(|| format!("the tensor has {length} elements, expected 3x{height}x{width}"))?;
    let rows = threads::band(height);
    let bands = (0..).step_by(rows).zip(view.axis_chunks_iter_mut(Axis(1), rows));
    threads::share(bands, |(first, band)| {
        dispatch!(level(), _simd => fill_band(band, first, image, format, place));
    });
    Ok(())
}

/// Fills the band of a tensor that starts at row `first`.
#[inline(always)]
fn fill_band<S: Sample, T: Number>(
    mut band: ArrayViewMut3<T>,
    first: usize,
    image: &Image<S>,
    format: &Format,
    place: &Placement,
) {
    let shape = image.shape();
    for channel in 0..3 {
        let mut plane = band.index_axis_mut(Axis(0), format.channels.index(channel));
        let scale = format.range.scale[channel] / f32::from(shape.white);
        let offset = format.range.offset[channel];
        for (y, row) in (first..).zip(plane.rows_mut()) {
            let source = reflect(y as isize - place.origin.1 as isize, shape.height);
            let (pixels, alpha) = (image.row(channel, source), image.alpha_row(source));
            let Some(alpha) = alpha else {
                fill_row(row, pixels, place.origin.0, |s| T::from_f32(s.to_f32() * scale + offset));
                continue;
            };
            let grey = 0.5 * f32::from(shape.white);
            let visible = |s: &S, alpha: &S| if *alpha == S::default() { grey } else { s.to_f32() };
            fill_row_visible(row, (pixels, alpha), place.origin.0, |s, a| T::from_f32(visible(s, a) * scale + offset));
        }
    }
}

#[inline(always)]
fn fill_row<S: Sample, T: Number>(mut row: ArrayViewMut1<T>, source: &[S], left: usize, convert: impl Fn(&S) -> T) {
    match row.as_slice_mut() {
        Some(row) => row[left..].iter_mut().zip(source).for_each(|(t, s)| *t = convert(s)),
        None => row.iter_mut().skip(left).zip(source).for_each(|(t, s)| *t = convert(s)),
    }
    let filled = left..left + source.len();
    for x in (0..filled.start).chain(filled.end..row.len()) {
        row[x] = convert(&source[reflect(x as isize - left as isize, source.len())]);
    }
}

/// As [`fill_row`], with the alpha of every sample.
#[inline(always)]
fn fill_row_visible<S: Sample, T: Number>(
    mut row: ArrayViewMut1<T>,
    (source, alpha): (&[S], &[S]),
    left: usize,
    convert: impl Fn(&S, &S) -> T,
) {
    let filled = left..left + source.len();
    let pixels = row.iter_mut().skip(left).zip(source.iter().zip(alpha));
    pixels.for_each(|(t, (s, a))| *t = convert(s, a));
    for x in (0..filled.start).chain(filled.end..row.len()) {
        let from = reflect(x as isize - left as isize, source.len());
        row[x] = convert(&source[from], &alpha[from]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::image::Shape;
    use crate::tensor::layout::{Axes, Channels, Range};

    const SHAPE: Shape = Shape { width: 2, height: 2, white: 255 };
    const PLANES: [[u8; 4]; 3] = [[0, 51, 102, 153], [255, 204, 153, 102], [51, 51, 51, 51]];

    fn filled<T: Number + Default>(format: Format, place: Placement) -> Vec<T> {
        let image = Image::new([&PLANES[0], &PLANES[1], &PLANES[2]], [2; 3], SHAPE).unwrap();
        let mut tensor = vec![T::default(); 3 * place.tensor.0 * place.tensor.1];
        ingest(&image, &mut tensor, &format, &place).unwrap();
        tensor
    }

    #[test]
    fn planar_and_interleaved_tensors_hold_the_same_picture() {
        let place = Placement::centered((2, 2), (2, 2));
        let planar: Vec<f32> = filled(Format::CANONICAL, place);
        let format = Format { axes: Axes::Nhwc, channels: Channels::Bgr, range: Range::BYTE };
        let interleaved: Vec<u8> = filled(format, place);
        let wanted = [0.0, 0.2, 0.4, 0.6];
        assert!(planar.iter().zip(wanted).all(|(a, b): (&f32, f32)| (a - b).abs() < 1e-6), "{planar:?}");
        assert_eq!(interleaved[..6], [51, 255, 0, 51, 204, 51]);
    }

    #[test]
    fn padding_is_filled_by_reflection() {
        let place = Placement { tensor: (4, 3), origin: (1, 1), picture: (2, 2) };
        let tensor: Vec<f16> = filled(Format { range: Range::BYTE, ..Format::CANONICAL }, place);
        let red: Vec<_> = tensor[..12].iter().map(|v| v.to_f32()).collect();
        assert_eq!(red, [153., 102., 153., 102., 51., 0., 51., 0., 153., 102., 153., 102.]);
    }

    #[test]
    fn colours_under_alpha_zero_do_not_reach_the_tensor() {
        let place = Placement { tensor: (4, 3), origin: (1, 1), picture: (2, 2) };
        let tensor = |hidden: u8| {
            let plane = [10, hidden, 30, 40];
            let image = Image::new([&plane[..]; 3], [2; 3], SHAPE).unwrap().with_alpha(&[255, 0, 1, 255], 2).unwrap();
            let mut tensor = vec![0f32; 3 * 12];
            ingest(&image, &mut tensor, &Format { range: Range::BYTE, ..Format::CANONICAL }, &place).unwrap();
            tensor
        };
        assert_eq!(tensor(0), tensor(255));
        assert_eq!(
            tensor(0)[4..8],
            [127.5, 10.0, 127.5, 10.0],
            "the second row: reflected, visible, invisible, reflected"
        );
        assert_eq!(tensor(0)[9..11], [30.0, 40.0], "visible pixels stay as they are");
    }

    #[test]
    fn wrong_sizes_are_errors() {
        let image = Image::new([&PLANES[0][..], &PLANES[1], &PLANES[2]], [2; 3], SHAPE).unwrap();
        let place = Placement::centered((2, 2), (2, 2));
        assert!(ingest(&image, &mut [0f32; 11], &Format::CANONICAL, &place).is_err());
        let place = Placement::centered((1, 2), (2, 2));
        assert!(ingest(&image, &mut [0f32; 12], &Format::CANONICAL, &place).is_err());
    }
}
