//! Mix of the stylized frame with the input frame: strength and colour preservation.
//!
//! Input: both frames, of the same size and depth. Output: the mix, in the place of the stylized frame.

use fearless_simd::dispatch;

use crate::frame::image::{Image, ImageMut, Sample, Shape};
use crate::frame::lanes::level;
use crate::frame::threads;

/// BT.709 luma weights (ITU-R BT.709-6, item 3.2) on gamma-coded R'G'B'.
const LUMA: [f32; 3] = [0.2126, 0.7152, 0.0722];

/// Properties `strength` and `preserve-color`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mix {
    /// Share of the stylized frame, 0 (input frame) ..= 1 (stylized frame).
    pub strength: f32,
    /// Keeps the chroma of the input frame and takes the luma of the stylized frame.
    pub preserve_color: bool,
}

impl Mix {
    /// Whether the mix is the stylized frame itself.
    pub fn is_stylized_alone(&self) -> bool {
        self.strength >= 1.0 && !self.preserve_color
    }
}

/// Replaces `stylized` by its mix with `original`; rows and columns outside the smaller of both are unchanged.
pub fn mix<S: Sample>(original: &Image<S>, stylized: &mut ImageMut<S>, mix: Mix) {
    let height = original.shape().height.min(stylized.shape().height);
    threads::share(stylized.bands(height, 0, threads::band(height)), |(first, (mut band, _))| {
        dispatch!(level(), _simd => mix_band(original, first, &mut band, mix));
    });
}

/// Mixes the band that starts at row `first`.
#[inline(always)]
fn mix_band<S: Sample>(original: &Image<S>, first: usize, band: &mut ImageMut<S>, mix: Mix) {
    let Shape { height, white, .. } = band.shape();
    for y in 0..height {
        let old = [0, 1, 2].map(|c| original.row(c, first + y));
        let stylized = band.rows_mut(y);
        if mix.preserve_color {
            recolor_row(old, stylized, white.into());
        }
        if mix.strength < 1.0 {
            (0..3).for_each(|c| blend_row(old[c], band.row_mut(c, y), mix.strength));
        }
    }
}

#[inline(always)]
fn blend_row<S: Sample>(original: &[S], stylized: &mut [S], strength: f32) {
    for (p, o) in stylized.iter_mut().zip(original) {
        let o = o.to_f32();
        *p = S::from_f32(o + (p.to_f32() - o) * strength);
    }
}

/// Adds the difference in luma to the input frame: chroma (R'-Y', B'-Y') stays the same, up to clipping.
#[inline(always)]
fn recolor_row<S: Sample>([r, g, b]: [&[S]; 3], [red, green, blue]: [&mut [S]; 3], white: f32) {
    let luma = |rgb: [f32; 3]| rgb[0] * LUMA[0] + rgb[1] * LUMA[1] + rgb[2] * LUMA[2];
    let stylized = red.iter_mut().zip(green).zip(blue);
    for (((red, green), blue), ((r, g), b)) in stylized.zip(r.iter().zip(g).zip(b)) {
        let old = [r.to_f32(), g.to_f32(), b.to_f32()];
        let change = luma([red.to_f32(), green.to_f32(), blue.to_f32()]) - luma(old);
        let [r, g, b] = old.map(|v| S::from_f32((v + change).clamp(0.0, white)));
        (*red, *green, *blue) = (r, g, b);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape { width: 2, height: 1, white: 255 };

    fn mixed(original: [[u8; 2]; 3], mut stylized: [[u8; 2]; 3], how: Mix) -> [[u8; 2]; 3] {
        let image = Image::new([&original[0][..], &original[1][..], &original[2][..]], [2; 3], SHAPE).unwrap();
        let [r, g, b] = &mut stylized;
        mix(&image, &mut ImageMut::new([&mut r[..], &mut g[..], &mut b[..]], [2; 3], SHAPE).unwrap(), how);
        stylized
    }

    #[test]
    fn strength_interpolates_between_both_frames() {
        let (original, stylized) = ([[0, 100], [10, 100], [20, 100]], [[255, 50], [110, 50], [20, 50]]);
        let at = |strength| mixed(original, stylized, Mix { strength, preserve_color: false });
        assert_eq!(at(1.0), stylized);
        assert_eq!(at(0.0), original);
        assert_eq!(at(0.5), [[128, 75], [60, 75], [20, 75]]);
    }

    #[test]
    fn preserve_color_keeps_chroma_and_takes_luma() {
        let (original, stylized) = ([[100, 90], [60, 90], [20, 90]], [[150, 30], [150, 30], [150, 30]]);
        let result = mixed(original, stylized, Mix { strength: 1.0, preserve_color: true });
        let luma = |image: &[[u8; 2]; 3], x: usize| (0..3).map(|c| LUMA[c] * f32::from(image[c][x])).sum::<f32>();
        for x in 0..2 {
            assert!((luma(&result, x) - luma(&stylized, x)).abs() < 1.0);
            let difference = |i: &[[u8; 2]; 3]| i16::from(i[0][x]) - i16::from(i[2][x]);
            assert!((difference(&result) - difference(&original)).abs() <= 1);
        }
    }
}
