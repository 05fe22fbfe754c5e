//! Painting and history, pixel by pixel: the more they differ while the scene stays the same, the more it is flicker.
//!
//! Comes in: a row of the history as it was looked up, the trust in it, the same row of the new painting (planar). Goes
//! out: the blend.

use super::warp::{FRESH, Pixel, unit};

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

/// Blends a row of the painting (planar) into the row that was looked up in the history.
pub fn mix(row: &mut [Pixel], trust: &[f32], fresh: [&[f32]; 3], weights: Weights) {
    let [red, green, blue] = fresh;
    let whole = row.len() / 4;
    let (fours, rest) = row.as_chunks_mut::<4>();
    let lines = [trust, red, green, blue].map(|line| line.as_chunks::<4>().0);
    let lines = lines[0].iter().zip(lines[1]).zip(lines[2]).zip(lines[3]);
    for (old, (((trust, red), green), blue)) in fours.iter_mut().zip(lines) {
        let lanes = |v: &[f32; 4]| Pixel::new(*v);
        *old = mix_four(*old, lanes(trust), [lanes(red), lanes(green), lanes(blue)], weights);
    }
    for (i, old) in (4 * whole..).zip(rest) {
        let all = Pixel::splat;
        *old = mix_four([*old; 4], all(trust[i]), [all(red[i]), all(green[i]), all(blue[i])], weights)[0];
    }
}

/// Four pixels at a time: lanes are pixels here.
#[inline(always)]
fn mix_four(old: [Pixel; 4], trust: Pixel, fresh: [Pixel; 3], weights: Weights) -> [Pixel; 4] {
    let [red, green, blue, before] = Pixel::transpose(old);
    let [red, green, blue, before] = [unit(red), unit(green), unit(blue), unit(before)];
    let [r, g, b] = [unit(fresh[0]), unit(fresh[1]), unit(fresh[2])];
    let (red, green, blue) = (red - r, green - g, blue - b);
    let off = (red.abs() + green.abs() + blue.abs()) * (1.0 / 3.0);
    let square = off * off;
    let flicker = square / (square + Pixel::splat(FLICKER * FLICKER));
    let share = (trust * (flicker * (weights.high - weights.low) + Pixel::splat(weights.low))).fast_min(before);
    let worth = share * (1.0 - FRESH) + Pixel::splat(FRESH);
    Pixel::transpose([r + red * share, g + green * share, b + blue * share, worth])
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn four_at_a_time_or_one_by_one_it_is_the_same() {
        let value = |i: usize| ((i * 2_654_435_761) % 1009) as f32 / 900.0 - 0.06;
        for width in [1, 2, 3, 4, 7, 8, 33] {
            let weights = Weights { low: 0.7, high: 0.95 };
            let history: Vec<[f32; 4]> = (0..width).map(|x| [0, 1, 2, 3].map(|c| value(7 * x + c))).collect();
            let trust: Vec<f32> =
                (0..width).map(|x| if x % 5 == 4 { 0.0 } else { value(3 * x + 2).max(0.0) }).collect();
            let fresh = [0, 1, 2].map(|c| (0..width).map(|x| value(5 * x + 11 * c)).collect::<Vec<_>>());
            let mut row: Vec<Pixel> = history.iter().map(|p| Pixel::new(*p)).collect();
            mix(&mut row, &trust, [&fresh[0], &fresh[1], &fresh[2]], weights);
            for (x, pixel) in row.iter().enumerate() {
                let wanted = plain(history[x], trust[x], [0, 1, 2].map(|c| fresh[c][x]), weights);
                let off = pixel.to_array().into_iter().zip(wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(off < 1e-5, "{pixel:?} instead of {wanted:?} at {x} of {width}");
            }
        }
    }
}
