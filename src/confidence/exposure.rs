//! Change of exposure between two frames, such as a flash or a fade: a linear fit of the luma.
//!
//! Input: the previous luma warped along the motion, and the new one. Output: the gain and offset that map the first to the
//! second, if they explain most of the difference. Pixels count by their alpha.

use fearless_simd::{f32x8, prelude::*};

use crate::flow::pyramid::Plane;
use crate::frame::lanes::{LANES, load};

/// The linear map from the previous luma to the new one, both relative to mid-grey.
#[derive(Debug, Clone, Copy)]
pub struct Exposure {
    gain: f32,
    /// Of an opaque pixel.
    offset: f32,
    /// Difference of the mean luma, new minus previous, -255..=255.
    pub brightness_change: f32,
}

/// Images with alpha are composited over mid-grey, so invisible pixels add nothing to sums relative to it.
const GREY: f32 = 127.5;

impl Exposure {
    const UNCHANGED: Exposure = Exposure { gain: 1.0, offset: 0.0, brightness_change: 0.0 };

    /// Least-squares fit from `warped` (as large as `new`, without padding) to `new`; `visible` is the sum of the alpha.
    /// Unchanged, unless luma correlates and the fit removes more than half of the squared difference.
    #[inline(always)]
    pub fn between<S: Simd>(simd: S, warped: &[f32], new: &Plane, visible: f32) -> Exposure {
        let [mut sum, mut squares, mut warped_sum, mut warped_squares, mut both] = [0f64; 5];
        for (y, line) in warped.chunks_exact(new.width()).enumerate() {
            let (row, none) = (new.row(y), f32x8::splat(simd, 0.0));
            let (mut a, mut aa, mut b, mut bb, mut ab) = (none, none, none, none, none);
            for x in (0..line.len()).step_by(LANES) {
                let (new, warped) = (load(simd, row, x), load(simd, line, x));
                a += new;
                aa = new.mul_add(new, aa);
                b += warped;
                bb = warped.mul_add(warped, bb);
                ab = new.mul_add(warped, ab);
            }
            let [a, aa, b, bb, ab] = [a, aa, b, bb, ab].map(|sums| f64::from(sums.reduce_sum()));
            let (count, grey) = (line.len() as f64, f64::from(GREY));
            sum += a - grey * count;
            warped_sum += b - grey * count;
            squares += aa - 2.0 * grey * a + grey * grey * count;
            warped_squares += bb - 2.0 * grey * b + grey * grey * count;
            both += ab - grey * (a + b) + grey * grey * count;
        }
        let n = f64::from(visible).max(1.0);
        let variance = (warped_squares - warped_sum * warped_sum / n).max(1e-3);
        let covariance = both - sum * warped_sum / n;
        let gain = (covariance / variance).clamp(0.25, 4.0);
        let offset = (sum - gain * warped_sum) / n;
        let before = squares - 2.0 * both + warped_squares;
        let own = (squares - sum * sum / n).max(0.0);
        let after = own - 2.0 * gain * covariance + gain * gain * variance;
        let change = (sum - warped_sum) / n;
        let correlates = covariance.max(0.0).powi(2) > 0.5 * variance * own;
        if correlates && after < 0.5 * before && change.abs() > 1.0 {
            Exposure { gain: gain as f32, offset: offset as f32, brightness_change: change as f32 }
        } else {
            Exposure::UNCHANGED
        }
    }

    /// `warped` pixels with the given `alpha` at the new exposure.
    #[inline(always)]
    pub fn apply<S: Simd>(self, simd: S, warped: f32x8<S>, alpha: f32x8<S>) -> f32x8<S> {
        let middle = f32x8::splat(simd, GREY - self.gain * GREY);
        alpha.mul_add(self.offset, warped.mul_add(self.gain, middle))
    }
}
