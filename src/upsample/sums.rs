//! Linear regression of the stylized frame on the luma of its input frame, in a neighbourhood of every pixel.
//!
//! Input: both at the small size. Output: slope and residual at every pixel of a row, from sums over 5 x 5 pixels. Sums are
//! made anew for every row, so that a row is the same whoever fits the rows before it.

use std::ops::Range;

use fearless_simd::{f32x8, prelude::*};

use crate::frame::image::{Image, Sample, Shape};
use crate::frame::lanes::{LANES, eight, load, pixels_of};

/// Radius of a neighbourhood in pixels: 5 x 5.
const RADIUS: usize = 2;
/// Regularisation: variance of the luma (0..=1) below which a neighbourhood has no edges; epsilon of the guided filter.
const EPSILON: f32 = 4e-4;
/// Largest slope, in absolute value: a weak edge of the input frame must not become a strong one.
const MAX_SLOPE: f32 = 1.5;

/// Slope and residual at a pixel of the small frame: stylized = slope * luma + residual. Four values each: red, green,
/// blue, unused.
pub type Line = [f32; 8];

/// Planes of a row: red, green, blue and luma, then the products of each with the luma.
const PLANES: usize = 8;
const LIGHT: usize = 3;
const PRODUCTS: usize = 4;

/// Columns that are fitted together: what their rows need stays in the fastest cache.
pub const TILE: usize = 128;

/// Fits rows one after the other, a tile of columns at a time; holds what neighbouring rows share.
#[derive(Debug, Default)]
pub struct Fit {
    /// The columns, and how many the frame has.
    columns: Range<usize>,
    width: usize,
    /// The last rows that were read, each at its number modulo their count, and which they are.
    rows: [Row; 2 * RADIUS + 1],
    numbers: [Option<usize>; 2 * RADIUS + 1],
    sum: Row,
    /// 1 over the columns of the neighbourhood of each pixel.
    shares: Vec<f32>,
}

/// A row of numbers in [`PLANES`] planes, each with zeros before and after it.
#[derive(Debug, Default, Clone)]
struct Row {
    values: Vec<f32>,
    stride: usize,
}

impl Row {
    /// Makes room for `width` pixels; their neighbours outside stay 0.
    fn resize(&mut self, width: usize) {
        self.stride = width.next_multiple_of(LANES) + 2 * LANES;
        self.values.clear();
        self.values.resize(PLANES * self.stride, 0.0);
    }

    /// A plane; its first pixel is the value at `LANES`.
    #[inline(always)]
    fn plane(&self, plane: usize) -> &[f32] {
        &self.values[plane * self.stride..(plane + 1) * self.stride]
    }

    /// Eight values of a plane, from pixel `x` on.
    #[inline(always)]
    fn own<V: Simd>(&self, simd: V, plane: usize, x: usize) -> f32x8<V> {
        load(simd, self.plane(plane), LANES + x)
    }

    /// Eight sums over the pixels `x - RADIUS..=x + RADIUS` of a plane, from pixel `x` on.
    #[inline(always)]
    fn around<V: Simd>(&self, simd: V, plane: usize, x: usize) -> f32x8<V> {
        let plane = &self.plane(plane)[LANES + x - RADIUS..];
        let sum = load(simd, plane, 0) + load(simd, plane, 1);
        sum + load(simd, plane, 2) + (load(simd, plane, 3) + load(simd, plane, 4))
    }
}

impl Fit {
    /// Makes ready for `columns` of frames of `width`.
    pub fn start(&mut self, columns: Range<usize>, width: usize) {
        let count = columns.len();
        self.rows.iter_mut().chain([&mut self.sum]).for_each(|row| row.resize(count));
        self.numbers = Default::default();
        let neighbours = |x: usize| (x + RADIUS).min(width - 1) - x.saturating_sub(RADIUS) + 1;
        self.shares.clear();
        self.shares.extend(columns.clone().map(|x| 1.0 / neighbours(x) as f32));
        self.shares.resize(count.next_multiple_of(LANES), 1.0);
        (self.columns, self.width) = (columns, width);
    }

    /// Fits a line at every pixel of row `y` in the columns. At the border the neighbourhood is smaller.
    #[inline(always)]
    pub fn row<V: Simd, S: Sample, L: Sample>(
        &mut self,
        simd: V,
        stylized: &Image<S>,
        light: &Image<L>,
        y: usize,
        lines: &mut [Line],
    ) {
        let Shape { height, .. } = stylized.shape();
        let rows = y.saturating_sub(RADIUS)..(y + RADIUS).min(height - 1) + 1;
        for y in rows.clone() {
            let slot = y % self.rows.len();
            if self.numbers[slot] != Some(y) {
                read(&mut self.rows[slot], &self.columns, stylized, light, y);
                self.numbers[slot] = Some(y);
            }
        }
        let count = rows.len();
        self.add_up(rows);
        let middle = &self.rows[y % self.rows.len()];
        for (x, lines) in (0..).step_by(LANES).zip(lines.chunks_mut(LANES)) {
            let share = load(simd, &self.shares, x) * (1.0 / count as f32);
            let (mean, light) = (self.sum.around(simd, LIGHT, x) * share, middle.own(simd, LIGHT, x));
            let variance = (self.sum.around(simd, PRODUCTS + LIGHT, x) * share - mean * mean).max(0.0) + EPSILON;
            let part = eight(simd, &[1.0; LANES]) / variance;
            let red = self.slope(simd, 0, x, share, mean, part);
            let green = self.slope(simd, 1, x, share, mean, part);
            let blue = self.slope(simd, 2, x, share, mean, part);
            let none = f32x8::splat(simd, 0.0);
            let rests = [
                middle.own(simd, 0, x) - red * light,
                middle.own(simd, 1, x) - green * light,
                middle.own(simd, 2, x) - blue * light,
                none,
            ];
            let (slopes, rests) = (pixels_of(simd, [red, green, blue, none]), pixels_of(simd, rests));
            for ((line, slope), rest) in lines.iter_mut().zip(&slopes).zip(&rests) {
                line[..4].copy_from_slice(slope);
                line[4..].copy_from_slice(rest);
            }
        }
    }

    /// Slopes of a color at eight pixels. `mean`: of the luma; `part`: 1 over its variance.
    #[inline(always)]
    fn slope<V: Simd>(
        &self,
        simd: V,
        color: usize,
        x: usize,
        share: f32x8<V>,
        mean: f32x8<V>,
        part: f32x8<V>,
    ) -> f32x8<V> {
        let (product, sum) = (self.sum.around(simd, PRODUCTS + color, x), self.sum.around(simd, color, x));
        ((product - sum * mean) * share * part).max(-MAX_SLOPE).min(MAX_SLOPE)
    }

    /// Adds up rows that were read.
    #[inline(always)]
    fn add_up(&mut self, rows: Range<usize>) {
        let mut rows = rows.map(|y| &self.rows[y % (2 * RADIUS + 1)].values[..]);
        if let Some(first) = rows.next() {
            self.sum.values.copy_from_slice(first);
        }
        for row in rows {
            self.sum.values.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
        }
    }
}

/// Reads a row of both frames, in 0..=1: the columns and, where there are any, [`LANES`] before and after them.
#[inline(always)]
fn read<S: Sample, L: Sample>(row: &mut Row, columns: &Range<usize>, stylized: &Image<S>, light: &Image<L>, y: usize) {
    let scale = 1.0 / f32::from(stylized.shape().white);
    let bright = 1.0 / f32::from(light.shape().white);
    let (first, end) = (columns.start.saturating_sub(LANES), (columns.end + LANES).min(stylized.shape().width));
    let at = LANES + first - columns.start;
    let stride = row.stride;
    let (planes, products) = row.values.split_at_mut(PRODUCTS * stride);
    for (plane, values) in planes.chunks_exact_mut(stride).zip([0, 1, 2]) {
        let values = &stylized.row(values, y)[first..end];
        plane[at..].iter_mut().zip(values).for_each(|(to, value)| *to = value.to_f32() * scale);
    }
    let luma = &mut planes[LIGHT * stride..];
    luma[at..].iter_mut().zip(&light.row(0, y)[first..end]).for_each(|(to, value)| *to = value.to_f32() * bright);
    let luma = &planes[LIGHT * stride..];
    for (product, plane) in products.chunks_exact_mut(stride).zip(planes.chunks_exact(stride)) {
        product.iter_mut().zip(plane).zip(luma).for_each(|((to, value), light)| *to = value * light);
    }
}

#[cfg(test)]
mod tests {
    use fearless_simd::dispatch;

    use super::*;
    use crate::frame::lanes::level;

    /// Slope and residual of one colour at a pixel, as the definition says.
    fn fitted(color: &[u8], light: &[u16], (width, height): (usize, usize), (x, y): (usize, usize)) -> (f64, f64) {
        let around = |v: usize, limit: usize| v.saturating_sub(RADIUS)..(v + RADIUS + 1).min(limit);
        let pixels: Vec<_> = around(y, height).flat_map(|y| around(x, width).map(move |x| y * width + x)).collect();
        let value = |i: usize| (f64::from(light[i]) / 65535.0, f64::from(color[i]) / 255.0);
        let mean = |of: &dyn Fn(usize) -> f64| pixels.iter().map(|i| of(*i)).sum::<f64>() / pixels.len() as f64;
        let (l, c) = (mean(&|i| value(i).0), mean(&|i| value(i).1));
        let variance = mean(&|i| value(i).0.powi(2)) - l * l;
        let covariance = mean(&|i| value(i).0 * value(i).1) - l * c;
        let slope = (covariance / (variance + f64::from(EPSILON))).clamp(-1.5, 1.5);
        let (own_light, own_color) = value(y * width + x);
        (slope, own_color - slope * own_light)
    }

    #[test]
    fn every_row_is_the_least_squares_line_whoever_fits_it() {
        for (width, height) in [(1, 1), (3, 7), (8, 4), (29, 9)] {
            let noise = |i: usize, seed: usize| (i * 7919 + seed * 104_729) % 251;
            let planes: Vec<Vec<u8>> =
                (0..3).map(|c| (0..width * height).map(|i| noise(i, c) as u8).collect()).collect();
            let light: Vec<u16> = (0..width * height).map(|i| (noise(i, 5) * 200) as u16).collect();
            let shape = |white: u16| Shape { width, height, white };
            let stylized = Image::new([&planes[0][..], &planes[1], &planes[2]], [width; 3], shape(255)).unwrap();
            let guide = Image::new([&light[..]; 3], [width; 3], shape(u16::MAX)).unwrap();
            let mut lines = vec![Line::default(); width * height];
            // By tiles, and the lower half by another one, as another thread would.
            for columns in (0..width).step_by(13).map(|x| x..(x + 13).min(width)) {
                let (mut first, mut second) = (Fit::default(), Fit::default());
                first.start(columns.clone(), width);
                second.start(columns.clone(), width);
                for (y, lines) in lines.chunks_exact_mut(width).enumerate() {
                    let fit = if 2 * y < height { &mut first } else { &mut second };
                    let lines = &mut lines[columns.clone()];
                    dispatch!(level(), simd => fit.row(simd, &stylized, &guide, y, lines));
                }
            }
            for (i, line) in lines.iter().enumerate() {
                for (c, plane) in planes.iter().enumerate() {
                    let (slope, rest) = fitted(plane, &light, (width, height), (i % width, i / width));
                    let near = |a: f32, b: f64| (f64::from(a) - b).abs() < 1e-4;
                    assert!(near(line[c], slope) && near(line[4 + c], rest), "{width}x{height}, {i}, {c}: {line:?}");
                }
            }
        }
    }
}
