//! Pixels of the history: four 16-bit values, interleaved.
//!
//! Input: values of 0..=1, eight pixels at a time. Output: the same in 1/65535. 16 bits instead of floats, because the
//! warp is bound by memory bandwidth.

use fearless_simd::{f32x4, f32x8, f32x16, i32x8, prelude::*, u32x8};

use crate::frame::lanes::LANES;
use crate::tensor::egress::to_row;

/// Red, green, blue and accumulation weight (the largest share in the next blend); 0..=65535 for 0..=1.
pub type Pixel = [u16; 4];

/// A value of 1.
pub const WHITE: f32 = 65535.0;

/// A pixel of four values, clamped to 0..=1; NaN becomes 0.
pub fn pixel_of(values: [f32; 4]) -> Pixel {
    let mut pixel = Pixel::default();
    to_row(&values, &mut pixel, u16::MAX);
    pixel
}

/// The values of a pixel, 0..=65535.
#[inline(always)]
pub fn one<S: Simd>(simd: S, pixel: Pixel) -> f32x4<S> {
    f32x4::load_array(simd, pixel.map(f32::from))
}

/// The values of four pixels side by side, 0..=65535.
#[inline(always)]
pub fn four<S: Simd>(simd: S, pixels: &[u16; 16]) -> f32x16<S> {
    f32x16::load_array(simd, pixels.map(f32::from))
}

/// Stores eight pixels, whose values must lie in 0..=1, as pixels `x..x + 8` of a line, up to its end.
#[inline(always)]
pub fn store_eight<S: Simd>(simd: S, planes: [f32x8<S>; 4], line: &mut [Pixel], x: usize) {
    let [red, green, blue, weight] = planes;
    let (red, green) = whole(red).relaxed_narrow(whole(green)).split();
    let (blue, weight) = whole(blue).relaxed_narrow(whole(weight)).split();
    let rest = &mut line[x..];
    match rest.as_flattened_mut().first_chunk_mut() {
        Some(eight) => simd.store_four_interleaved_u16x8([red, green, blue, weight], eight),
        None => {
            let mut eight = [Pixel::default(); LANES];
            if let Some(eight) = eight.as_flattened_mut().first_chunk_mut() {
                simd.store_four_interleaved_u16x8([red, green, blue, weight], eight);
            }
            rest.copy_from_slice(&eight[..rest.len()]);
        }
    }
}

#[inline(always)]
fn whole<S: Simd>(values: f32x8<S>) -> u32x8<S> {
    (values * WHITE + 0.5).to_int::<i32x8<S>>().bitcast()
}

#[cfg(test)]
mod tests {
    use fearless_simd::dispatch;

    use super::*;
    use crate::frame::lanes::{eight, level};

    #[test]
    fn pixels_round_trip_in_lines_of_any_length() {
        let value = |i: usize| (i * 7919 % 1001) as f32 / 1000.0;
        let planes: Vec<[f32; LANES]> = (0..4).map(|c| std::array::from_fn(|i| value(4 * i + c))).collect();
        for count in [1, 4, 7, 8, 9] {
            let mut line = vec![[1; 4]; count];
            dispatch!(level(), simd => {
                let plane = |c: usize| eight(simd, &planes[c]);
                store_eight(simd, [plane(0), plane(1), plane(2), plane(3)], &mut line, 0);
            });
            for (i, pixel) in line.iter().enumerate() {
                let wanted = if i < LANES { pixel_of([0, 1, 2, 3].map(|c| value(4 * i + c))) } else { [1; 4] };
                assert_eq!(*pixel, wanted, "{i} of {count}");
                let again = dispatch!(level(), simd => one(simd, *pixel).to_array());
                assert!(
                    i >= LANES || again.iter().enumerate().all(|(c, v)| (v / WHITE - value(4 * i + c)).abs() < 1e-5)
                );
            }
        }
        assert_eq!(pixel_of([-1.0, 2.0, f32::NAN, 0.5]), [0, 65535, 0, 32768]);
    }
}
