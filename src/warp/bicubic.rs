//! A picture between its pixels: bicubic interpolation by a table of weights.

use fearless_simd::{f32x4, f32x16, prelude::*};

use crate::warp::pixel::{Pixel, WHITE, four, one};

/// Places between two pixels are told apart this finely: more would not be seen.
pub const PHASES: usize = 64;

/// Catmull-Rom weights (Keys 1981, a = -1/2) of the four taps around every place.
static TAPS: [[f32; 4]; PHASES] = {
    let mut all = [[0.0; 4]; PHASES];
    let mut phase = 0;
    while phase < PHASES {
        let f = phase as f32 / PHASES as f32;
        let (f2, f3) = (f * f, f * f * f);
        all[phase] = [f2 - 0.5 * (f3 + f), 1.5 * f3 - 2.5 * f2 + 1.0, 2.0 * f2 + 0.5 * f - 1.5 * f3, 0.5 * (f3 - f2)];
        phase += 1;
    }
    all
};

/// The same for four pixels side by side, and from 16 bit to 0..=1: every weight in the four lanes of its pixel.
static ACROSS: [[f32; 16]; PHASES] = {
    let mut all = [[0.0; 16]; PHASES];
    let mut i = 0;
    while i < 16 * PHASES {
        all[i / 16][i % 16] = TAPS[i / 16][i % 16 / 4] / WHITE;
        i += 1;
    }
    all
};

/// Of a place between pixels, in 1/[`PHASES`]: across + [`ROW`] x down, and [`BORDER`] more if taps lie beyond the border.
pub const ROW: u32 = PHASES as u32;
/// Mark of a place some of whose taps lie beyond the border.
pub const BORDER: u32 = 1 << 12;

/// The history between its pixels, 0..=1: `at` is the number of the pixel above and to the left, `between` how far from there.
#[inline(always)]
pub fn sample<S: Simd>(
    simd: S,
    history: &[Pixel],
    (width, height): (usize, usize),
    (at, between): (u32, u32),
) -> f32x4<S> {
    let at = at as usize;
    if between == 0 {
        // Nothing to interpolate, as in most of what a still camera sees.
        return one(simd, history.get(at).copied().unwrap_or_default()) * (1.0 / WHITE);
    }
    let (across, down) = (&ACROSS[(between % ROW) as usize], &TAPS[(between / ROW % ROW) as usize]);
    if between < BORDER
        && let Some(window) = history.get(at.wrapping_sub(width + 1)..)
    {
        let window = window.as_flattened();
        let line = |j: usize| window.get(4 * j * width..).and_then(|line| line.first_chunk());
        if let (Some(a), Some(b), Some(c), Some(d)) = (line(0), line(1), line(2), line(3)) {
            return weigh(simd, [a, b, c, d], across, down);
        }
    }
    let lines = beyond(history, (width, height), at);
    let [a, b, c, d] = &lines;
    weigh(simd, [a, b, c, d], across, down)
}

/// The taps of a pixel at the border, which is repeated.
#[cold]
fn beyond(history: &[Pixel], (width, height): (usize, usize), at: usize) -> [[u16; 16]; 4] {
    let near = |i: usize, side: usize| i.saturating_sub(1).min(side - 1);
    std::array::from_fn(|j| {
        let row = near(at / width + j, height) * width;
        std::array::from_fn(|i| history[row + near(at % width + i / 4, width)][i % 4])
    })
}

/// Four lines of four pixels.
#[inline(always)]
fn weigh<S: Simd>(simd: S, [a, b, c, d]: [&[u16; 16]; 4], across: &[f32; 16], down: &[f32; 4]) -> f32x4<S> {
    let upper = four(simd, b).mul_add(down[1], four(simd, a) * down[0]);
    let lower = four(simd, d).mul_add(down[3], four(simd, c) * down[2]);
    let (left, right) = ((upper + lower) * f32x16::load_array_ref(simd, across)).split();
    let (one, other) = (left + right).split();
    one + other
}

#[cfg(test)]
mod tests {
    use fearless_simd::dispatch;

    use super::*;
    use crate::frame::lanes::level;

    #[test]
    fn the_table_is_catmull_rom_and_the_border_repeats() {
        for (phase, taps) in TAPS.iter().enumerate() {
            let f = phase as f32 / PHASES as f32;
            assert!((taps.iter().sum::<f32>() - 1.0).abs() < 1e-6);
            // A straight line is reproduced: taps lie at -1, 0, 1, 2.
            let line: f32 = taps.iter().zip([-1.0, 0.0, 1.0, 2.0]).map(|(w, x)| w * x).sum();
            assert!((line - f).abs() < 1e-6, "phase {phase}: {line}");
        }
        let picture: Vec<Pixel> = (0..12).map(|i| [(i % 4) * 10_000; 4]).collect();
        let at = |x: u32, y: u32, across: u32, down: u32, border: u32| {
            let between = across + down * ROW + border;
            dispatch!(level(), simd => sample(simd, &picture, (4, 3), (y * 4 + x, between)).to_array())[0] * WHITE
                / 10_000.0
        };
        let half = ROW / 2;
        let (inside, corner) = (at(1, 1, half, 0, BORDER), at(3, 2, half, half, BORDER));
        assert!((inside - 1.5).abs() < 1e-6 && (corner - 3.0).abs() < 0.1, "{inside} {corner}");
    }
}
