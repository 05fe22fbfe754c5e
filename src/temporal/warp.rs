//! The carried history: bicubic warp, blend and finish in one pass, so that what is blended is still in the cache when it
//! is finished.
//!
//! Comes in: the history, the motion, the new painting. Goes out: what to show, and the history to come. A pixel is four
//! lanes, so that one tap of the warp is one vector.

use std::ops::Range;

use fearless_simd::{dispatch, f32x8, prelude::*};
use rayon::prelude::*;

use super::balance::Tally;
use super::blend::{Weights, mix};
use super::confidence::Field;
use super::finish::{Finish, Line, Scratch, finish_row};
use super::places::{Ground, Places, Reach};
use crate::lanes::{LANES, eight, level, load, store, unit};

/// Red, green, blue, and how good a history the pixel is: the largest share it may have in the next blend, 0..=1.
pub type Pixel = [f32; 4];

/// A painting's own pixel is one frame's worth of history; every blend brings it nearer to 1.
pub const FRESH: f32 = 0.6;

/// Size of the painting, and where the picture that moved lies in it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Canvas {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// First pixel of the picture, and its size; around it is padding.
    pub origin: (usize, usize),
    /// Size of the picture in the painting.
    pub picture: (usize, usize),
}

/// Warps, blends and finishes; holds tables and scratch of one size.
#[derive(Debug, Default)]
pub struct Carrier {
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
    tally: Tally,
}

/// What a frame is made of.
#[derive(Debug, Clone, Copy)]
struct Task<'a> {
    canvas: Canvas,
    field: &'a Field,
    history: &'a [Pixel],
    /// The new painting (planar) and the weights of the history in the blend; nothing for a frame that is not painted.
    fresh: Option<(&'a [f32], Weights)>,
    how: Finish,
}

/// Rows of a band; every band is a piece of work for one thread.
fn band(height: usize) -> usize {
    height.div_ceil(rayon::current_num_threads().clamp(1, 8)).max(16)
}

impl Carrier {
    /// Blends `fresh` (planar) with the warped `history` and finishes it into what is `shown` (planar) and the `next`
    /// history. Returns what the blend was like before it was finished.
    pub fn follow(
        &mut self,
        canvas: Canvas,
        field: &Field,
        history: &[Pixel],
        fresh: &[f32],
        (weights, how): (Weights, Finish),
        into: (&mut [f32], &mut [Pixel]),
    ) -> Tally {
        self.pass(Task { canvas, field, history, fresh: Some((fresh, weights)), how }, into)
    }

    /// The `history` carried along the motion, whether it can be trusted or not, and finished; for a frame that is not
    /// painted.
    pub fn slide(
        &mut self,
        canvas: Canvas,
        field: &Field,
        history: &[Pixel],
        how: Finish,
        into: (&mut [f32], &mut [Pixel]),
    ) {
        self.pass(Task { canvas, field, history, fresh: None, how }, into);
    }

    /// Every row is blended and, as soon as the one below is there, finished.
    fn pass(&mut self, task: Task, (shown, next): (&mut [f32], &mut [Pixel])) -> Tally {
        let Canvas { width, height, .. } = task.canvas;
        let (rows, ground) = (band(height), &mut self.ground);
        ground.fit(task.canvas, task.field);
        self.bands.resize_with(height.div_ceil(rows), Band::default);
        let (red, rest) = shown.split_at_mut(width * height);
        let (green, blue) = rest.split_at_mut(width * height);
        let [red, green, blue] = [red, green, blue].map(|plane| plane.par_chunks_mut(rows * width));
        let next = next.par_chunks_mut(rows * width);
        let bands = red.zip(green).zip(blue).zip(next).zip(&mut self.bands).enumerate();
        bands.for_each(|(i, ((((red, green), blue), next), band))| {
            let lines = i * rows..(i * rows + rows).min(height);
            dispatch!(level(), simd => band.work(simd, task, ground, lines, ([red, green, blue], next)));
        });
        self.bands.iter().map(|band| band.tally).sum()
    }

    /// The `history` carried along the motion (planar), and the trust in it: what a recurrent model is fed. Both are 0
    /// where there is nothing to trust.
    pub fn guide(
        &mut self,
        canvas: Canvas,
        field: &Field,
        history: &[Pixel],
        (previous, confidence): (&mut [f32], &mut [f32]),
    ) {
        self.ground.fit(canvas, field);
        self.bands.resize_with(self.bands.len().max(1), Band::default);
        let Some(Band { places, .. }) = self.bands.first_mut() else { return };
        let (width, area) = (canvas.width, canvas.width * canvas.height);
        dispatch!(level(), simd => {
            for y in 0..canvas.height {
                places.find(simd, y, canvas, field, &self.ground, Reach::Trusted);
                for (x, (place, trust)) in (0..).step_by(LANES).zip(places.eights()) {
                    let planes = place.look_up(simd, history, (width, canvas.height));
                    let (trust, none) = (eight(simd, trust), f32x8::splat(simd, 0.0));
                    let trusted = trust.simd_gt(0.0);
                    for (c, plane) in planes.into_iter().take(3).enumerate() {
                        let line = &mut previous[c * area + y * width..][..width];
                        store(trusted.select(unit(plane), none), line, x);
                    }
                    store(trust.min(1.0), &mut confidence[y * width..][..width], x);
                }
            }
        });
    }
}

impl Band {
    #[inline(always)]
    fn work<S: Simd>(
        &mut self,
        simd: S,
        task: Task,
        ground: &Ground,
        rows: Range<usize>,
        ([red, green, blue], next): ([&mut [f32]; 3], &mut [Pixel]),
    ) {
        let Canvas { width, height, .. } = task.canvas;
        self.lines.iter_mut().for_each(|line| line.fit(width));
        self.scratch.fit(width);
        self.tally = Tally::default();
        let (places, lines) = (&mut self.places, &mut self.lines);
        let mut ready = rows.start.saturating_sub(1);
        let planes = red.chunks_mut(width).zip(green.chunks_mut(width)).zip(blue.chunks_mut(width));
        for (y, (((red, green), blue), next)) in rows.zip(planes.zip(next.chunks_mut(width))) {
            while ready < height.min(y + 2) {
                simd.vectorize(
                    #[inline(always)]
                    || task.blend(simd, ground, ready, places, &mut lines[ready % 3]),
                );
                ready += 1;
            }
            let around = [y.saturating_sub(1), y, (y + 1).min(height - 1)].map(|y| &lines[y % 3]);
            self.tally.look(simd, (width, height), y, around);
            simd.vectorize(
                #[inline(always)]
                || finish_row(simd, around, task.how, &mut self.scratch, [red, green, blue], next),
            );
        }
    }
}

impl Task<'_> {
    /// Blends row `y`.
    #[inline(always)]
    fn blend<S: Simd>(&self, simd: S, ground: &Ground, y: usize, places: &mut Places, line: &mut Line) {
        let Canvas { width, height, .. } = self.canvas;
        let reach = if self.fresh.is_some() { Reach::Trusted } else { Reach::Everywhere };
        places.find(simd, y, self.canvas, self.field, ground, reach);
        line.blur.copy_from_slice(places.blur());
        let fresh = self.fresh.map(|(fresh, weights)| {
            let row = |c: usize| &fresh[(c * height + y) * width..][..width];
            ([row(0), row(1), row(2)], weights)
        });
        let [red, green, blue, worth] = &mut line.planes;
        let into = red.iter_mut().zip(green).zip(blue).zip(worth);
        for (x, ((place, trust), (((red, green), blue), worth))) in (0..).step_by(LANES).zip(places.eights().zip(into))
        {
            let old = place.look_up(simd, self.history, (width, height));
            let trust = eight(simd, trust);
            let blend = match fresh {
                Some(([r, g, b], weights)) => {
                    mix(old, trust, [load(simd, r, x), load(simd, g, x), load(simd, b, x)], weights)
                }
                None => {
                    // What came into view since the last painting must not outlive the next one.
                    let [red, green, blue, worth] = old;
                    [unit(red), unit(green), unit(blue), unit(worth) * (trust * SURE).min(1.0)]
                }
            };
            blend[0].store_array(red);
            blend[1].store_array(green);
            blend[2].store_array(blue);
            blend[3].store_array(worth);
        }
    }
}

/// Trust beyond 1 / this is as good as full, for a frame that is not painted.
const SURE: f32 = 1.25;
