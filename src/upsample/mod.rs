//! Guided upsampling: from the inference size to the frame's size, with the edges of the input frame.
//!
//! Input: the stylized frame, and the luma of the input frame at both sizes. Output: the stylized frame at full size.
//! In every 5 x 5 neighbourhood the stylized frame is fitted as a linear function of the luma (fast guided filter, He
//! and Sun 2015); the slope is applied to the luma at full size, and the residual, the brush strokes, is interpolated
//! linearly (residual interpolation, Kiku et al. 2013). At equal sizes the stylized frame is unchanged.

mod sums;

use anyhow::Result;
use fearless_simd::{dispatch, f32x4, f32x8, prelude::*};

use crate::frame::image::{Image, ImageMut, Sample, Shape};
use crate::frame::lanes::{LANES, eight, four, level, planes_of};
use crate::frame::size::{Lerp, lerp_table};
use crate::frame::threads;
use sums::{Fit, Line, TILE};

/// Luma of a frame at a smaller size: the mean of its first plane over the area of each pixel, 0..=65535.
#[derive(Debug, Default)]
pub struct Light {
    size: (usize, usize),
    pixels: Vec<u16>,
    sums: Vec<f32>,
}

impl Light {
    /// Computes the luma of `frame` at `size`; invisible pixels (alpha 0) are mid-grey.
    pub fn take<L: Sample>(&mut self, frame: &Image<L>, size: (usize, usize)) {
        let large = frame.shape();
        // Areas of whole pixels that do not overlap.
        let cell = |i: usize, small: usize, large: usize| {
            let start = i * large / small;
            start..((i + 1) * large / small).max(start + 1)
        };
        self.size = size;
        self.pixels.resize(size.0 * size.1, 0);
        self.sums.resize(large.width, 0.0);
        for (y, target) in self.pixels.chunks_exact_mut(size.0).enumerate() {
            let rows = cell(y, size.1, large.height);
            self.sums.fill(0.0);
            for row in rows.clone() {
                let values = self.sums.iter_mut().zip(frame.row(0, row));
                match frame.alpha_row(row) {
                    None => dispatch!(level(), _simd => values.for_each(|(sum, v)| *sum += v.to_f32())),
                    Some(alpha) => values.zip(alpha).for_each(|((sum, v), alpha)| {
                        *sum += if *alpha == L::default() { 0.5 * f32::from(large.white) } else { v.to_f32() };
                    }),
                }
            }
            for (x, target) in target.iter_mut().enumerate() {
                let columns = cell(x, size.0, large.width);
                let scale = 65535.0 / ((columns.len() * rows.len()) as f32 * f32::from(large.white));
                *target = Sample::from_f32(self.sums[columns].iter().sum::<f32>() * scale);
            }
        }
    }

    /// The luma as an image with three equal planes.
    ///
    /// # Errors
    /// [`Light::take`] was not called.
    pub fn image(&self) -> Result<Image<'_, u16>> {
        let shape = Shape { width: self.size.0, height: self.size.1, white: u16::MAX };
        Image::new([&self.pixels; 3], [self.size.0; 3], shape)
    }
}

/// The upsampler; holds tables and scratch of one pair of sizes.
#[derive(Debug, Default)]
pub struct Guided {
    columns: Vec<Lerp>,
    rows: Vec<Lerp>,
    lines: Vec<Line>,
    /// What fits rows of lines, one for each band of rows.
    fits: Vec<Fit>,
    /// Interpolated row of lines, one for each band of rows.
    scratch: Vec<Vec<Line>>,
}

impl Guided {
    /// An upsampler from size `small` to size `large`.
    pub fn new(small: (usize, usize), large: (usize, usize)) -> Self {
        let table = |small: usize, large: usize| lerp_table(large, 0, large, small);
        Self { columns: table(small.0, large.0), rows: table(small.1, large.1), ..Default::default() }
    }

    /// Upsamples `stylized` into `large`. `light` is the input frame's luma at the size of `stylized`, `guide` at that
    /// of `large`; only their first planes are read.
    pub fn run<S: Sample, K: Sample, L: Sample>(
        &mut self,
        stylized: &Image<S>,
        light: &Image<K>,
        guide: &Image<L>,
        large: &mut ImageMut<S>,
    ) {
        self.fit(stylized, light);
        let (width, height) = (stylized.shape().width, large.shape().height);
        let rows = threads::band(height);
        self.scratch.resize_with(height.div_ceil(rows), Vec::new);
        self.scratch.iter_mut().for_each(|row| row.resize(width, Line::default()));
        let grow = Grow { lines: &self.lines, columns: &self.columns, rows: &self.rows, guide };
        let pieces = large.bands(height, 0, rows).zip(&mut self.scratch);
        threads::share(pieces, |((first, (mut band, _)), scratch)| grow.fill(first, &mut band, scratch));
    }

    /// Fits a line at every pixel of the stylized frame.
    fn fit<S: Sample, L: Sample>(&mut self, stylized: &Image<S>, light: &Image<L>) {
        let Shape { width, height, .. } = stylized.shape();
        self.lines.resize(width * height, Line::default());
        let rows = threads::band(height);
        self.fits.resize_with(height.div_ceil(rows), Fit::default);
        let pieces = self.lines.chunks_mut(rows * width).zip(&mut self.fits).enumerate();
        threads::share(pieces, |(band, (lines, fit))| {
            for columns in (0..width).step_by(TILE).map(|x| x..(x + TILE).min(width)) {
                fit.start(columns.clone(), width);
                dispatch!(level(), simd => {
                    for (y, lines) in (band * rows..).zip(lines.chunks_exact_mut(width)) {
                        fit.row(simd, stylized, light, y, &mut lines[columns.clone()]);
                    }
                });
            }
        });
    }
}

/// Inputs of all rows of the large frame.
struct Grow<'a, L> {
    lines: &'a [Line],
    columns: &'a [Lerp],
    rows: &'a [Lerp],
    guide: &'a Image<'a, L>,
}

impl<L: Sample> Grow<'_, L> {
    /// Fills the band that starts at row `first`.
    fn fill<S: Sample>(&self, first: usize, band: &mut ImageMut<S>, scratch: &mut [Line]) {
        let Shape { height, white, .. } = band.shape();
        dispatch!(level(), simd => {
            for y in 0..height {
                self.fill_row(simd, first + y, scratch, band.rows_mut(y), white.into());
            }
        });
    }

    #[inline(always)]
    fn fill_row<V: Simd, S: Sample>(
        &self,
        simd: V,
        y: usize,
        row: &mut [Line],
        [red, green, blue]: [&mut [S]; 3],
        white: f32,
    ) {
        let width = row.len();
        let Lerp { low, high, share } = self.rows[y];
        let slope = white / f32::from(self.guide.shape().white);
        let scale = eight(simd, &[slope, slope, slope, slope, white, white, white, white]);
        let lines = |row: u32| &self.lines[row as usize * width..][..width];
        for ((line, a), b) in row.iter_mut().zip(lines(low)).zip(lines(high)) {
            let (a, b) = (eight(simd, a), eight(simd, b));
            ((b - a).mul_add(share, a) * scale).store_array(line);
        }
        let guide = self.guide.row(0, y);
        let (guides, rest) = guide.as_chunks::<LANES>();
        let (columns, last_columns) = self.columns.as_chunks::<LANES>();
        for (i, (columns, guides)) in columns.iter().zip(guides).enumerate() {
            let colors = colors(simd, row, columns, guides, white);
            for (plane, colors) in [&mut *red, &mut *green, &mut *blue].into_iter().zip(colors) {
                put(colors, &mut plane[i * LANES..(i + 1) * LANES]);
            }
        }
        if let (Some(first), Some(last)) = (last_columns.first(), rest.first()) {
            let (mut columns, mut guides) = ([*first; LANES], [*last; LANES]);
            columns[..last_columns.len()].copy_from_slice(last_columns);
            guides[..rest.len()].copy_from_slice(rest);
            let (start, colors) = (guide.len() - rest.len(), colors(simd, row, &columns, &guides, white));
            for (plane, colors) in [red, green, blue].into_iter().zip(colors) {
                put(colors, &mut plane[start..]);
            }
        }
    }
}

#[inline(always)]
fn put<V: Simd, S: Sample>(colors: f32x8<V>, plane: &mut [S]) {
    for (sample, value) in plane.iter_mut().zip(colors.as_array()) {
        *sample = S::from_f32(*value);
    }
}

/// Red, green and blue of eight pixels, from a row of lines and the luma of the pixels.
#[inline(always)]
fn colors<V: Simd, L: Sample>(
    simd: V,
    row: &[Line],
    [a, b, c, d, e, f, g, h]: &[Lerp; LANES],
    light: &[L; LANES],
    white: f32,
) -> [f32x8<V>; 3] {
    let one = four(
        color(simd, row, a, light[0].to_f32()),
        color(simd, row, b, light[1].to_f32()),
        color(simd, row, c, light[2].to_f32()),
        color(simd, row, d, light[3].to_f32()),
    );
    let other = four(
        color(simd, row, e, light[4].to_f32()),
        color(simd, row, f, light[5].to_f32()),
        color(simd, row, g, light[6].to_f32()),
        color(simd, row, h, light[7].to_f32()),
    );
    let [red, green, blue, _] = planes_of(simd, one, other);
    [red.max(0.0).min(white), green.max(0.0).min(white), blue.max(0.0).min(white)]
}

#[inline(always)]
fn color<V: Simd>(simd: V, row: &[Line], lerp: &Lerp, light: f32) -> f32x4<V> {
    let (a, b) = (eight(simd, &row[lerp.low as usize]), eight(simd, &row[lerp.high as usize]));
    let (slope, rest) = (b - a).mul_add(lerp.share, a).split();
    slope.mul_add(light, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: (usize, usize) = (32, 24);

    fn shape((width, height): (usize, usize)) -> Shape {
        Shape { width, height, white: 255 }
    }

    /// A frame with hard edges off the grid of the small frame.
    fn frame(size: (usize, usize), factor: usize) -> Vec<u8> {
        let lit = |x: usize, y: usize| if (x / 23 + y / 17).is_multiple_of(2) { 60 } else { 180 };
        let mean = |x: usize, y: usize| -> u8 {
            let cells = (0..factor * factor).map(|i| lit(x * factor + i % factor, y * factor + i / factor));
            (cells.sum::<usize>() / (factor * factor)) as u8
        };
        (0..size.0 * size.1).map(|i| mean(i % size.0, i / size.0)).collect()
    }

    fn run(factor: usize, stylized: impl Fn(u8, usize) -> u8) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
        let large = (SMALL.0 * factor, SMALL.1 * factor);
        let (small_light, guide) = (frame(SMALL, factor), frame(large, 1));
        let small: Vec<u8> = small_light.iter().enumerate().map(|(i, v)| stylized(*v, i)).collect();
        let grey = |plane: &'static [u8], size| Image::new([plane; 3], [size; 3], shape((size, plane.len() / size)));
        let leak = |v: &Vec<u8>| -> &'static [u8] { v.clone().leak() };
        let (mut r, mut g, mut b) = (guide.clone(), guide.clone(), guide.clone());
        let mut into = ImageMut::new([&mut r, &mut g, &mut b], [large.0; 3], shape(large)).unwrap();
        let [small_image, small_light, large_light] =
            [(&small, SMALL.0), (&small_light, SMALL.0), (&guide, large.0)].map(|(v, w)| grey(leak(v), w).unwrap());
        Guided::new(SMALL, large).run(&small_image, &small_light, &large_light, &mut into);
        assert!(r == g && g == b);
        (r, guide, small)
    }

    #[test]
    fn invisible_pixels_do_not_change_the_luma() {
        let light = |hidden: u8| {
            let plane = [100, hidden, 100, 100];
            let frame = Image::new([&plane[..]; 3], [4; 3], shape((4, 1))).unwrap();
            let mut light = Light::default();
            light.take(&frame.with_alpha(&[255, 0, 255, 1], 4).unwrap(), (2, 1));
            light.image().unwrap().row(0, 0).to_vec()
        };
        assert_eq!(light(0), light(255));
        assert_eq!(light(0)[1], 25_700, "100 of 255");
    }

    #[test]
    fn the_output_has_the_edges_of_the_input_frame() {
        for factor in [2, 3] {
            // The stylized frame is the negative, so that the ideal output is known.
            let (shown, guide, small) = run(factor, |v, _| 255 - v);
            let width = SMALL.0 * factor;
            let off = |i: usize, v: u8| f64::from(v.abs_diff(255 - guide[i]));
            let mine: f64 = shown.iter().enumerate().map(|(i, v)| off(i, *v)).sum();
            let nearest: f64 =
                (0..shown.len()).map(|i| off(i, small[i / width / factor * SMALL.0 + i % width / factor])).sum();
            assert!(mine < 0.25 * nearest, "1/{factor}: {mine} instead of {nearest}");
        }
    }

    #[test]
    fn at_the_same_size_the_output_is_the_stylized_frame() {
        // Stripes that the input frame does not have, one pixel wide.
        let (shown, ..) = run(1, |v, i| v / 2 + if i % 2 == 0 { 60 } else { 0 });
        let (light, width) = (frame(SMALL, 1), SMALL.0);
        let worst =
            shown.iter().enumerate().map(|(i, v)| v.abs_diff(light[i] / 2 + if i % width % 2 == 0 { 60 } else { 0 }));
        assert!(worst.max().unwrap() <= 1, "at the same size the stylized frame is unchanged");
    }

    #[test]
    fn a_flat_stylized_frame_stays_flat() {
        let (shown, ..) = run(3, |_, _| 77);
        assert!(shown.iter().all(|v| v.abs_diff(77) <= 1));
    }
}
