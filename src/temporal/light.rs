//! A flash or a fade: the same picture in another light.
//!
//! Comes in: two small pictures of the same things. Goes out: what makes one as bright as the other.

use fearless_simd::{f32x8, prelude::*};

use super::plane::Plane;
use crate::lanes::{LANES, load};

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

    /// How to make the `carried` picture (as large as the new one, without padding) as bright as the `new` one, if that
    /// explains much of the difference; else nothing is to be done.
    #[inline(always)]
    pub fn between<S: Simd>(simd: S, carried: &[f32], new: &Plane) -> Light {
        let [mut sum, mut squares, mut carried_sum, mut carried_squares, mut both] = [0f32; 5];
        for (y, line) in carried.chunks_exact(new.width()).enumerate() {
            let (row, none) = (new.row(y), f32x8::splat(simd, 0.0));
            let (mut a, mut aa, mut b, mut bb, mut ab) = (none, none, none, none, none);
            for x in (0..line.len()).step_by(LANES) {
                let (new, carried) = (load(simd, row, x), load(simd, line, x));
                a += new;
                aa = new.mul_add(new, aa);
                b += carried;
                bb = carried.mul_add(carried, bb);
                ab = new.mul_add(carried, ab);
            }
            sum += a.reduce_sum();
            squares += aa.reduce_sum();
            carried_sum += b.reduce_sum();
            carried_squares += bb.reduce_sum();
            both += ab.reduce_sum();
        }
        let n = carried.len() as f32;
        let variance = (carried_squares - carried_sum * carried_sum / n).max(1e-3);
        let covariance = both - sum * carried_sum / n;
        let gain = (covariance / variance).clamp(0.25, 4.0);
        let offset = (sum - gain * carried_sum) / n;
        let before = squares - 2.0 * both + carried_squares;
        let own = (squares - sum * sum / n).max(0.0);
        let after = own - 2.0 * gain * covariance + gain * gain * variance;
        let brighter = (sum - carried_sum) / n;
        let alike = covariance.max(0.0).powi(2) > 0.5 * variance * own;
        if alike && after < 0.5 * before && brighter.abs() > 1.0 {
            Light { gain, offset, brighter }
        } else {
            Light::SAME
        }
    }
}
