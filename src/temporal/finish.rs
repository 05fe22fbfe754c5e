//! From the blend to what is shown and what is kept: sharpened, so that blur does not add up from frame to frame.
//!
//! Comes in: the blend, and where the warp blurred it. Goes out: the painting to show (planar) and the history.

use rayon::prelude::*;

use super::warp::{FRESH, Pixel, band, unit};

/// What is done to the blend.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Finish {
    /// What is shown: makes up for the detail that averaging takes from the painting; 0 is none.
    pub shown: f32,
    /// What is kept, where the warp's interpolation blurred: so that blur does not add up from frame to frame.
    pub kept: f32,
    /// Added to what is kept: takes the history's mean colour after the painting's, so that it cannot drift.
    pub lift: Pixel,
}

/// Fine detail above this is sharpened less and less, so that edges get no halos.
const COARSE: f32 = 0.02;

/// From the blend: the painting to show (planar) and the history to keep. `columns` is scratch.
pub fn finish(
    width: usize,
    blend: &[Pixel],
    blur: &[f32],
    how: Finish,
    columns: &mut Vec<Pixel>,
    shown: &mut [f32],
    history: &mut [Pixel],
) {
    let height = blend.len() / width;
    let band = band(height);
    columns.resize(height.div_ceil(band) * width, Pixel::ZERO);
    let (red, rest) = shown.split_at_mut(width * height);
    let (green, blue) = rest.split_at_mut(width * height);
    let [red, green, blue] = [red, green, blue].map(|plane| plane.par_chunks_mut(band * width));
    let history = history.par_chunks_mut(band * width);
    let bands = red.zip(green).zip(blue).zip(history).zip(columns.par_chunks_mut(width)).enumerate();
    bands.for_each(|(i, ((((red, green), blue), kept), column))| {
        let rows = red.chunks_mut(width).zip(green.chunks_mut(width)).zip(blue.chunks_mut(width));
        for (y, (((red, green), blue), kept)) in rows.zip(kept.chunks_mut(width)).enumerate() {
            let y = i * band + y;
            let line = |y: usize| &blend[y * width..(y + 1) * width];
            let rows = [line(y.saturating_sub(1)), line(y), line((y + 1).min(height - 1))];
            finish_row(rows, &blur[y * width..(y + 1) * width], how, column, [red, green, blue], kept);
        }
    });
}

fn finish_row(
    [above, here, below]: [&[Pixel]; 3],
    blur: &[f32],
    how: Finish,
    column: &mut [Pixel],
    [red, green, blue]: [&mut [f32]; 3],
    kept: &mut [Pixel],
) {
    let width = here.len();
    for (((sum, a), b), c) in column.iter_mut().zip(above).zip(here).zip(below) {
        *sum = *a + *b + *b + *c;
    }
    let (blur, column) = (&blur[..width], &column[..width]);
    for x in 0..width {
        let (left, middle, right) = (column[x.saturating_sub(1)], column[x], column[(x + 1).min(width - 1)]);
        let here = here[x];
        let fine = here - (left + middle + middle + right) * (1.0 / 16.0);
        // Where the history has a share, averaging has taken detail.
        let averaged = (here.to_array()[3] - FRESH).max(0.0) * (1.0 / (1.0 - FRESH));
        let (show, hold) = (how.shown * averaged, how.kept * blur[x]);
        let sharp = (here + fine * show / (fine.abs() * (1.0 / COARSE) + Pixel::ONE)).to_array();
        kept[x] = unit(here + fine * hold + how.lift);
        (red[x], green[x], blue[x]) = (sharp[0], sharp[1], sharp[2]);
    }
}
