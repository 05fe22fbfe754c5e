//! From the blend to what is shown and what is kept: sharpened, so that blur does not add up from frame to frame.
//!
//! Comes in: the blend, and where the warp blurred it. Goes out: the painting to show (planar) and the history.

use super::warp::{FRESH, Pixel, unit};

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

impl Finish {
    /// Shown and kept as it is.
    pub const NONE: Finish = Finish { shown: 0.0, kept: 0.0, lift: Pixel::ZERO };
}

/// Fine detail above this is sharpened less and less, so that edges get no halos.
const COARSE: f32 = 0.02;

/// One row, and those above and below it. `column` is scratch as long as a row.
pub(super) fn finish_row(
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
