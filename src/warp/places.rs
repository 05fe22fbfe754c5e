//! Where the pixels of a row come from: the motion between its cells, eight pixels at a time.
//!
//! Comes in: the motion. Goes out: for every pixel the place in the history, the confidence in it, and how much looking it up
//! there will blur.

use fearless_simd::{f32x4, f32x8, i32x8, mask32x8, prelude::*, u32x8};

use crate::confidence::Field;
use crate::frame::lanes::{LANES, columns as eight_columns, four, load, planes_of, store, store_pixels};
use crate::frame::size::{Between, between};
use crate::warp::bicubic::{BORDER, PHASES, ROW, sample};
use crate::warp::canvas::Canvas;
use crate::warp::pixel::Pixel;

/// Less confidence than this is none.
const LEAST: f32 = 0.02;

/// Which pixels are followed along the motion; the others stay where they are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reach {
    /// Those that can be relied on; the confidence in the others is 0.
    Confident,
    /// All that come from inside the picture.
    Everywhere,
}

/// Between which cells of the motion the pixels of a stylized frame lie.
#[derive(Debug, Default)]
pub struct Ground {
    fits: Option<(Canvas, usize, usize)>,
    /// As many as fill whole eights.
    columns: Vec<Between>,
    rows: Vec<Between>,
}

impl Ground {
    /// Makes it fit.
    pub fn fit(&mut self, canvas: Canvas, field: &Field) {
        if self.fits == Some((canvas, field.width, field.height)) {
            return;
        }
        let width = canvas.width.next_multiple_of(LANES);
        self.columns = between(width, canvas.origin.0, canvas.picture.0, field.width);
        self.rows = between(canvas.height, canvas.origin.1, canvas.picture.1, field.height);
        self.fits = Some((canvas, field.width, field.height));
    }
}

/// Eight pixels: the numbers of those above and to the left of where they come from, and how far from there.
#[derive(Debug, Clone, Copy, Default)]
pub struct Eight {
    at: [u32; LANES],
    between: [u32; LANES],
}

/// One row; holds memory for it.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// Motion (pixels) and confidence at the columns of the field.
    lines: [Vec<f32>; 3],
    /// The same side by side, and the way from each to the next.
    cells: Vec<[f32; 4]>,
    steps: Vec<[f32; 4]>,
    eights: Vec<Eight>,
    confidence: Vec<[f32; LANES]>,
    blur: Vec<[f32; LANES]>,
}

impl Places {
    /// Finds the places of row `y`.
    #[inline(always)]
    pub fn find<S: Simd>(&mut self, simd: S, y: usize, canvas: Canvas, field: &Field, ground: &Ground, reach: Reach) {
        self.take_row(simd, ground.rows[y], canvas, field);
        let (right, bottom) = (edge(simd, canvas.width), edge(simd, canvas.height));
        let least = f32x8::splat(simd, if reach == Reach::Confident { LEAST } else { f32::MIN });
        let (none, row) = (i32x8::splat(simd, 0), f32x8::splat(simd, y as f32));
        let mut here = eight_columns(simd, 0);
        let (columns, _) = ground.columns.as_chunks::<LANES>();
        self.eights.resize(columns.len(), Eight::default());
        self.confidence.resize(columns.len(), [0.0; LANES]);
        self.blur.resize(columns.len(), [0.0; LANES]);
        let places = self.eights.iter_mut().zip(&mut self.confidence).zip(&mut self.blur);
        for (columns, ((eight, confidence), blur)) in columns.iter().zip(places) {
            let [a, b, c, d, e, f, g, h] = columns;
            let cells = (&self.cells[..], &self.steps[..]);
            let one =
                four(motion(simd, cells, a), motion(simd, cells, b), motion(simd, cells, c), motion(simd, cells, d));
            let other =
                four(motion(simd, cells, e), motion(simd, cells, f), motion(simd, cells, g), motion(simd, cells, h));
            let [dx, dy, confident, _] = planes_of(simd, one, other);
            let (x, y) = (here + dx, row + dy);
            let inside = x.simd_ge(0.0) & x.simd_le(right) & y.simd_ge(0.0) & y.simd_le(bottom);
            let inside = inside & confident.simd_ge(least);
            let kept =
                if reach == Reach::Confident { inside.select(confident, f32x8::splat(simd, 0.0)) } else { confident };
            kept.store_array(confidence);
            // From beyond the border nothing is known: what was here before is better than streaks.
            let (x, y) = (fine(inside.select(x, here)), fine(inside.select(y, row)));
            let (across, down) = (x & (ROW as i32 - 1), y & (ROW as i32 - 1));
            let (x, y) = (x >> PHASES.trailing_zeros(), y >> PHASES.trailing_zeros());
            let between = across + (down << PHASES.trailing_zeros());
            let plain = (inner(x, canvas.width) & inner(y, canvas.height)) | between.simd_eq(none);
            let between = between + plain.select(none, i32x8::splat(simd, BORDER as i32));
            (y * canvas.width as i32 + x).bitcast::<u32x8<S>>().store_array(&mut eight.at);
            between.bitcast::<u32x8<S>>().store_array(&mut eight.between);
            bend(across).max(bend(down)).store_array(blur);
            here += LANES as f32;
        }
    }

    /// The motion and confidence of one row of the stylized frame, at the columns of the field.
    #[inline(always)]
    fn take_row<S: Simd>(&mut self, simd: S, row: Between, canvas: Canvas, field: &Field) {
        let (high, low) = (row.high as usize * field.width, row.low as usize * field.width);
        let scale = |picture: usize, cells: usize| picture as f32 / cells as f32;
        let across = scale(canvas.picture.0, field.width);
        let scales = [(&field.x, across), (&field.y, scale(canvas.picture.1, field.height)), (&field.confidence, 1.0)];
        for (line, (plane, scale)) in self.lines.iter_mut().zip(scales) {
            line.resize(field.width.next_multiple_of(LANES) + 1, 0.0);
            let (above, below) = (&plane[low..low + field.width], &plane[high..high + field.width]);
            for x in (0..field.width).step_by(LANES) {
                let (a, b) = (load(simd, above, x), load(simd, below, x));
                store((b - a).mul_add(row.share, a) * scale, line, x);
            }
        }
        self.cells.resize(field.width, [0.0; 4]);
        self.steps.resize(field.width, [0.0; 4]);
        let [dx, dy, confidence] = &self.lines;
        for x in (0..field.width).step_by(LANES) {
            let (a, b, c) = (load(simd, dx, x), load(simd, dy, x), load(simd, confidence, x));
            store_pixels(simd, [a, b, c, c], &mut self.cells, x);
            let (a, b, c) = (load(simd, dx, x + 1) - a, load(simd, dy, x + 1) - b, load(simd, confidence, x + 1) - c);
            store_pixels(simd, [a, b, c, c], &mut self.steps, x);
        }
    }

    /// How strong the blur is that looking a pixel up leaves, 0..=1.
    pub fn blur(&self) -> &[[f32; LANES]] {
        &self.blur
    }

    /// The places, eight by eight, and the confidence in them.
    pub fn eights(&self) -> impl Iterator<Item = (&Eight, &[f32; LANES])> {
        self.eights.iter().zip(&self.confidence)
    }
}

impl Eight {
    /// What is found there in the `history`: red, green, blue, worth.
    #[inline(always)]
    pub fn look_up<S: Simd>(&self, simd: S, history: &[Pixel], size: (usize, usize)) -> [f32x8<S>; 4] {
        let Eight { at, between } = self;
        let left = four(
            sample(simd, history, size, (at[0], between[0])),
            sample(simd, history, size, (at[1], between[1])),
            sample(simd, history, size, (at[2], between[2])),
            sample(simd, history, size, (at[3], between[3])),
        );
        let right = four(
            sample(simd, history, size, (at[4], between[4])),
            sample(simd, history, size, (at[5], between[5])),
            sample(simd, history, size, (at[6], between[6])),
            sample(simd, history, size, (at[7], between[7])),
        );
        planes_of(simd, left, right)
    }
}

/// Motion and confidence of a pixel between two cells.
#[inline(always)]
fn motion<S: Simd>(simd: S, (cells, steps): (&[[f32; 4]], &[[f32; 4]]), between: &Between) -> f32x4<S> {
    let (cell, step) = (&cells[between.low as usize], &steps[between.low as usize]);
    f32x4::load_array_ref(simd, step).mul_add(between.share, f32x4::load_array_ref(simd, cell))
}

/// The last pixel of a side.
#[inline(always)]
fn edge<S: Simd>(simd: S, side: usize) -> f32x8<S> {
    f32x8::splat(simd, (side - 1) as f32)
}

/// In 1/[`PHASES`].
#[inline(always)]
fn fine<S: Simd>(place: f32x8<S>) -> i32x8<S> {
    (place * PHASES as f32 + 0.5).to_int()
}

/// Whether all taps around the pixels lie inside a side.
#[inline(always)]
fn inner<S: Simd>(pixel: i32x8<S>, side: usize) -> mask32x8<S> {
    pixel.simd_gt(0) & pixel.simd_lt(side as i32 - 2)
}

/// How strongly a place between two pixels is blurred: not at all on one, most half way.
#[inline(always)]
fn bend<S: Simd>(phase: i32x8<S>) -> f32x8<S> {
    let way = phase.to_float::<f32x8<S>>() * (1.0 / PHASES as f32);
    way * (way * -4.0 + 4.0)
}
