//! A flash or a fade: the same picture in another light.
//!
//! Comes in: two small pictures of the same things. Goes out: what makes one as bright as the other.

use fearless_simd::{f32x8, prelude::*};

use crate::flow::pyramid::{Plane, Pyramid};
use crate::frame::lanes::{LANES, load};

/// What makes a picture as bright as another, and by how much (0..=255) that is brighter.
#[derive(Debug, Clone, Copy)]
pub struct Light {
    /// To multiply the difference from mid-grey with.
    gain: f32,
    /// To add then, for an opaque pixel.
    offset: f32,
    /// Difference of the means.
    pub brighter: f32,
}

/// Images with alpha are composited over this, so sums around it have nothing of invisible pixels.
const GREY: f32 = 127.5;

impl Light {
    const SAME: Light = Light { gain: 1.0, offset: 0.0, brighter: 0.0 };

    /// How to make the `warped` picture (of the size of the largest level of `pyramid`, `new`, without padding) as bright as
    /// that, if it explains much of the difference; else nothing is to be done.
    #[inline(always)]
    pub fn between<S: Simd>(simd: S, warped: &[f32], new: &Plane, pyramid: &Pyramid) -> Light {
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
        let n = f64::from(pyramid.visible()).max(1.0);
        let variance = (warped_squares - warped_sum * warped_sum / n).max(1e-3);
        let covariance = both - sum * warped_sum / n;
        let gain = (covariance / variance).clamp(0.25, 4.0);
        let offset = (sum - gain * warped_sum) / n;
        let before = squares - 2.0 * both + warped_squares;
        let own = (squares - sum * sum / n).max(0.0);
        let after = own - 2.0 * gain * covariance + gain * gain * variance;
        let brighter = (sum - warped_sum) / n;
        let alike = covariance.max(0.0).powi(2) > 0.5 * variance * own;
        if alike && after < 0.5 * before && brighter.abs() > 1.0 {
            Light { gain: gain as f32, offset: offset as f32, brighter: brighter as f32 }
        } else {
            Light::SAME
        }
    }

    /// The `warped` pixels in the new light; `alpha` is theirs.
    #[inline(always)]
    pub fn apply<S: Simd>(self, simd: S, warped: f32x8<S>, alpha: f32x8<S>) -> f32x8<S> {
        let middle = f32x8::splat(simd, GREY - self.gain * GREY);
        alpha.mul_add(self.offset, warped.mul_add(self.gain, middle))
    }
}
