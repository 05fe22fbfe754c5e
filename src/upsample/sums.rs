//! How a stylized frame depends on the lightness of its frame: sums over every neighbourhood, and the line that fits them best.
//!
//! Comes in: rows of both. Goes out: a line for every pixel.

use fearless_simd::{f32x4, f32x8, prelude::*};

use crate::frame::image::{Image, Sample};
use crate::frame::lanes::eight;

/// Pixels on each side that make a neighbourhood: 5 x 5.
pub const RADIUS: usize = 2;
/// Variance of the lightness (0..=1) below which there are no edges to follow.
const FLAT: f32 = 4e-4;
/// The stylized frame's contrast over the frame's is at most this: a faint edge must not become a strong one.
const STEEPEST: f32 = 1.5;

/// Slope and remainder at a pixel of the small stylized frame: stylized frame = slope * lightness + remainder. Four values each: red,
/// green, blue, spare.
pub type Line = [f32; 8];

/// Sums over a neighbourhood: of the stylized frame (red, green, blue, spare) and of its products with the lightness; and of the
/// lightness and its square.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sums {
    stylized: [f32; 8],
    light: [f32; 4],
}

/// A row as sums of one pixel each.
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

/// The sums of every pixel of a row and [`RADIUS`] on both sides, as far as there are.
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
    /// Least squares over `1 / share` pixels; exact at the pixel in the middle.
    #[inline(always)]
    pub fn line<V: Simd>(&self, simd: V, share: f32, middle: &Sums) -> Line {
        let (stylized, product) = eight(simd, &self.stylized).split();
        let (mean, square) = (self.light[0] * share, self.light[1] * share);
        let covariance = product * share - stylized * (share * mean);
        let slope = covariance * (1.0 / ((square - mean * mean).max(0.0) + FLAT));
        let slope = slope.max(-STEEPEST).min(STEEPEST);
        let (middle, light) = (eight(simd, &middle.stylized).split().0, middle.light[0]);
        slope.combine(middle - slope * light).to_array()
    }
}

/// Sums at work.
#[derive(Clone, Copy)]
pub struct Running<V: Simd> {
    stylized: f32x8<V>,
    light: f32x4<V>,
}

impl<V: Simd> Running<V> {
    /// These.
    #[inline(always)]
    pub fn of(simd: V, sums: &Sums) -> Self {
        Self { stylized: eight(simd, &sums.stylized), light: f32x4::load_array_ref(simd, &sums.light) }
    }

    /// With what enters the neighbourhood.
    #[inline(always)]
    pub fn add(self, other: &Sums) -> Self {
        let other = Self::of(self.stylized.token(), other);
        Self { stylized: self.stylized + other.stylized, light: self.light + other.light }
    }

    /// Without what leaves it.
    #[inline(always)]
    pub fn take(self, other: &Sums) -> Self {
        let other = Self::of(self.stylized.token(), other);
        Self { stylized: self.stylized - other.stylized, light: self.light - other.light }
    }

    /// Into `sums`.
    #[inline(always)]
    pub fn store(self, sums: &mut Sums) {
        self.stylized.store_array(&mut sums.stylized);
        self.light.store_array(&mut sums.light);
    }
}
