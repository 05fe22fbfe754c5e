//! Painting and history, pixel by pixel: the more they differ while the scene stays the same, the more it is flicker.
//!
//! Comes in: pixels of the history as they were looked up, the trust in them, the same pixels of the new painting. Goes
//! out: the blend.

use fearless_simd::{f32x8, prelude::*};

use super::warp::FRESH;
use crate::lanes::unit;

/// How much of the history is taken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weights {
    /// Where history and painting agree.
    pub low: f32,
    /// Where they differ: with the scene unchanged, that is flicker.
    pub high: f32,
}

/// Difference of history and painting at which the weight is half way from low to high.
const FLICKER: f32 = 0.05;

/// Blends eight pixels: `old` and the result have red, green, blue and worth as history.
#[inline(always)]
pub fn mix<S: Simd>(old: [f32x8<S>; 4], trust: f32x8<S>, fresh: [f32x8<S>; 3], weights: Weights) -> [f32x8<S>; 4] {
    let ([red, green, blue, before], [r, g, b]) = (old, fresh);
    let (r, g, b) = (unit(r), unit(g), unit(b));
    let (red, green, blue) = (unit(red) - r, unit(green) - g, unit(blue) - b);
    let off = (red.abs() + green.abs() + blue.abs()) * (1.0 / 3.0);
    let square = off * off;
    let flicker = square / (square + FLICKER * FLICKER);
    let share = (trust * flicker.mul_add(weights.high - weights.low, weights.low)).min(unit(before));
    [red.mul_add(share, r), green.mul_add(share, g), blue.mul_add(share, b), share.mul_add(1.0 - FRESH, FRESH)]
}

#[cfg(test)]
mod tests {
    use fearless_simd::dispatch;

    use super::*;
    use crate::lanes::{LANES, level};

    /// The same for one pixel, written plainly.
    fn plain(old: [f32; 4], trust: f32, fresh: [f32; 3], weights: Weights) -> [f32; 4] {
        let (old, fresh) = (old.map(|v| v.clamp(0.0, 1.0)), fresh.map(|v| v.clamp(0.0, 1.0)));
        let off = (0..3).map(|i| (old[i] - fresh[i]).abs()).sum::<f32>() / 3.0;
        let flicker = off.powi(2) / (off.powi(2) + FLICKER.powi(2));
        let share = (trust * (weights.low + (weights.high - weights.low) * flicker)).min(old[3]);
        let [r, g, b] = [0, 1, 2].map(|i| fresh[i] + (old[i] - fresh[i]) * share);
        [r, g, b, FRESH + (1.0 - FRESH) * share]
    }

    #[test]
    fn eight_at_a_time_or_one_by_one_it_is_the_same() {
        let value = |i: usize| ((i * 2_654_435_761) % 1009) as f32 / 900.0 - 0.06;
        let weights = Weights { low: 0.7, high: 0.95 };
        for turn in 0..50 {
            let values = |k: usize| -> [f32; LANES] { std::array::from_fn(|x| value(97 * turn + 11 * x + k)) };
            let (old, fresh) = ([0, 1, 2, 3].map(values), [4, 5, 6].map(values));
            let trust = values(7).map(|v| if v > 0.8 { 0.0 } else { v.max(0.0) });
            let mixed = dispatch!(level(), simd => {
                let lanes = |v: [f32; LANES]| f32x8::load_array(simd, v);
                mix(old.map(lanes), lanes(trust), fresh.map(lanes), weights).map(|v| v.to_array())
            });
            for x in 0..LANES {
                let wanted = plain(old.map(|v| v[x]), trust[x], fresh.map(|v| v[x]), weights);
                let off = mixed.iter().zip(wanted).map(|(a, b)| (a[x] - b).abs()).fold(0.0, f32::max);
                assert!(off < 1e-5, "{mixed:?} instead of {wanted:?} at {x}");
            }
        }
    }
}
