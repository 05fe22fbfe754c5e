//! Where the pixels of a row come from: the motion between its cells, four pixels at a time.
//!
//! Comes in: the motion. Goes out: for every pixel the place in the history, the trust in it, and how much looking it up
//! there will blur.

use wide::i32x4;

use super::confidence::Field;
use super::taps::{BORDER, PHASES, Place, sample};
use super::warp::{Canvas, Pixel};
use crate::geometry::{Between, between};

/// Less trust than this is none.
const LEAST: f32 = 0.02;

/// Which pixels are followed along the motion; the others stay where they are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reach {
    /// Those that can be trusted; the trust in the others is 0.
    Trusted,
    /// All that come from inside the picture.
    Everywhere,
}

/// Between which cells of the motion the pixels of a painting lie.
#[derive(Debug, Default)]
pub struct Ground {
    fits: Option<(Canvas, usize, usize)>,
    /// As many as fill whole fours.
    columns: Vec<Between>,
    rows: Vec<Between>,
}

impl Ground {
    /// Makes it fit.
    pub fn fit(&mut self, canvas: Canvas, field: &Field) {
        if self.fits == Some((canvas, field.width, field.height)) {
            return;
        }
        let width = canvas.width.next_multiple_of(4);
        self.columns = between(width, canvas.origin.0, canvas.picture.0, field.width);
        self.rows = between(canvas.height, canvas.origin.1, canvas.picture.1, field.height);
        self.fits = Some((canvas, field.width, field.height));
    }
}

/// Four pixels: columns and rows they come from, and how far from there.
#[derive(Debug, Clone, Copy, Default)]
struct Four {
    x: [i32; 4],
    y: [i32; 4],
    between: [i32; 4],
}

/// One row; holds memory for it.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// Motion and trust at the columns of the field.
    cells: Vec<Pixel>,
    fours: Vec<Four>,
    trust: Vec<f32>,
    blur: Vec<f32>,
}

impl Places {
    /// Finds the places of row `y`.
    pub fn find(&mut self, y: usize, canvas: Canvas, field: &Field, ground: &Ground, reach: Reach) {
        self.take_row(ground.rows[y], field);
        let scale = |picture: usize, cells: usize| picture as f32 / cells as f32;
        let scale = Pixel::new([scale(canvas.picture.0, field.width), scale(canvas.picture.1, field.height), 1.0, 0.0]);
        let edge = |side: usize| Pixel::splat((side - 1) as f32);
        let (right, bottom) = (edge(canvas.width), edge(canvas.height));
        let least = Pixel::splat(if reach == Reach::Trusted { LEAST } else { f32::MIN });
        let inner = |v: i32x4, side: usize| v.simd_gt(i32x4::ZERO) & v.simd_lt(i32x4::splat(side as i32 - 2));
        let (row, cells) = (Pixel::splat(y as f32), &self.cells[..]);
        let mut here = Pixel::new([0.0, 1.0, 2.0, 3.0]);
        let (columns, _) = ground.columns.as_chunks::<4>();
        self.fours.resize(columns.len(), Four::default());
        self.trust.resize(4 * columns.len(), 0.0);
        self.blur.resize(4 * columns.len(), 0.0);
        let (trust, blur) = (self.trust.as_chunks_mut::<4>().0, self.blur.as_chunks_mut::<4>().0);
        for (((columns, four), trust), blur) in columns.iter().zip(&mut self.fours).zip(trust).zip(blur) {
            let moved = columns.map(|Between { low, high, share }| {
                let (left, right) = (cells[low as usize], cells[high as usize]);
                (left + (right - left) * share) * scale
            });
            let [dx, dy, trusted, _] = Pixel::transpose(moved);
            let (x, y) = (here + dx, row + dy);
            let inside = x.simd_ge(Pixel::ZERO) & x.simd_le(right) & y.simd_ge(Pixel::ZERO) & y.simd_le(bottom);
            let inside = inside & trusted.simd_ge(least);
            *trust = if reach == Reach::Trusted { trusted & inside } else { trusted }.to_array();
            // From beyond the border nothing is known: what was here before is better than streaks.
            let fine =
                |v: Pixel, stay: Pixel| (inside.bitselect(v, stay) * (PHASES as f32) + Pixel::HALF).fast_trunc_int();
            let (fine_x, fine_y) = (fine(x, here), fine(y, row));
            let cell = |v: i32x4| v >> PHASES.trailing_zeros() as i32;
            let (x, y) = (cell(fine_x), cell(fine_y));
            let (across, down) = (fine_x & PHASE, fine_y & PHASE);
            let border = !(inner(x, canvas.width) & inner(y, canvas.height)) & i32x4::splat(BORDER as i32);
            let between = across | (down << PHASES.trailing_zeros() as i32);
            let between = between | (border & between.simd_gt(i32x4::ZERO));
            *four = Four { x: x.to_array(), y: y.to_array(), between: between.to_array() };
            let bend = |phase: i32x4| {
                let f = phase.round_float() * (1.0 / PHASES as f32);
                f * (Pixel::ONE - f) * 4.0
            };
            *blur = bend(across).fast_max(bend(down)).to_array();
            here += Pixel::splat(4.0);
        }
    }

    /// The motion and trust of one row of the painting, at the columns of the field.
    fn take_row(&mut self, Between { low, high, share }: Between, field: &Field) {
        let line = |y: u32| &field.cells[y as usize * field.width..][..field.width];
        let lanes = |v: &[f32; 3]| Pixel::new([v[0], v[1], v[2], 0.0]);
        let between = |(a, b)| lanes(a) + (lanes(b) - lanes(a)) * share;
        self.cells.clear();
        self.cells.extend(line(low).iter().zip(line(high)).map(between));
    }

    /// The trust in every pixel (and, to fill whole vectors, a few more).
    pub fn trust(&self) -> &[f32] {
        &self.trust
    }

    /// How strong the blur is that looking a pixel up leaves, 0..=1; as many.
    pub fn blur(&self) -> &[f32] {
        &self.blur
    }

    /// The pixels of the `history` at the places.
    #[inline(always)]
    pub fn look_up(&self, history: &[Pixel], size: (usize, usize), row: &mut [Pixel]) {
        for (pixels, four) in row.chunks_mut(4).zip(&self.fours) {
            for (lane, pixel) in pixels.iter_mut().enumerate() {
                let at = (four.x[lane] as usize, four.y[lane] as usize);
                *pixel = sample(history, size, Place { pixel: at, between: four.between[lane] as u32 });
            }
        }
    }
}

/// Of a place in 1/[`PHASES`], what lies between two pixels.
const PHASE: i32x4 = i32x4::splat(PHASES as i32 - 1);
