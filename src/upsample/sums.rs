//! Linear regression of the stylized frame on the luma of its input frame, in a neighbourhood of every pixel.
//!
//! Input: rows of both. Output: running sums over 5 x 5 pixels, and from them slope and residual at every pixel.

use fearless_simd::{f32x4, f32x8, prelude::*};

use crate::frame::image::{Image, Sample};
use crate::frame::lanes::eight;

/// Radius of a neighbourhood in pixels: 5 x 5.
pub const RADIUS: usize = 2;
/// Regularisation: variance of the luma (0..=1) below which a neighbourhood has no edges; epsilon of the guided filter.
const EPSILON: f32 = 4e-4;
/// Largest slope, in absolute value: a weak edge of the input frame must not become a strong one.
const MAX_SLOPE: f32 = 1.5;

/// Slope and residual at a pixel of the small frame: stylized = slope * luma + residual. Four values each: red, green,
/// blue, unused.
pub type Line = [f32; 8];

/// Sums over a neighbourhood: the stylized frame (red, green, blue, unused) and its products with the luma; the luma
/// and its square.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sums {
    stylized: [f32; 8],
    light: [f32; 4],
}

/// Reads a row as sums of single pixels.
#[inline(always)]
pub fn read_row<S: Sample, L: Sample>(cells: &mut [Sums], stylized: &Image<S>, light: &Image<L>, y: usize) {
    let scale = 1.0 / f32::from(stylized.shape().white);
    let bright = 1.0 / f32::from(light.shape().white);
    let (red, green, blue) = (stylized.row(0, y), stylized.row(1, y), stylized.row(2, y));
    for ((((cell, r), g), b), l) in cells.iter_mut().zip(red).zip(green).zip(blue).zip(light.row(0, y)) {
        let (r, g, b, l) = (r.to_f32() * scale, g.to_f32() * scale, b.to_f32() * scale, l.to_f32() * bright);
        *cell = Sums { stylized: [r, g, b, 0.0, r * l, g * l, b * l, 0.0], light: [l, l * l, 0.0, 0.0] };
    }
}

/// Sums every pixel of a row with up to [`RADIUS`] pixels on both sides.
#[inline(always)]
pub fn sum_along<V: Simd>(simd: V, cells: &[Sums], sums: &mut [Sums]) {
    let mut sum = Running::of(simd, &Sums::default());
    for cell in cells.iter().take(RADIUS) {
        sum = sum.add(cell);
    }
    for (x, target) in sums.iter_mut().enumerate() {
        if let Some(entering) = cells.get(x + RADIUS) {
            sum = sum.add(entering);
        }
        sum.store(target);
        if x >= RADIUS {
            sum = sum.take(&cells[x - RADIUS]);
        }
    }
}

impl Sums {
    /// Least-squares line over `1 / share` pixels, shifted to be exact at the pixel in the middle.
    #[inline(always)]
    pub fn line<V: Simd>(&self, simd: V, share: f32, middle: &Sums) -> Line {
        let (stylized, product) = eight(simd, &self.stylized).split();
        let (mean, square) = (self.light[0] * share, self.light[1] * share);
        let covariance = product * share - stylized * (share * mean);
        let slope = covariance * (1.0 / ((square - mean * mean).max(0.0) + EPSILON));
        let slope = slope.max(-MAX_SLOPE).min(MAX_SLOPE);
        let (middle, light) = (eight(simd, &middle.stylized).split().0, middle.light[0]);
        slope.combine(middle - slope * light).to_array()
    }
}

/// Running sums in registers.
#[derive(Clone, Copy)]
pub struct Running<V: Simd> {
    stylized: f32x8<V>,
    light: f32x4<V>,
}

impl<V: Simd> Running<V> {
    /// Loads sums.
    #[inline(always)]
    pub fn of(simd: V, sums: &Sums) -> Self {
        Self { stylized: eight(simd, &sums.stylized), light: f32x4::load_array_ref(simd, &sums.light) }
    }

    /// Adds a pixel that enters the neighbourhood.
    #[inline(always)]
    pub fn add(self, other: &Sums) -> Self {
        let other = Self::of(self.stylized.token(), other);
        Self { stylized: self.stylized + other.stylized, light: self.light + other.light }
    }

    /// Subtracts a pixel that leaves the neighbourhood.
    #[inline(always)]
    pub fn take(self, other: &Sums) -> Self {
        let other = Self::of(self.stylized.token(), other);
        Self { stylized: self.stylized - other.stylized, light: self.light - other.light }
    }

    /// Stores the sums.
    #[inline(always)]
    pub fn store(self, sums: &mut Sums) {
        self.stylized.store_array(&mut sums.stylized);
        self.light.store_array(&mut sums.light);
    }
}
