//! Stylized frame and history, pixel by pixel: the more they differ while the scene stays the same, the more it is flicker.
//!
//! Comes in: pixels of the history as they were looked up, the confidence in them, the same pixels of the new stylized frame. Goes
//! out: the blend.

use fearless_simd::{f32x8, prelude::*};

use crate::frame::lanes::unit;
use crate::warp::FRESH;

/// How much of the history is taken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weights {
    /// Where history and stylized frame agree.
    pub low: f32,
    /// Where they differ: with the scene unchanged, that is flicker.
    pub high: f32,
}

/// Difference of history and stylized frame at which the weight is half way from low to high.
const FLICKER: f32 = 0.05;

/// Blends eight pixels: `old` and the result have red, green, blue and worth as history.
#[inline(always)]
pub fn mix<S: Simd>(old: [f32x8<S>; 4], confidence: f32x8<S>, fresh: [f32x8<S>; 3], weights: Weights) -> [f32x8<S>; 4] {
    let ([red, green, blue, before], [r, g, b]) = (old, fresh);
    let (r, g, b) = (unit(r), unit(g), unit(b));
    let (red, green, blue) = (unit(red) - r, unit(green) - g, unit(blue) - b);
    let off = (red.abs() + green.abs() + blue.abs()) * (1.0 / 3.0);
    let square = off * off;
    let flicker = square / (square + FLICKER * FLICKER);
    let share = (confidence * flicker.mul_add(weights.high - weights.low, weights.low)).min(unit(before));
    [red.mul_add(share, r), green.mul_add(share, g), blue.mul_add(share, b), share.mul_add(1.0 - FRESH, FRESH)]
}
