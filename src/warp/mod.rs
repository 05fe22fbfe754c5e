//! The propagated history: bicubic warp, blend and finish in one pass, so that what is blended is still in the cache when it
//! is finished.
//!
//! Comes in: the history, the motion, the new stylized frame. Goes out: what to show, and the history to come. A pixel is four
//! lanes, so that one tap of the warp is one vector.

pub mod balance;
pub mod bicubic;
pub mod blend;
pub mod canvas;
pub mod finish;
pub mod pixel;
pub mod places;
pub mod resize;

use std::iter::Sum;

use fearless_simd::{dispatch, f32x8, prelude::*};

use crate::confidence::Field;
use crate::frame::image::{ImageMut, Sample};
use crate::frame::lanes::{LANES, eight, level, load, store, unit};
use crate::frame::threads;
use crate::tensor::egress::to_row;
use crate::warp::balance::Tally;
use crate::warp::blend::{Weights, mix};
use crate::warp::canvas::Canvas;
use crate::warp::finish::{Finish, Line, Scratch, finish_row};
use crate::warp::pixel::Pixel;
use crate::warp::places::{Ground, Places, Reach};

/// A stylized frame's own pixel is one frame's worth of history; every blend brings it nearer to 1.
pub const FRESH: f32 = 0.6;

/// Warps, blends and finishes; holds tables and scratch of one size.
#[derive(Debug, Default)]
pub struct Warper {
    ground: Ground,
    bands: Vec<Band>,
}

/// Scratch for a band of rows, which is worked on beside the others.
#[derive(Debug, Clone, Default)]
struct Band {
    places: Places,
    /// The last rows that were blended: row y in `y % 3`.
    lines: [Line; 3],
    scratch: Scratch,
    seen: Seen,
}

/// What was seen of the stylized frame and of its blend with the history, before that was finished.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Seen {
    /// The stylized frame.
    pub raw: Tally,
    /// The blend.
    pub blend: Tally,
    /// Whether the stylized frame had NaN or infinity anywhere: then neither picture nor history is of use.
    pub broken: bool,
}

/// What a frame is made of.
#[derive(Debug, Clone, Copy)]
struct Task<'a> {
    canvas: Canvas,
    field: &'a Field,
    history: &'a [Pixel],
    /// The new stylized frame (planar) and the weights of the history in the blend; nothing for a frame that is not stylized.
    fresh: Option<(&'a [f32], Weights)>,
    how: Finish,
}

impl Warper {
    /// Blends `fresh` (planar) with the warped `history` and finishes it into what is `shown` and the `next` history.
    /// `shown` has the size of the canvas, or of the picture in it.
    pub fn accumulate<O: Sample>(
        &mut self,
        canvas: Canvas,
        field: &Field,
        history: &[Pixel],
        fresh: &[f32],
        (weights, how): (Weights, Finish),
        into: (&mut ImageMut<O>, &mut [Pixel]),
    ) -> Seen {
        self.pass(Task { canvas, field, history, fresh: Some((fresh, weights)), how }, into)
    }

    /// The `history` propagated along the motion, whether it can be relied on or not, and finished; for a frame that is not
    /// stylized.
    pub fn propagate<O: Sample>(
        &mut self,
        canvas: Canvas,
        field: &Field,
        history: &[Pixel],
        how: Finish,
        into: (&mut ImageMut<O>, &mut [Pixel]),
    ) {
        self.pass(Task { canvas, field, history, fresh: None, how }, into);
    }

    /// Every row is blended and, as soon as the one below is there, finished.
    fn pass<O: Sample>(&mut self, task: Task, (shown, next): (&mut ImageMut<O>, &mut [Pixel])) -> Seen {
        let Canvas { width, height, origin, .. } = task.canvas;
        let (rows, size) = (threads::band(height), shown.shape());
        self.ground.fit(task.canvas, task.field);
        self.bands.resize_with(height.div_ceil(rows), Band::default);
        let (left, top) = if (size.width, size.height) == (width, height) { (0, 0) } else { origin };
        let job = Job { task, ground: &self.ground, left };
        let pieces = self.bands.iter_mut().zip(shown.bands(height, top, rows)).zip(next.chunks_mut(rows * width));
        threads::share(pieces, |((band, (first, (mut shown, top))), next)| {
            dispatch!(level(), simd => band.work(simd, job, first, (&mut shown, top), next));
        });
        self.bands.iter().map(|band| band.seen).sum()
    }

    /// The `history` propagated along the motion (planar), and the confidence in it: what a recurrent model is fed. Both are 0
    /// where there is nothing to confidence.
    pub fn guide(
        &mut self,
        canvas: Canvas,
        field: &Field,
        history: &[Pixel],
        (previous, map): (&mut [f32], &mut [f32]),
    ) {
        self.ground.fit(canvas, field);
        self.bands.resize_with(self.bands.len().max(1), Band::default);
        let Some(Band { places, .. }) = self.bands.first_mut() else { return };
        let (width, area) = (canvas.width, canvas.width * canvas.height);
        dispatch!(level(), simd => {
            for y in 0..canvas.height {
                places.find(simd, y, canvas, field, &self.ground, Reach::Confident);
                for (x, (place, confidence)) in (0..).step_by(LANES).zip(places.eights()) {
                    let planes = place.look_up(simd, history, (width, canvas.height));
                    let (confidence, none) = (eight(simd, confidence), f32x8::splat(simd, 0.0));
                    let confident = confidence.simd_gt(0.0);
                    for (c, plane) in planes.into_iter().take(3).enumerate() {
                        let line = &mut previous[c * area + y * width..][..width];
                        store(confident.select(unit(plane), none), line, x);
                    }
                    store(confidence.min(1.0), &mut map[y * width..][..width], x);
                }
            }
        });
    }
}

/// What every band is told.
#[derive(Clone, Copy)]
struct Job<'a> {
    task: Task<'a>,
    ground: &'a Ground,
    /// The column of the canvas that is the first one of what is shown.
    left: usize,
}

impl Band {
    #[inline(always)]
    fn work<O: Sample, S: Simd>(
        &mut self,
        simd: S,
        Job { task, ground, left }: Job,
        first: usize,
        (shown, top): (&mut ImageMut<O>, usize),
        next: &mut [Pixel],
    ) {
        let Canvas { width, height, .. } = task.canvas;
        self.lines.iter_mut().for_each(|line| line.fit(width));
        self.scratch.fit(width);
        self.seen = Seen::default();
        let (places, lines) = (&mut self.places, &mut self.lines);
        let (mut ready, size) = (first.saturating_sub(1), shown.shape());
        for (y, next) in (first..).zip(next.chunks_mut(width)) {
            while ready < height.min(y + 2) {
                self.seen.broken |= simd.vectorize(
                    #[inline(always)]
                    || task.blend(simd, ground, ready, places, &mut lines[ready % 3]),
                );
                ready += 1;
            }
            let around = [y.saturating_sub(1), y, (y + 1).min(height - 1)].map(|y| &lines[y % 3]);
            self.seen.look(simd, task, y, lines);
            simd.vectorize(
                #[inline(always)]
                || {
                    finish_row(simd, around, task.how, &mut self.scratch, next);
                    let row = y.wrapping_sub(top);
                    for c in (0..3).filter(|_| row < size.height) {
                        let source = &self.scratch.shown(c)[left..left + size.width];
                        to_row(source, shown.row_mut(c, row), size.white);
                    }
                },
            );
        }
    }
}

impl Seen {
    #[inline(always)]
    fn look<S: Simd>(&mut self, simd: S, task: Task, y: usize, lines: &[Line; 3]) {
        let Canvas { width, height, .. } = task.canvas;
        self.blend.look(simd, height, y, |y, c| &lines[y % 3].planes[c].as_flattened()[..width]);
        if let Some((fresh, _)) = task.fresh {
            self.raw.look(simd, height, y, |y, c| &fresh[(c * height + y) * width..][..width]);
        }
    }
}

impl Sum for Seen {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        let add =
            |a: Seen, b: Seen| Seen { raw: a.raw + b.raw, blend: a.blend + b.blend, broken: a.broken || b.broken };
        all.fold(Seen::default(), add)
    }
}

impl Task<'_> {
    /// Blends row `y`; tells whether the stylized frame is broken there.
    #[inline(always)]
    fn blend<S: Simd>(&self, simd: S, ground: &Ground, y: usize, places: &mut Places, line: &mut Line) -> bool {
        let Canvas { width, height, .. } = self.canvas;
        let reach = if self.fresh.is_some() { Reach::Confident } else { Reach::Everywhere };
        places.find(simd, y, self.canvas, self.field, ground, reach);
        line.blur.copy_from_slice(places.blur());
        let fresh = self.fresh.map(|(fresh, weights)| {
            let row = |c: usize| &fresh[(c * height + y) * width..][..width];
            ([row(0), row(1), row(2)], weights)
        });
        let [red, green, blue, worth] = &mut line.planes;
        let into = red.iter_mut().zip(green).zip(blue).zip(worth);
        // 0 * v is 0 for every finite v and NaN for the others.
        let mut zero = f32x8::splat(simd, 0.0);
        for (x, ((place, confidence), (((red, green), blue), worth))) in
            (0..).step_by(LANES).zip(places.eights().zip(into))
        {
            let old = place.look_up(simd, self.history, (width, height));
            let confidence = eight(simd, confidence);
            let blend = match fresh {
                Some(([r, g, b], weights)) => {
                    let new = [load(simd, r, x), load(simd, g, x), load(simd, b, x)];
                    zero = (new[0] + new[1] + new[2]).mul_add(0.0, zero);
                    mix(old, confidence, new, weights)
                }
                None => {
                    // What came into view since the last stylized frame must not outlive the next one.
                    let [red, green, blue, worth] = old;
                    [unit(red), unit(green), unit(blue), unit(worth) * (confidence * SURE).min(1.0)]
                }
            };
            blend[0].store_array(red);
            blend[1].store_array(green);
            blend[2].store_array(blue);
            blend[3].store_array(worth);
        }
        zero.reduce_sum() != 0.0
    }
}

/// Trust beyond 1 / this is as good as full, for a frame that is not stylized.
const SURE: f32 = 1.25;
