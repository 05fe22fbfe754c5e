//! The carried history: bicubic warp and blend in one pass.
//!
//! Comes in: the history, the motion, the new painting. Goes out: the blend. A pixel is four lanes, so that one tap of
//! the warp is one vector.

use rayon::prelude::*;
use wide::f32x4;

use super::blend::{Weights, mix};
use super::confidence::Field;
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

/// Warps and blends; holds tables and scratch of one size.
#[derive(Debug, Default)]
pub struct Carrier {
    ground: Ground,
    /// For each band of rows that is worked on beside the others.
    places: Vec<Places>,
}

/// Rows of a band; every band is a piece of work for one thread.
pub(super) fn band(height: usize) -> usize {
    height.div_ceil(rayon::current_num_threads().clamp(1, 8)).max(16)
}

impl Carrier {
    fn prepare(&mut self, canvas: Canvas, field: &Field) {
        self.ground.fit(canvas, field);
        self.places.resize_with(canvas.height.div_ceil(band(canvas.height)), Places::default);
    }

    /// Blends `fresh` (planar) with the warped `history` into `blend`; `blur` becomes the strength of the blur that the
    /// warp's interpolation left, 0..=1.
    pub fn carry(
        &mut self,
        canvas: Canvas,
        field: &Field,
        history: &[Pixel],
        fresh: &[f32],
        weights: Weights,
        (blend, blur): (&mut [Pixel], &mut [f32]),
    ) {
        self.prepare(canvas, field);
        let (ground, width, area) = (&self.ground, canvas.width, canvas.width * canvas.height);
        let rows = band(canvas.height);
        let bands = blend.par_chunks_mut(rows * width).zip(blur.par_chunks_mut(rows * width)).zip(&mut self.places);
        bands.enumerate().for_each(|(i, ((blend, blur), places))| {
            for (y, (blend, blur)) in (i * rows..).zip(blend.chunks_mut(width).zip(blur.chunks_mut(width))) {
                places.find(y, canvas, field, ground, Reach::Trusted);
                places.look_up(history, (width, canvas.height), blend);
                blur.copy_from_slice(&places.blur()[..width]);
                mix(blend, places.trust(), [0, 1, 2].map(|c| &fresh[c * area + y * width..][..width]), weights);
            }
        });
    }

    /// The `history` carried along the motion, whether it can be trusted or not; for a frame that is not painted.
    pub fn slide(&mut self, canvas: Canvas, field: &Field, history: &[Pixel], blend: &mut [Pixel]) {
        self.prepare(canvas, field);
        let (ground, width, rows) = (&self.ground, canvas.width, band(canvas.height));
        let bands = blend.par_chunks_mut(rows * width).zip(&mut self.places);
        bands.enumerate().for_each(|(i, (blend, places))| {
            for (y, blend) in (i * rows..).zip(blend.chunks_mut(width)) {
                places.find(y, canvas, field, ground, Reach::Everywhere);
                places.look_up(history, (width, canvas.height), blend);
                for (pixel, trust) in blend.iter_mut().zip(places.trust()) {
                    // What came into view since the last painting must not outlive the next one.
                    *pixel = unit(*pixel) * Pixel::new([1.0, 1.0, 1.0, (trust * SURE).min(1.0)]);
                }
            }
        });
    }

    /// The `history` carried along the motion (planar), and the trust in it: what a recurrent model is fed. Both are 0
    /// where there is nothing to trust. `row` is scratch.
    pub fn guide(
        &mut self,
        canvas: Canvas,
        field: &Field,
        history: &[Pixel],
        (previous, confidence): (&mut [f32], &mut [f32]),
        row: &mut Vec<Pixel>,
    ) {
        self.prepare(canvas, field);
        let Some(places) = self.places.first_mut() else { return };
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

#[inline(always)]
pub(super) fn unit(pixel: Pixel) -> Pixel {
    pixel.fast_max(Pixel::ZERO).fast_min(Pixel::ONE)
}

/// Trust beyond 1 / this is as good as full, for a frame that is not painted.
const SURE: f32 = 1.25;
