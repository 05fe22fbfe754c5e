//! A picture between its pixels: bicubic interpolation by a table of weights.

use super::warp::Pixel;

/// Places between two pixels are told apart this finely: more would not be seen.
pub const PHASES: usize = 64;

/// The four taps around a place between two pixels, ready for all lanes, and how much they blur, 0..=1.
#[derive(Debug, Clone, Copy)]
pub struct Taps {
    /// Each in all lanes.
    pub weights: [Pixel; 4],
    /// 0 on a pixel, 1 in the middle.
    pub blur: f32,
}

/// Catmull-Rom weights (Keys 1981, a = -1/2) for every place.
pub static TAPS: [Taps; PHASES] = {
    let mut all = [Taps { weights: [Pixel::ZERO; 4], blur: 0.0 }; PHASES];
    let mut phase = 0;
    while phase < PHASES {
        let f = phase as f32 / PHASES as f32;
        let (f2, f3) = (f * f, f * f * f);
        let weights = [f2 - 0.5 * (f3 + f), 1.5 * f3 - 2.5 * f2 + 1.0, 2.0 * f2 + 0.5 * f - 1.5 * f3, 0.5 * (f3 - f2)];
        let mut tap = 0;
        while tap < 4 {
            all[phase].weights[tap] = Pixel::new([weights[tap]; 4]);
            tap += 1;
        }
        all[phase].blur = 4.0 * f * (1.0 - f);
        phase += 1;
    }
    all
};

/// The history between its pixels; `at` is the pixel above and to the left.
#[inline(always)]
pub fn sample(history: &[Pixel], width: usize, height: usize, at: (usize, usize), across: &Taps, down: &Taps) -> Pixel {
    let (left, right) = (at.0.wrapping_sub(1), at.0 + 2);
    // Whole inside, and so are the taps: their places are checked together.
    if left < width && right < width && at.1.wrapping_sub(1) < height && at.1 + 2 < height {
        let first = (at.1 - 1) * width + left;
        if let Some(window) = history.get(first..first + 3 * width + 4) {
            let line = |j: usize| window.get(j * width..j * width + 4).and_then(|line| line.first_chunk());
            if let (Some(a), Some(b), Some(c), Some(d)) = (line(0), line(1), line(2), line(3)) {
                return weigh([a, b, c, d], &across.weights, &down.weights);
            }
        }
    }
    let near = |i: usize, side: usize| i.saturating_sub(1).min(side - 1);
    let line = |j: usize| [0, 1, 2, 3].map(|i| history[near(at.1 + j, height) * width + near(at.0 + i, width)]);
    weigh([&line(0), &line(1), &line(2), &line(3)], &across.weights, &down.weights)
}

#[inline(always)]
fn weigh(taps: [&[Pixel; 4]; 4], wx: &[Pixel; 4], wy: &[Pixel; 4]) -> Pixel {
    let line = |[a, b, c, d]: &[Pixel; 4]| *a * wx[0] + *b * wx[1] + *c * wx[2] + *d * wx[3];
    line(taps[0]) * wy[0] + line(taps[1]) * wy[1] + line(taps[2]) * wy[2] + line(taps[3]) * wy[3]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_catmull_rom_and_the_border_repeats() {
        for (phase, taps) in TAPS.iter().enumerate() {
            let f = phase as f32 / PHASES as f32;
            let sum: f32 = taps.weights.iter().map(|w| w.as_array()[0]).sum();
            assert!((sum - 1.0).abs() < 1e-6);
            // A straight line is reproduced: taps lie at -1, 0, 1, 2.
            let line: f32 = taps.weights.iter().zip([-1.0, 0.0, 1.0, 2.0]).map(|(w, x)| w.as_array()[0] * x).sum();
            assert!((line - f).abs() < 1e-6, "phase {phase}: {line}");
        }
        let picture: Vec<Pixel> = (0..12).map(|i| Pixel::splat((i % 4) as f32)).collect();
        let half = &TAPS[PHASES / 2];
        let inside = sample(&picture, 4, 3, (1, 1), half, &TAPS[0]).to_array()[0];
        let corner = sample(&picture, 4, 3, (3, 2), half, half).to_array()[0];
        assert!((inside - 1.5).abs() < 1e-6 && (corner - 3.0).abs() < 0.1, "{inside} {corner}");
    }
}
