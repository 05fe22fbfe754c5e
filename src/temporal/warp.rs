//! The carried history: bicubic warp, blend and finish in one pass, so that what is blended is still in the cache when it
//! is finished.
//!
//! Comes in: the history, the motion, the new painting. Goes out: what to show, and the history to come. A pixel is four
//! lanes, so that one tap of the warp is one vector.

use std::ops::Range;

use rayon::prelude::*;
use wide::f32x4;

use super::balance::Tally;
use super::blend::{Weights, mix};
use super::confidence::Field;
use super::finish::{Finish, finish_row};
use super::places::{Ground, Places, Reach};

/// Red, green, blue, and how good a history the pixel is: the largest share it may have in the next blend, 0..=1.
pub type Pixel = f32x4;

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
    blends: [Vec<Pixel>; 3],
    blurs: [Vec<f32>; 3],
    column: Vec<Pixel>,
    tally: Tally,
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
        let (width, area) = (canvas.width, canvas.width * canvas.height);
        self.pass(canvas, field, how, into, |ground, y, places, blend| {
            places.find(y, canvas, field, ground, Reach::Trusted);
            places.look_up(history, (width, canvas.height), blend);
            mix(blend, places.trust(), [0, 1, 2].map(|c| &fresh[c * area + y * width..][..width]), weights);
        })
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
        self.pass(canvas, field, how, into, |ground, y, places, blend| {
            places.find(y, canvas, field, ground, Reach::Everywhere);
            places.look_up(history, (canvas.width, canvas.height), blend);
            for (pixel, trust) in blend.iter_mut().zip(places.trust()) {
                // What came into view since the last painting must not outlive the next one.
                *pixel = unit(*pixel) * Pixel::new([1.0, 1.0, 1.0, (trust * SURE).min(1.0)]);
            }
        });
    }

    /// Every row is blended by `blend` and, as soon as the one below is there, finished.
    fn pass(
        &mut self,
        canvas: Canvas,
        field: &Field,
        how: Finish,
        (shown, next): (&mut [f32], &mut [Pixel]),
        blend: impl Fn(&Ground, usize, &mut Places, &mut [Pixel]) + Sync,
    ) -> Tally {
        let (rows, height, ground) = (band(canvas.height), canvas.height, &mut self.ground);
        ground.fit(canvas, field);
        self.bands.resize_with(height.div_ceil(rows), Band::default);
        let (red, rest) = shown.split_at_mut(canvas.width * height);
        let (green, blue) = rest.split_at_mut(canvas.width * height);
        let [red, green, blue] = [red, green, blue].map(|plane| plane.par_chunks_mut(rows * canvas.width));
        let next = next.par_chunks_mut(rows * canvas.width);
        let bands = red.zip(green).zip(blue).zip(next).zip(&mut self.bands).enumerate();
        bands.for_each(|(i, ((((red, green), blue), next), band))| {
            let lines = i * rows..(i * rows + rows).min(height);
            let blend = |y: usize, places: &mut Places, row: &mut [Pixel]| blend(ground, y, places, row);
            band.work(canvas, lines, how, ([red, green, blue], next), blend);
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
        let Some(Band { places, column: row, .. }) = self.bands.first_mut() else { return };
        let (red, rest) = previous.split_at_mut(canvas.width * canvas.height);
        let (green, blue) = rest.split_at_mut(canvas.width * canvas.height);
        let mut into = red.iter_mut().zip(green).zip(blue).zip(confidence);
        row.resize(canvas.width, Pixel::ZERO);
        for y in 0..canvas.height {
            places.find(y, canvas, field, &self.ground, Reach::Trusted);
            places.look_up(history, (canvas.width, canvas.height), row);
            for ((pixel, trust), (((red, green), blue), confidence)) in row.iter().zip(places.trust()).zip(&mut into) {
                let pixel = if *trust > 0.0 { unit(*pixel) } else { Pixel::ZERO };
                let [r, g, b, _] = pixel.to_array();
                (*red, *green, *blue, *confidence) = (r, g, b, trust.min(1.0));
            }
        }
    }
}

impl Band {
    fn work(
        &mut self,
        canvas: Canvas,
        lines: Range<usize>,
        how: Finish,
        ([red, green, blue], next): ([&mut [f32]; 3], &mut [Pixel]),
        mut blend: impl FnMut(usize, &mut Places, &mut [Pixel]),
    ) {
        let (width, last) = (canvas.width, canvas.height - 1);
        self.blends.iter_mut().for_each(|row| row.resize(width, Pixel::ZERO));
        self.blurs.iter_mut().for_each(|row| row.resize(width, 0.0));
        self.column.resize(width, Pixel::ZERO);
        self.tally = Tally::default();
        let (places, blends, blurs) = (&mut self.places, &mut self.blends, &mut self.blurs);
        let mut ready = lines.start.saturating_sub(1);
        let planes = red.chunks_mut(width).zip(green.chunks_mut(width)).zip(blue.chunks_mut(width));
        for (y, (((red, green), blue), next)) in lines.zip(planes.zip(next.chunks_mut(width))) {
            while ready <= (y + 1).min(last) {
                blend(ready, places, &mut blends[ready % 3]);
                blurs[ready % 3].copy_from_slice(&places.blur()[..width]);
                ready += 1;
            }
            let rows = [y.saturating_sub(1), y, (y + 1).min(last)].map(|y| &blends[y % 3][..]);
            self.tally.look(y, canvas.height, rows);
            finish_row(rows, &blurs[y % 3], how, &mut self.column, [red, green, blue], next);
        }
    }
}

#[inline(always)]
pub(super) fn unit(pixel: Pixel) -> Pixel {
    pixel.fast_max(Pixel::ZERO).fast_min(Pixel::ONE)
}

/// Trust beyond 1 / this is as good as full, for a frame that is not painted.
const SURE: f32 = 1.25;
