//! A picture between its pixels: bicubic interpolation by a table of weights.

use super::warp::Pixel;

/// Places between two pixels are told apart this finely: more would not be seen.
pub const PHASES: usize = 64;

/// Catmull-Rom weights (Keys 1981, a = -1/2) of the four taps around every place, each in all lanes.
pub static TAPS: [[Pixel; 4]; PHASES] = {
    let mut all = [[Pixel::ZERO; 4]; PHASES];
    let mut phase = 0;
    while phase < PHASES {
        let f = phase as f32 / PHASES as f32;
        let (f2, f3) = (f * f, f * f * f);
        let weights = [f2 - 0.5 * (f3 + f), 1.5 * f3 - 2.5 * f2 + 1.0, 2.0 * f2 + 0.5 * f - 1.5 * f3, 0.5 * (f3 - f2)];
        let mut tap = 0;
        while tap < 4 {
            all[phase][tap] = Pixel::new([weights[tap]; 4]);
            tap += 1;
        }
        phase += 1;
    }
    all
};

/// A place between the pixels: the pixel above and to the left of it, and how far from there it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Column and row.
    pub pixel: (usize, usize),
    /// How far from there, in 1/[`PHASES`]: across + [`PHASES`] x down, and [`BORDER`] more if taps lie beyond the border.
    pub between: u32,
}

/// Mark of a place some of whose taps lie beyond the border.
pub const BORDER: u32 = 1 << 12;
const ROW: u32 = PHASES as u32;

/// The history at a `place`.
#[inline(always)]
pub fn sample(history: &[Pixel], (width, height): (usize, usize), place: Place) -> Pixel {
    let Place { pixel: (x, y), between } = place;
    if between == 0 {
        // Nothing to interpolate, as in most of what a still camera sees.
        return history[y * width + x];
    }
    let (across, down) = (&TAPS[(between % ROW) as usize], &TAPS[(between / ROW % ROW) as usize]);
    if between < BORDER {
        let first = (y.wrapping_sub(1)).wrapping_mul(width).wrapping_add(x).wrapping_sub(1);
        if let Some(window) = history.get(first..first.wrapping_add(3 * width + 4)) {
            let line = |j: usize| window.get(j * width..).and_then(|line| line.first_chunk());
            if let (Some(a), Some(b), Some(c), Some(d)) = (line(0), line(1), line(2), line(3)) {
                return weigh([a, b, c, d], across, down);
            }
        }
    }
    let near = |i: usize, side: usize| i.saturating_sub(1).min(side - 1);
    let line = |j: usize| [0, 1, 2, 3].map(|i| history[near(y + j, height) * width + near(x + i, width)]);
    weigh([&line(0), &line(1), &line(2), &line(3)], across, down)
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
            let sum: f32 = taps.iter().map(|w| w.as_array()[0]).sum();
            assert!((sum - 1.0).abs() < 1e-6);
            // A straight line is reproduced: taps lie at -1, 0, 1, 2.
            let line: f32 = taps.iter().zip([-1.0, 0.0, 1.0, 2.0]).map(|(w, x)| w.as_array()[0] * x).sum();
            assert!((line - f).abs() < 1e-6, "phase {phase}: {line}");
        }
        let picture: Vec<Pixel> = (0..12).map(|i| Pixel::splat((i % 4) as f32)).collect();
        let at = |x, y, across: u32, down: u32, border| {
            let place = Place { pixel: (x, y), between: across + down * ROW + border };
            sample(&picture, (4, 3), place).to_array()[0]
        };
        let half = PHASES as u32 / 2;
        let (inside, corner) = (at(1, 1, half, 0, BORDER), at(3, 2, half, half, BORDER));
        assert!((inside - 1.5).abs() < 1e-6 && (corner - 3.0).abs() < 0.1, "{inside} {corner}");
    }
}
