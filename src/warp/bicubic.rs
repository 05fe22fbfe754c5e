//! Bicubic interpolation with tabulated Catmull-Rom weights (Keys 1981, a = -1/2).
//!
//! Input: an image of the history, the index of a pixel and a phase in 1/64 pixel from there. Output: the pixel's four
//! values. A pixel is four lanes wide, so that one row of four taps is one vector of sixteen.

use fearless_simd::{f32x4, f32x16, prelude::*};

use crate::warp::pixel::{Pixel, WHITE, four, one};

/// Phases between two pixels; finer ones make no visible difference.
pub const PHASES: usize = 64;

/// Weights of the four taps at each phase.
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

/// The same for a row of four pixels, scaled from 16 bit to 0..=1: each weight in the four lanes of its pixel.
static ACROSS: [[f32; 16]; PHASES] = {
    let mut all = [[0.0; 16]; PHASES];
    let mut i = 0;
    while i < 16 * PHASES {
        all[i / 16][i % 16] = TAPS[i / 16][i % 16 / 4] / WHITE;
        i += 1;
    }
    all
};

/// A phase is horizontal + [`ROW`] x vertical, each in 1/[`PHASES`], plus [`BORDER`] if taps lie beyond the border.
pub const ROW: u32 = PHASES as u32;
/// Flag of a phase some of whose taps lie beyond the border.
pub const BORDER: u32 = 1 << 12;

/// Samples the history, values 0..=1: `at` is the index of the pixel above and to the left, `phase` the distance from
/// there.
#[inline(always)]
pub fn sample<S: Simd>(
    simd: S,
    history: &[Pixel],
    (width, height): (usize, usize),
    (at, phase): (u32, u32),
) -> f32x4<S> {
    let at = at as usize;
    if phase == 0 {
        // On a pixel, as in most of a static scene.
        return one(simd, history.get(at).copied().unwrap_or_default()) * (1.0 / WHITE);
    }
    let (across, down) = (&ACROSS[(phase % ROW) as usize], &TAPS[(phase / ROW % ROW) as usize]);
    if phase < BORDER
        && let Some(window) = history.get(at.wrapping_sub(width + 1)..)
    {
        let window = window.as_flattened();
        let line = |j: usize| window.get(4 * j * width..).and_then(|line| line.first_chunk());
        if let (Some(a), Some(b), Some(c), Some(d)) = (line(0), line(1), line(2), line(3)) {
            return weigh(simd, [a, b, c, d], across, down);
        }
    }
    let lines = clamped_taps(history, (width, height), at);
    let [a, b, c, d] = &lines;
    weigh(simd, [a, b, c, d], across, down)
}

/// The taps of a pixel near the border, which is repeated.
#[cold]
fn clamped_taps(history: &[Pixel], (width, height): (usize, usize), at: usize) -> [[u16; 16]; 4] {
    let near = |i: usize, side: usize| i.saturating_sub(1).min(side - 1);
    std::array::from_fn(|j| {
        let row = near(at / width + j, height) * width;
        std::array::from_fn(|i| history[row + near(at % width + i / 4, width)][i % 4])
    })
}

/// Weighted sum of four rows of four pixels.
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
            // A linear function is reproduced: taps are at -1, 0, 1, 2.
            let line: f32 = taps.iter().zip([-1.0, 0.0, 1.0, 2.0]).map(|(w, x)| w * x).sum();
            assert!((line - f).abs() < 1e-6, "phase {phase}: {line}");
        }
        let picture: Vec<Pixel> = (0..12).map(|i| [(i % 4) * 10_000; 4]).collect();
        let at = |x: u32, y: u32, across: u32, down: u32, border: u32| {
            let phase = across + down * ROW + border;
            dispatch!(level(), simd => sample(simd, &picture, (4, 3), (y * 4 + x, phase)).to_array())[0] * WHITE
                / 10_000.0
        };
        let half = ROW / 2;
        let (inside, corner) = (at(1, 1, half, 0, BORDER), at(3, 2, half, half, BORDER));
        assert!((inside - 1.5).abs() < 1e-6 && (corner - 3.0).abs() < 0.1, "{inside} {corner}");
    }
}
