//! Resizes a picture from one tensor into another: for models that take the frame a second time at another size.
//!
//! Comes in: a view (channel, row, column) of the frame's tensor. Goes out: the other tensor, filled. Bicubic (Keys 1981,
//! a = -0.5), with a kernel that grows where the picture shrinks, so that nothing aliases (as Pillow does).

use ndarray::{ArrayView3, ArrayViewMut3};

use crate::frame::size::Size;
use crate::tensor::ingest::Number;

/// Resizes from one size to another. Holds the kernels and one plane of scratch.
pub struct Resizer {
    columns: Vec<Taps>,
    rows: Vec<Taps>,
    /// One plane, resized along its rows only.
    between: Vec<f32>,
}

/// The pixels that one pixel is a weighted sum of, from `first` on.
struct Taps {
    first: usize,
    weights: Vec<f32>,
}

impl Resizer {
    /// Kernels for pictures of size `from` that become `to`; no side may be 0.
    pub fn new(from: Size, to: Size) -> Self {
        Self { columns: taps(from.0, to.0), rows: taps(from.1, to.1), between: vec![0.0; to.0 * from.1] }
    }

    /// Resizes every channel. Views of other sizes than announced are left as they are where they are too small.
    pub fn resize<A: Number, B: Number>(&mut self, from: &ArrayView3<A>, to: &mut ArrayViewMut3<B>) {
        let width = self.columns.len();
        for (from, mut to) in from.outer_iter().zip(to.outer_iter_mut()) {
            for (row, line) in from.rows().into_iter().zip(self.between.chunks_exact_mut(width)) {
                for (taps, value) in self.columns.iter().zip(line) {
                    let pixels = row.iter().skip(taps.first);
                    *value = taps.weights.iter().zip(pixels).map(|(weight, pixel)| weight * pixel.to_f32()).sum();
                }
            }
            for (taps, mut row) in self.rows.iter().zip(to.rows_mut()) {
                for (x, value) in row.iter_mut().enumerate() {
                    let pixels = self.between.iter().skip(taps.first * width + x).step_by(width);
                    *value = B::from_f32(taps.weights.iter().zip(pixels).map(|(weight, pixel)| weight * pixel).sum());
                }
            }
        }
    }
}

fn taps(from: usize, to: usize) -> Vec<Taps> {
    let scale = from as f32 / to as f32;
    let spread = scale.max(1.0);
    let of_pixel = |i: usize| {
        let center = (i as f32 + 0.5) * scale;
        let first = (center - 2.0 * spread).floor().max(0.0) as usize;
        let last = ((center + 2.0 * spread).ceil() as usize).min(from);
        let mut weights: Vec<_> = (first..last).map(|j| cubic((j as f32 + 0.5 - center) / spread)).collect();
        let sum: f32 = weights.iter().sum();
        weights.iter_mut().for_each(|weight| *weight /= sum);
        Taps { first, weights }
    };
    (0..to).map(of_pixel).collect()
}

/// Keys' cubic with a = -0.5.
fn cubic(x: f32) -> f32 {
    let x = x.abs();
    match x {
        ..1.0 => (1.5 * x - 2.5) * x * x + 1.0,
        1.0..2.0 => ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0,
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;

    use super::*;

    fn resized(picture: &Array3<f32>, (width, height): Size) -> Array3<f32> {
        let (channels, rows, columns) = picture.dim();
        let mut out = Array3::zeros((channels, height, width));
        Resizer::new((columns, rows), (width, height)).resize(&picture.view(), &mut out.view_mut());
        out
    }

    #[test]
    fn even_pictures_stay_even_and_ramps_stay_ramps() {
        let even = Array3::from_elem((3, 6, 9), 0.25);
        for size in [(18, 12), (9, 6), (4, 3), (36, 2)] {
            assert!(resized(&even, size).iter().all(|v| (v - 0.25).abs() < 1e-6), "{size:?}");
        }
        let ramp = Array3::from_shape_fn((1, 5, 16), |(_, _, x)| x as f32);
        let large = resized(&ramp, (64, 5));
        for x in 12..52 {
            let expected = (x as f32 + 0.5) / 4.0 - 0.5;
            assert!((large[(0, 2, x)] - expected).abs() < 1e-4, "{x}: {} {expected}", large[(0, 2, x)]);
        }
        assert_eq!(resized(&ramp, (16, 5)), ramp);
    }

    #[test]
    fn fine_stripes_become_grey_when_they_shrink() {
        let stripes = Array3::from_shape_fn((1, 8, 64), |(_, _, x)| (x % 2) as f32);
        assert!(resized(&stripes, (16, 2)).iter().all(|v| (v - 0.5).abs() < 0.06));
    }
}
