//! A flash or a fade: the same picture in another light.
//!
//! Comes in: two small pictures of the same things. Goes out: what makes one as bright as the other.

use fearless_simd::{f32x8, prelude::*};

use crate::flow::pyramid::Plane;
use crate::frame::lanes::{LANES, load};

/// What makes a picture as bright as another, and by how much (0..=255) that is brighter.
#[derive(Debug, Clone, Copy)]
pub struct Light {
    /// To multiply with.
    pub gain: f32,
    /// To add then.
    pub offset: f32,
    /// Difference of the means.
    pub brighter: f32,
}

impl Light {
    const SAME: Light = Light { gain: 1.0, offset: 0.0, brighter: 0.0 };

    /// How to make the `warped` picture (as large as the new one, without padding) as bright as the `new` one, if that
    /// explains much of the difference; else nothing is to be done.
    #[inline(always)]
    pub fn between<S: Simd>(simd: S, warped: &[f32], new: &Plane) -> Light {
        let [mut sum, mut squares, mut warped_sum, mut warped_squares, mut both] = [0f32; 5];
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
            sum += a.reduce_sum();
            squares += aa.reduce_sum();
            warped_sum += b.reduce_sum();
            warped_squares += bb.reduce_sum();
            both += ab.reduce_sum();
        }
        let n = warped.len() as f32;
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
            Light { gain, offset, brighter }
        } else {
            Light::SAME
        }
    }
}
