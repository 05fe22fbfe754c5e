//! Blend of a stylized frame with the history, eight pixels at a time.
//!
//! Input: warped pixels of the history with the confidence in them, and the same pixels of the stylized frame. Output:
//! the blend and its accumulation weight. With equal confidence a larger difference is more likely flicker, so the
//! history's share rises with it.

use fearless_simd::{f32x8, prelude::*};

use crate::frame::lanes::unit;

/// Accumulation weight of a pixel of one stylized frame; every blend moves it towards 1. It bounds the share in the
/// next blend.
pub const INITIAL_WEIGHT: f32 = 0.6;

/// Share of the history in the blend, at full confidence.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weights {
    /// Where history and stylized frame agree.
    pub low: f32,
    /// Where they differ.
    pub high: f32,
}

/// Mean difference of the channels (0..=1) at which the share is half way from low to high.
const FLICKER: f32 = 0.05;

/// Blends eight pixels: `old` and the result are red, green, blue and accumulation weight.
#[inline(always)]
pub fn blend<S: Simd>(
    old: [f32x8<S>; 4],
    confidence: f32x8<S>,
    stylized: [f32x8<S>; 3],
    weights: Weights,
) -> [f32x8<S>; 4] {
    let ([red, green, blue, before], [r, g, b]) = (old, stylized);
    let (r, g, b) = (unit(r), unit(g), unit(b));
    let (red, green, blue) = (unit(red) - r, unit(green) - g, unit(blue) - b);
    let difference = (red.abs() + green.abs() + blue.abs()) * (1.0 / 3.0);
    let square = difference * difference;
    let flicker = square / (square + FLICKER * FLICKER);
    let share = (confidence * flicker.mul_add(weights.high - weights.low, weights.low)).min(unit(before));
    [
        red.mul_add(share, r),
        green.mul_add(share, g),
        blue.mul_add(share, b),
        share.mul_add(1.0 - INITIAL_WEIGHT, INITIAL_WEIGHT),
    ]
}
