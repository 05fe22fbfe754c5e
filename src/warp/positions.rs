//! Sample positions of a row: where its pixels are in the history.
//!
//! Input: the motion field, interpolated bilinearly between its cells. Output: for eight pixels at a time the position
//! in the history, the confidence in it, and the blur of interpolating there.

use fearless_simd::{f32x4, f32x8, i32x8, mask32x8, prelude::*, u32x8};

use crate::confidence::MotionField;
use crate::frame::lanes::{LANES, columns as eight_columns, four, load, planes_of, store, store_pixels};
use crate::frame::size::{Lerp, lerp_table};
use crate::tensor::placement::Placement;
use crate::warp::bicubic::{BORDER, PHASES, ROW, sample};
use crate::warp::pixel::Pixel;

/// Confidence below this counts as 0.
const MIN_CONFIDENCE: f32 = 0.02;

/// Which pixels are sampled along the motion; all others are sampled at their own position.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Sampling {
    /// Those with confidence; the confidence of the others becomes 0.
    Confident,
    /// All whose source is inside the frame.
    All,
}

/// Tables that map pixels of a stylized frame to cells of the motion field.
#[derive(Debug, Default)]
pub struct Grid {
    fits: Option<(Placement, usize, usize)>,
    /// Rounded up to whole groups of eight.
    columns: Vec<Lerp>,
    rows: Vec<Lerp>,
}

impl Grid {
    /// Rebuilds the tables if sizes or placement have changed.
    pub fn fit(&mut self, place: Placement, field: &MotionField) {
        if self.fits == Some((place, field.width, field.height)) {
            return;
        }
        let width = place.tensor.0.next_multiple_of(LANES);
        self.columns = lerp_table(width, place.origin.0, place.picture.0, field.width);
        self.rows = lerp_table(place.tensor.1, place.origin.1, place.picture.1, field.height);
        self.fits = Some((place, field.width, field.height));
    }
}

/// Positions of eight pixels: index of the pixel above and to the left, and phase from there (see [`sample`]).
#[derive(Debug, Clone, Copy, Default)]
pub struct Group {
    at: [u32; LANES],
    phase: [u32; LANES],
}

/// Positions of one row; holds memory for it.
#[derive(Debug, Clone, Default)]
pub struct SamplePositions {
    /// Motion in pixels and confidence, at the columns of the field.
    lines: [Vec<f32>; 3],
    /// The same interleaved, and the difference from each column to the next.
    cells: Vec<[f32; 4]>,
    steps: Vec<[f32; 4]>,
    groups: Vec<Group>,
    confidence: Vec<[f32; LANES]>,
    blur: Vec<[f32; LANES]>,
}

impl SamplePositions {
    /// Computes the positions of row `y`.
    #[inline(always)]
    pub fn find<S: Simd>(
        &mut self,
        simd: S,
        y: usize,
        place: Placement,
        field: &MotionField,
        grid: &Grid,
        sampling: Sampling,
    ) {
        self.interpolate_row(simd, grid.rows[y], place, field);
        let (width, height) = place.tensor;
        let (right, bottom) = (last(simd, width), last(simd, height));
        let least = f32x8::splat(simd, if sampling == Sampling::Confident { MIN_CONFIDENCE } else { f32::MIN });
        let (none, row) = (i32x8::splat(simd, 0), f32x8::splat(simd, y as f32));
        let mut here = eight_columns(simd, 0);
        let (columns, _) = grid.columns.as_chunks::<LANES>();
        self.groups.resize(columns.len(), Group::default());
        self.confidence.resize(columns.len(), [0.0; LANES]);
        self.blur.resize(columns.len(), [0.0; LANES]);
        let groups = self.groups.iter_mut().zip(&mut self.confidence).zip(&mut self.blur);
        for (columns, ((group, confidence), blur)) in columns.iter().zip(groups) {
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
            let kept = if sampling == Sampling::Confident {
                inside.select(confident, f32x8::splat(simd, 0.0))
            } else {
                confident
            };
            kept.store_array(confidence);
            // The pixel's own position hides a source beyond the border better than a stretched border does.
            let (x, y) = (fixed_point(inside.select(x, here)), fixed_point(inside.select(y, row)));
            let (across, down) = (x & (ROW as i32 - 1), y & (ROW as i32 - 1));
            let (x, y) = (x >> PHASES.trailing_zeros(), y >> PHASES.trailing_zeros());
            let phase = across + (down << PHASES.trailing_zeros());
            let interior = (has_all_taps(x, width) & has_all_taps(y, height)) | phase.simd_eq(none);
            let phase = phase + interior.select(none, i32x8::splat(simd, BORDER as i32));
            (y * width as i32 + x).bitcast::<u32x8<S>>().store_array(&mut group.at);
            phase.bitcast::<u32x8<S>>().store_array(&mut group.phase);
            interpolation_blur(across).max(interpolation_blur(down)).store_array(blur);
            here += LANES as f32;
        }
    }

    /// Interpolates motion and confidence between two rows of the field.
    #[inline(always)]
    fn interpolate_row<S: Simd>(&mut self, simd: S, row: Lerp, place: Placement, field: &MotionField) {
        let (high, low) = (row.high as usize * field.width, row.low as usize * field.width);
        let scale = |picture: usize, cells: usize| picture as f32 / cells as f32;
        let across = scale(place.picture.0, field.width);
        let scales = [(&field.x, across), (&field.y, scale(place.picture.1, field.height)), (&field.confidence, 1.0)];
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

    /// Blur of sampling at the positions, 0 (none) ..= 1 (half way between two pixels).
    pub fn blur(&self) -> &[[f32; LANES]] {
        &self.blur
    }

    /// The positions in groups of eight, and the confidence in them.
    pub fn groups(&self) -> impl Iterator<Item = (&Group, &[f32; LANES])> {
        self.groups.iter().zip(&self.confidence)
    }
}

impl Group {
    /// Samples the `history`: red, green, blue and accumulation weight.
    #[inline(always)]
    pub fn sample<S: Simd>(&self, simd: S, history: &[Pixel], size: (usize, usize)) -> [f32x8<S>; 4] {
        let Group { at, phase } = self;
        let left = four(
            sample(simd, history, size, (at[0], phase[0])),
            sample(simd, history, size, (at[1], phase[1])),
            sample(simd, history, size, (at[2], phase[2])),
            sample(simd, history, size, (at[3], phase[3])),
        );
        let right = four(
            sample(simd, history, size, (at[4], phase[4])),
            sample(simd, history, size, (at[5], phase[5])),
            sample(simd, history, size, (at[6], phase[6])),
            sample(simd, history, size, (at[7], phase[7])),
        );
        planes_of(simd, left, right)
    }
}

/// Motion and confidence of a pixel between two cells of a row.
#[inline(always)]
fn motion<S: Simd>(simd: S, (cells, steps): (&[[f32; 4]], &[[f32; 4]]), lerp: &Lerp) -> f32x4<S> {
    let (cell, step) = (&cells[lerp.low as usize], &steps[lerp.low as usize]);
    f32x4::load_array_ref(simd, step).mul_add(lerp.share, f32x4::load_array_ref(simd, cell))
}

/// Coordinate of the last pixel of a side.
#[inline(always)]
fn last<S: Simd>(simd: S, side: usize) -> f32x8<S> {
    f32x8::splat(simd, (side - 1) as f32)
}

/// Rounds to 1/[`PHASES`] pixels.
#[inline(always)]
fn fixed_point<S: Simd>(position: f32x8<S>) -> i32x8<S> {
    (position * PHASES as f32 + 0.5).to_int()
}

/// Whether all four taps around the pixels lie inside a side.
#[inline(always)]
fn has_all_taps<S: Simd>(pixel: i32x8<S>, side: usize) -> mask32x8<S> {
    pixel.simd_gt(0) & pixel.simd_lt(side as i32 - 2)
}

/// Blur of interpolation at a phase: 0 on a pixel, 1 half way between two.
#[inline(always)]
fn interpolation_blur<S: Simd>(phase: i32x8<S>) -> f32x8<S> {
    let phase = phase.to_float::<f32x8<S>>() * (1.0 / PHASES as f32);
    phase * (phase * -4.0 + 4.0)
}
