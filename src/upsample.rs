//! A painting made at a smaller size, brought to the size of the frame with the frame's own edges.
//!
//! Comes in: the painting, the lightness of the frame at both sizes. Goes out: the painting at full size. In every
//! neighbourhood the painting is explained by the frame's lightness (fast guided filter, He and Sun 2015); the slope is
//! applied to the lightness at full size, and what the lightness does not explain, the strokes, is interpolated as
//! it is (residual interpolation, Kiku et al. 2013). So at the painting's own pixels nothing changes.

use anyhow::Result;
use wide::f32x4;

use crate::geometry::{Between, between};
use crate::image::{Image, ImageMut, Sample, Shape};

/// Red, green, blue, spare.
type Pixel = f32x4;

/// Pixels on each side that make a neighbourhood: 5 x 5.
const RADIUS: usize = 2;
/// Variance of the lightness (0..=1) below which there are no edges to follow.
const FLAT: f32 = 4e-4;
/// The painting's contrast over the frame's is at most this: a faint edge must not become a strong one.
const STEEPEST: f32 = 1.5;

/// Slope and remainder at a pixel of the small painting: painting = slope * lightness + remainder.
#[derive(Debug, Clone, Copy, Default)]
struct Line {
    slope: Pixel,
    rest: Pixel,
}

/// Sums over a neighbourhood.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    painting: Pixel,
    product: Pixel,
    /// Lightness, its square, and nothing.
    light: Pixel,
}

/// The lightness of a frame at a smaller size: the mean of its first plane over each pixel, 0..=65535.
#[derive(Debug, Default)]
pub struct Light {
    size: (usize, usize),
    pixels: Vec<u16>,
    sums: Vec<f32>,
}

impl Light {
    /// Takes the lightness of `frame` at `size`.
    pub fn take<L: Sample>(&mut self, frame: &Image<L>, size: (usize, usize)) {
        let large = frame.shape();
        // Whole pixels: a cell begins where the one before ends.
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
                self.sums.iter_mut().zip(frame.row(0, row)).for_each(|(sum, v)| *sum += v.to_f32());
            }
            for (x, target) in target.iter_mut().enumerate() {
                let columns = cell(x, size.0, large.width);
                let scale = 65535.0 / ((columns.len() * rows.len()) as f32 * f32::from(large.white));
                *target = Sample::from_f32(self.sums[columns].iter().sum::<f32>() * scale);
            }
        }
    }

    /// As an image, the same in every plane.
    ///
    /// # Errors
    /// Nothing was taken yet.
    pub fn image(&self) -> Result<Image<'_, u16>> {
        let shape = Shape { width: self.size.0, height: self.size.1, white: u16::MAX };
        Image::new([&self.pixels; 3], [self.size.0; 3], shape)
    }
}

/// The upsampler: tables and scratch of one pair of sizes.
#[derive(Debug, Default)]
pub struct Guided {
    columns: Vec<Between>,
    rows: Vec<Between>,
    cells: Vec<Sums>,
    across: Vec<Sums>,
    down: Vec<Sums>,
    lines: Vec<Line>,
    /// A row between two rows of lines, for each band of rows that is worked on beside the others.
    scratch: Vec<Vec<Line>>,
}

impl Guided {
    /// Tables for going from `small` to `large`.
    pub fn new(small: (usize, usize), large: (usize, usize)) -> Self {
        let table = |small: usize, large: usize| between(large, 0, large, small);
        Self { columns: table(small.0, large.0), rows: table(small.1, large.1), ..Default::default() }
    }

    /// Fills `large` from `painting`. `light` is the frame's lightness at the painting's size, `guide` at that of
    /// `large`: the first plane of each.
    pub fn run<S: Sample, K: Sample, L: Sample>(
        &mut self,
        painting: &Image<S>,
        light: &Image<K>,
        guide: &Image<L>,
        large: &mut ImageMut<S>,
    ) {
        self.fit(painting, light);
        let (width, height) = (painting.shape().width, large.shape().height);
        let bands = rayon::current_num_threads().clamp(1, 8);
        self.scratch.resize_with(bands, Vec::new);
        self.scratch.iter_mut().for_each(|row| row.resize(width, Line::default()));
        let grow = Grow { lines: &self.lines, columns: &self.columns, rows: &self.rows, guide };
        grow.fill(0, height.div_ceil(bands), large, &mut self.scratch);
    }

    /// The lines at the painting's own pixels: sums along each row, and of those down each column, by what enters the
    /// neighbourhood and what leaves it. At the border it is smaller.
    fn fit<S: Sample, L: Sample>(&mut self, painting: &Image<S>, light: &Image<L>) {
        let Shape { width, height, .. } = painting.shape();
        self.cells.resize(width, Sums::default());
        self.across.resize((2 * RADIUS + 1) * width, Sums::default());
        self.down.clear();
        self.down.resize(width, Sums::default());
        self.lines.resize(width * height, Line::default());
        let slot = |y: usize| y % (2 * RADIUS + 1) * width..(y % (2 * RADIUS + 1) + 1) * width;
        for y in 0..height + RADIUS {
            if y > 2 * RADIUS {
                let leaving = &self.across[slot(y)];
                self.down.iter_mut().zip(leaving).for_each(|(sum, row)| sum.take(row));
            }
            if y < height {
                read_row(&mut self.cells, painting, light, y);
                sum_along(&self.cells, &mut self.across[slot(y)]);
                self.down.iter_mut().zip(&self.across[slot(y)]).for_each(|(sum, row)| sum.add(row));
            }
            if let Some(middle) = y.checked_sub(RADIUS) {
                read_row(&mut self.cells, painting, light, middle);
                let rows = (middle + RADIUS).min(height - 1) - middle.saturating_sub(RADIUS) + 1;
                let lines = &mut self.lines[middle * width..(middle + 1) * width];
                for (x, ((line, sum), cell)) in lines.iter_mut().zip(&self.down).zip(&self.cells).enumerate() {
                    let columns = (x + RADIUS).min(width - 1) - x.saturating_sub(RADIUS) + 1;
                    *line = sum.line(1.0 / (rows * columns) as f32, cell);
                }
            }
        }
    }
}

/// What all rows of the large painting need.
struct Grow<'a, L> {
    lines: &'a [Line],
    columns: &'a [Between],
    rows: &'a [Between],
    guide: &'a Image<'a, L>,
}

impl<L: Sample> Grow<'_, L> {
    /// Fills `large`, which begins at row `first`, in bands of `band` rows beside each other.
    fn fill<S: Sample>(&self, first: usize, band: usize, large: &mut ImageMut<S>, scratch: &mut [Vec<Line>]) {
        let bands = large.shape().height.div_ceil(band).min(scratch.len());
        let upper = bands / 2;
        if upper > 0
            && let Ok((mut above, mut below)) = large.split_at(upper * band)
        {
            let (left, right) = scratch.split_at_mut(upper);
            let second = first + upper * band;
            rayon::join(|| self.fill(first, band, &mut above, left), || self.fill(second, band, &mut below, right));
        } else if let Some(row) = scratch.first_mut() {
            let Shape { height, white, .. } = large.shape();
            (0..height).for_each(|y| self.fill_row(first + y, row, large.rows_mut(y), white.into()));
        }
    }

    fn fill_row<S: Sample>(&self, y: usize, row: &mut [Line], [red, green, blue]: [&mut [S]; 3], white: f32) {
        let width = row.len();
        let Between { low, high, share } = self.rows[y];
        let bright = 1.0 / f32::from(self.guide.shape().white);
        let lines = |row: u32| &self.lines[row as usize * width..][..width];
        for ((line, a), b) in row.iter_mut().zip(lines(low)).zip(lines(high)) {
            line.slope = (a.slope + (b.slope - a.slope) * share) * (bright * white);
            line.rest = (a.rest + (b.rest - a.rest) * share) * white;
        }
        let most = Pixel::splat(white);
        let pixels = red.iter_mut().zip(green).zip(blue).zip(self.guide.row(0, y)).zip(self.columns);
        for ((((r, g), b), guide), between) in pixels {
            let (a, c) = (&row[between.low as usize], &row[between.high as usize]);
            let slope = a.slope + (c.slope - a.slope) * between.share;
            let rest = a.rest + (c.rest - a.rest) * between.share;
            let color = (slope * guide.to_f32() + rest).fast_max(Pixel::ZERO).fast_min(most);
            let [red, green, blue, _] = color.to_array();
            (*r, *g, *b) = (S::from_f32(red), S::from_f32(green), S::from_f32(blue));
        }
    }
}

/// A row as sums of one pixel each.
fn read_row<S: Sample, L: Sample>(cells: &mut [Sums], painting: &Image<S>, light: &Image<L>, y: usize) {
    let scale = 1.0 / f32::from(painting.shape().white);
    let bright = 1.0 / f32::from(light.shape().white);
    let [red, green, blue] = [0, 1, 2].map(|channel| painting.row(channel, y));
    for ((((cell, r), g), b), l) in cells.iter_mut().zip(red).zip(green).zip(blue).zip(light.row(0, y)) {
        let (p, l) = (Pixel::new([r.to_f32(), g.to_f32(), b.to_f32(), 0.0]) * scale, l.to_f32() * bright);
        *cell = Sums { painting: p, product: p * l, light: Pixel::new([l, l * l, 0.0, 0.0]) };
    }
}

fn sum_along(cells: &[Sums], sums: &mut [Sums]) {
    let mut sum = Sums::default();
    cells.iter().take(RADIUS).for_each(|cell| sum.add(cell));
    for (x, target) in sums.iter_mut().enumerate() {
        cells.get(x + RADIUS).into_iter().for_each(|cell| sum.add(cell));
        *target = sum;
        x.checked_sub(RADIUS).and_then(|x| cells.get(x)).into_iter().for_each(|cell| sum.take(cell));
    }
}

impl Sums {
    /// Least squares over `1 / share` pixels; exact at the pixel in the middle.
    #[inline(always)]
    fn line(&self, share: f32, middle: &Sums) -> Line {
        let [mean, square, ..] = (self.light * share).to_array();
        let covariance = self.product * share - self.painting * (share * mean);
        let slope = covariance * (1.0 / ((square - mean * mean).max(0.0) + FLAT));
        let slope = slope.fast_max(Pixel::splat(-STEEPEST)).fast_min(Pixel::splat(STEEPEST));
        Line { slope, rest: middle.painting - slope * middle.light.as_array()[0] }
    }

    #[inline(always)]
    fn add(&mut self, other: &Sums) {
        self.painting += other.painting;
        self.product += other.product;
        self.light += other.light;
    }

    #[inline(always)]
    fn take(&mut self, other: &Sums) {
        self.painting -= other.painting;
        self.product -= other.product;
        self.light -= other.light;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: (usize, usize) = (32, 24);

    fn shape((width, height): (usize, usize)) -> Shape {
        Shape { width, height, white: 255 }
    }

    /// A frame with hard edges that do not lie on the small picture's grid.
    fn frame(size: (usize, usize), factor: usize) -> Vec<u8> {
        let lit = |x: usize, y: usize| if (x / 23 + y / 17).is_multiple_of(2) { 60 } else { 180 };
        let mean = |x: usize, y: usize| -> u8 {
            let cells = (0..factor * factor).map(|i| lit(x * factor + i % factor, y * factor + i / factor));
            (cells.sum::<usize>() / (factor * factor)) as u8
        };
        (0..size.0 * size.1).map(|i| mean(i % size.0, i / size.0)).collect()
    }

    fn run(factor: usize, painting: impl Fn(u8, usize) -> u8) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
        let large = (SMALL.0 * factor, SMALL.1 * factor);
        let (small_light, guide) = (frame(SMALL, factor), frame(large, 1));
        let small: Vec<u8> = small_light.iter().enumerate().map(|(i, v)| painting(*v, i)).collect();
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
    fn edges_of_the_frame_are_the_paintings_edges() {
        for factor in [2, 3] {
            // The painting is the negative: known at full size too.
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
    fn strokes_that_the_frame_does_not_have_stay() {
        // Stripes across everything, alternating from pixel to pixel of the small painting.
        let (shown, ..) = run(1, |v, i| v / 2 + if i % 2 == 0 { 60 } else { 0 });
        let (light, width) = (frame(SMALL, 1), SMALL.0);
        let worst =
            shown.iter().enumerate().map(|(i, v)| v.abs_diff(light[i] / 2 + if i % width % 2 == 0 { 60 } else { 0 }));
        assert!(worst.max().unwrap() <= 1, "at the same size the painting is unchanged");
    }

    #[test]
    fn a_flat_painting_stays_flat() {
        let (shown, ..) = run(3, |_, _| 77);
        assert!(shown.iter().all(|v| v.abs_diff(77) <= 1));
    }
}
