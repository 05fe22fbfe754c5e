//! Image pyramid of a frame: luma at several sizes, chroma and alpha at reduced size.
//!
//! Input: the frame as planar RGB, with or without alpha. Output: its luma at 1/step of the size (0..=255) and its halvings
//! for the search, chroma and alpha for the confidence. Planes are padded, so that patches and samples may reach beyond
//! the border.

use fearless_simd::{dispatch, f32x8, i32x8, prelude::*, u32x8};

use crate::frame::image::{Image, Sample};
use crate::frame::lanes::{LANES, columns, level, store};

/// Pixels of padding on each side of a plane; they repeat the border.
pub const PAD: usize = 12;

/// Rounds down values >= -[`PAD`]; [`f32::floor`] is a function call on processors without SSE 4.1.
#[inline(always)]
pub fn floor(v: f32) -> i32 {
    (v + PAD as f32) as i32 - PAD as i32
}

/// A plane of values with padding that repeats its border.
#[derive(Debug, Clone, Default)]
pub struct Plane {
    width: usize,
    height: usize,
    data: Vec<f32>,
}

impl Plane {
    /// Sets the size; memory is reused, values are not cleared.
    pub fn resize(&mut self, width: usize, height: usize) {
        (self.width, self.height) = (width, height);
        self.data.resize((width + 2 * PAD) * (height + 2 * PAD), 0.0);
    }

    /// Pixels in a row, without the padding.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows, without the padding.
    pub fn height(&self) -> usize {
        self.height
    }

    fn stride(&self) -> usize {
        self.width + 2 * PAD
    }

    /// `N` pixels from column `x` of row `y` on; both may lie up to [`PAD`] outside the plane.
    #[inline(always)]
    pub fn run<const N: usize>(&self, x: isize, y: isize) -> &[f32; N] {
        let start = (y + PAD as isize) as usize * self.stride() + (x + PAD as isize) as usize;
        let run: Option<&[f32; N]> = self.data[start..].first_chunk();
        run.unwrap_or(&[0.0; N])
    }

    /// Prepares sampling at eight positions, clamped to the padding.
    #[inline(always)]
    pub fn positions<S: Simd>(&self, simd: S, x: f32x8<S>, y: f32x8<S>) -> Positions<S> {
        let low = f32x8::splat(simd, 2.0);
        let high = |side: usize| (side + 2 * PAD - 3) as f32;
        // Counted from the padding's first pixel.
        let (x, y) =
            ((x + PAD as f32).max(low).min(high(self.width)), (y + PAD as f32).max(low).min(high(self.height)));
        let (left, top) = (x.to_int::<i32x8<S>>(), y.to_int::<i32x8<S>>());
        let first = (top * self.stride() as i32 + left).bitcast::<u32x8<S>>().to_array();
        Positions { first, across: x - left.to_float::<f32x8<S>>(), down: y - top.to_float::<f32x8<S>>() }
    }

    /// Samples eight positions bilinearly.
    #[inline(always)]
    pub fn sample<S: Simd>(&self, simd: S, positions: &Positions<S>) -> f32x8<S> {
        let [a, b, c, d, e, f, g, h] = positions.first;
        let (a, b, c, d) = (self.quad(a), self.quad(b), self.quad(c), self.quad(d));
        let (e, f, g, h) = (self.quad(e), self.quad(f), self.quad(g), self.quad(h));
        let corner = |i: usize| f32x8::load_array(simd, [a[i], b[i], c[i], d[i], e[i], f[i], g[i], h[i]]);
        let (left, right, below, below_right) = (corner(0), corner(1), corner(2), corner(3));
        let above = (right - left).mul_add(positions.across, left);
        let below = (below_right - below).mul_add(positions.across, below);
        (below - above).mul_add(positions.down, above)
    }

    /// A pixel, the one to the right, and the two below.
    #[inline(always)]
    fn quad(&self, first: u32) -> [f32; 4] {
        let first = first as usize;
        match (self.data.get(first..first + 2), self.data.get(first + self.stride()..first + self.stride() + 2)) {
            (Some(&[a, b]), Some(&[c, d])) => [a, b, c, d],
            _ => [0.0; 4],
        }
    }

    /// Row `y` without the padding.
    #[inline]
    pub fn row(&self, y: usize) -> &[f32] {
        let start = (y + PAD) * self.stride() + PAD;
        &self.data[start..start + self.width]
    }

    fn row_mut(&mut self, y: usize) -> &mut [f32] {
        let start = (y + PAD) * self.stride() + PAD;
        &mut self.data[start..start + self.width]
    }

    /// Resizes `other` bilinearly.
    fn take_resized(&mut self, other: &Plane, (width, height): (usize, usize)) {
        self.resize(width, height);
        let (across, down) = (other.width as f32 / width as f32, other.height as f32 / height as f32);
        dispatch!(level(), simd => {
            for y in 0..height {
                let from = f32x8::splat(simd, (y as f32 + 0.5) * down - 0.5);
                for x in (0..width).step_by(LANES) {
                    let columns = (columns(simd, x) + 0.5) * across - 0.5;
                    let positions = other.positions(simd, columns, from);
                    store(other.sample(simd, &positions), self.row_mut(y), x);
                }
            }
        });
        self.pad();
    }

    /// Fills the padding.
    fn pad(&mut self) {
        let (stride, width) = (self.stride(), self.width);
        for row in self.data.chunks_exact_mut(stride).skip(PAD).take(self.height) {
            let (first, last) = (row[PAD], row[PAD + width - 1]);
            row[..PAD].fill(first);
            row[PAD + width..].fill(last);
        }
        let (top, bottom) = (PAD * stride, (PAD + self.height - 1) * stride);
        for y in 0..PAD {
            self.data.copy_within(top..top + stride, y * stride);
            self.data.copy_within(bottom..bottom + stride, (PAD + self.height + y) * stride);
        }
    }

    /// The luma (ITU-R BT.601) of `image`, each pixel the mean of `step` x `step` of it. Rows and columns that do not
    /// fill a step are ignored. An image with alpha is composited over mid-grey. `sums` is scratch.
    pub fn take<S: Sample>(&mut self, image: &Image<S>, step: usize, sums: &mut Vec<f32>) {
        dispatch!(level(), _simd => self.shrink(image, [0.299, 0.587, 0.114], (step, 1), sums));
    }

    /// The weighted sum of the channels of `image`, each pixel the mean over `step` columns and every `every`th of `step`
    /// rows.
    #[inline(always)]
    fn shrink<S: Sample>(
        &mut self,
        image: &Image<S>,
        weights: [f32; 3],
        (step, every): (usize, usize),
        sums: &mut Vec<f32>,
    ) {
        let shape = image.shape();
        self.resize((shape.width / step).max(1), (shape.height / step).max(1));
        let white = f32::from(shape.white);
        let scale = 255.0 / (white * (step * step.div_ceil(every)) as f32);
        let grey = 0.5 * white * weights.iter().sum::<f32>();
        sums.resize(shape.width, 0.0);
        for y in 0..self.height {
            sums.fill(0.0);
            for inner in (0..step.min(shape.height)).step_by(every) {
                let row = y * step + inner;
                let colors = image.row(0, row).iter().zip(image.row(1, row)).zip(image.row(2, row));
                let value = |((r, g), b): ((&S, &S), &S)| {
                    weights[0] * r.to_f32() + weights[1] * g.to_f32() + weights[2] * b.to_f32()
                };
                match image.alpha_row(row) {
                    None => sums.iter_mut().zip(colors).for_each(|(sum, color)| *sum += value(color)),
                    Some(alpha) => {
                        for (sum, (color, alpha)) in sums.iter_mut().zip(colors.zip(alpha)) {
                            *sum += (value(color) - grey) * (alpha.to_f32() * (1.0 / white)) + grey;
                        }
                    }
                }
            }
            reduce(self.row_mut(y), sums, step, scale);
        }
        self.pad();
    }

    /// The alpha of `image`, 0..=1, each pixel the mean of `step` x `step` of it; false and one row of ones if it has none.
    #[inline(always)]
    fn take_alpha<S: Sample>(&mut self, image: &Image<S>, step: usize, sums: &mut Vec<f32>) -> bool {
        let shape = image.shape();
        let (width, height) = ((shape.width / step).max(1), (shape.height / step).max(1));
        if image.alpha_row(0).is_none() {
            self.fill(width, 1.0);
            return false;
        }
        self.resize(width, height);
        let scale = 1.0 / (f32::from(shape.white) * (step * step) as f32);
        sums.resize(shape.width, 0.0);
        for y in 0..height {
            sums.fill(0.0);
            for alpha in (0..step.min(shape.height)).filter_map(|inner| image.alpha_row(y * step + inner)) {
                sums.iter_mut().zip(alpha).for_each(|(sum, alpha)| *sum += alpha.to_f32());
            }
            reduce(self.row_mut(y), sums, step, scale);
        }
        self.pad();
        true
    }

    /// Becomes one row of one value.
    fn fill(&mut self, width: usize, value: f32) {
        self.resize(width, 1);
        self.data.fill(value);
    }

    /// Halves `larger`: each pixel is the mean of 2 x 2.
    fn take_half(&mut self, larger: &Plane) {
        self.resize(larger.width / 2, larger.height / 2);
        for y in 0..self.height {
            let (a, b) = (larger.row(2 * y), larger.row(2 * y + 1));
            for ((pixel, a), b) in self.row_mut(y).iter_mut().zip(a.chunks_exact(2)).zip(b.chunks_exact(2)) {
                *pixel = 0.25 * (a[0] + a[1] + b[0] + b[1]);
            }
        }
        self.pad();
    }
}

/// The sum of every `step` of `sums`, scaled.
#[inline(always)]
fn reduce(row: &mut [f32], sums: &[f32], step: usize, scale: f32) {
    match step {
        2 => means::<2>(row, sums, scale),
        3 => means::<3>(row, sums, scale),
        4 => means::<4>(row, sums, scale),
        _ => row.iter_mut().zip(sums.chunks(step)).for_each(|(p, s)| *p = s.iter().sum::<f32>() * scale),
    }
}

/// Sums of `N` values, scaled.
#[inline(always)]
fn means<const N: usize>(row: &mut [f32], sums: &[f32], scale: f32) {
    for (pixel, sums) in row.iter_mut().zip(sums.as_chunks::<N>().0) {
        let mut sum = sums[0];
        for value in &sums[1..] {
            sum += value;
        }
        *pixel = sum * scale;
    }
}

/// Eight positions between the pixels of planes of one size.
#[derive(Debug, Clone, Copy)]
pub struct Positions<S: Simd> {
    first: [u32; LANES],
    across: f32x8<S>,
    down: f32x8<S>,
}

/// A frame at several sizes, the largest first.
#[derive(Debug, Clone, Default)]
pub struct Pyramid {
    levels: Vec<Plane>,
    chroma: [Plane; 2],
    /// Alpha of the largest level; a single row of ones without an alpha plane.
    alpha: Plane,
    has_alpha: bool,
    visible: f32,
    sums: Vec<f32>,
}

/// Pixels of the largest level along a side of a chroma pixel.
pub const CHROMA_STEP: usize = 2;

/// Least shorter side of a level, in pixels.
const SMALLEST: usize = 14;

impl Pyramid {
    /// Builds the pyramid of a frame: luma at 1/`step` of its size, halved down to a shorter side of 14 pixels.
    pub fn take<S: Sample>(&mut self, image: &Image<S>, step: usize) {
        let shape = image.shape();
        self.make_room(shape.width.min(shape.height) / step);
        self.levels[0].take(image, step, &mut self.sums);
        for (plane, weights) in self.chroma.iter_mut().zip([[1.0, -1.0, 0.0], [0.0, -1.0, 1.0]]) {
            // Chroma needs only every second row.
            dispatch!(level(), _simd => plane.shrink(image, weights, (CHROMA_STEP * step, 2), &mut self.sums));
        }
        self.has_alpha = dispatch!(level(), _simd => self.alpha.take_alpha(image, step, &mut self.sums));
        self.finish();
    }

    /// Rebuilds `other`, of the same frame at another size, as of the frame at `size`.
    pub fn take_resized(&mut self, other: &Pyramid, size: (usize, usize), step: usize) {
        let at = |step: usize| ((size.0 / step).max(1), (size.1 / step).max(1));
        self.make_room(size.0.min(size.1) / step);
        let Some(largest) = other.levels.first() else { return };
        self.levels[0].take_resized(largest, at(step));
        for (plane, other) in self.chroma.iter_mut().zip(&other.chroma) {
            plane.take_resized(other, at(CHROMA_STEP * step));
        }
        self.has_alpha = other.has_alpha;
        match other.has_alpha {
            true => self.alpha.take_resized(&other.alpha, at(step)),
            false => self.alpha.fill(at(step).0, 1.0),
        }
        self.finish();
    }

    fn make_room(&mut self, shorter: usize) {
        let count = (0..).take_while(|level| *level == 0 || shorter >> level >= SMALLEST).count();
        self.levels.resize_with(count, Plane::default);
    }

    /// Sums the alpha and builds the smaller levels.
    fn finish(&mut self) {
        let Plane { width, height, .. } = self.levels[0];
        self.visible = match self.has_alpha {
            true => (0..height).map(|y| self.alpha.row(y).iter().sum::<f32>()).sum(),
            false => (width * height) as f32,
        };
        for level in 1..self.levels.len() {
            let (larger, smaller) = self.levels.split_at_mut(level);
            smaller[0].take_half(&larger[level - 1]);
        }
    }

    /// Red minus green and blue minus green, -255..=255, at 1/[`CHROMA_STEP`] of the largest level's size.
    pub fn chroma(&self) -> &[Plane; 2] {
        &self.chroma
    }

    /// Alpha of row `y` of the largest level, 0..=1; ones without an alpha plane.
    #[inline(always)]
    pub fn alpha_row(&self, y: usize) -> &[f32] {
        self.alpha.row(if self.has_alpha { y } else { 0 })
    }

    /// Sum of the alpha of the largest level: the visible area in pixels.
    pub fn visible(&self) -> f32 {
        self.visible
    }

    /// The levels, largest first; empty before the first frame.
    pub fn levels(&self) -> &[Plane] {
        &self.levels
    }
}
