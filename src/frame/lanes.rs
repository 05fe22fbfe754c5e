//! SIMD helpers: loads and stores of eight values in rows of any length.
//!
//! Input: slices. Output: vectors of `fearless_simd`, for the instruction set that the processor has at run time.
//! Everything called inside `dispatch!` must be inlined, or it is compiled for the baseline instruction set: mark
//! functions and closures
//! `#[inline(always)]`, and do not `map` over arrays of vectors.

use fearless_simd::{Level, f32x4, f32x8, f32x16, prelude::*};

/// Values in a vector.
pub const LANES: usize = 8;

/// The processor's instruction set.
pub fn level() -> Level {
    Level::new()
}

/// Loads values `x..x + 8` of a line; 0 beyond its end.
#[inline(always)]
pub fn load<S: Simd>(simd: S, line: &[f32], x: usize) -> f32x8<S> {
    let rest = &line[x..];
    match rest.first_chunk::<LANES>() {
        Some(whole) => eight(simd, whole),
        None => {
            let mut part = [0.0; LANES];
            part[..rest.len()].copy_from_slice(rest);
            eight(simd, &part)
        }
    }
}

/// Stores values `x..x + 8` of a line, up to its end.
#[inline(always)]
pub fn store<S: Simd>(values: f32x8<S>, line: &mut [f32], x: usize) {
    let rest = &mut line[x..];
    match rest.first_chunk_mut::<LANES>() {
        Some(eight) => values.store_array(eight),
        None => {
            let count = rest.len();
            rest.copy_from_slice(&values.as_slice()[..count]);
        }
    }
}

/// Loads eight values.
#[inline(always)]
pub fn eight<S: Simd>(simd: S, values: &[f32; LANES]) -> f32x8<S> {
    f32x8::load_array_ref(simd, values)
}

/// Joins four pixels of four values each.
#[inline(always)]
pub fn four<S: Simd>(a: f32x4<S>, b: f32x4<S>, c: f32x4<S>, d: f32x4<S>) -> f32x16<S> {
    a.combine(b).combine(c.combine(d))
}

/// The indices of the columns `x..x + 8`.
#[inline(always)]
pub fn columns<S: Simd>(simd: S, x: usize) -> f32x8<S> {
    eight(simd, &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]) + x as f32
}

/// Clamps to 0..=1.
#[inline(always)]
pub fn unit<S: Simd>(values: f32x8<S>) -> f32x8<S> {
    values.max(0.0).min(1.0)
}

/// Deinterleaves eight pixels of four values each: the first values of all, the second ones, and so on.
#[inline(always)]
pub fn planes_of<S: Simd>(simd: S, left: f32x16<S>, right: f32x16<S>) -> [f32x8<S>; 4] {
    let [a, b, c, d] = simd.load_four_interleaved_f32x4(left.as_array());
    let [e, f, g, h] = simd.load_four_interleaved_f32x4(right.as_array());
    [a.combine(e), b.combine(f), c.combine(g), d.combine(h)]
}

/// Interleaves four planes and stores them as pixels `x..x + 8` of a line, up to its end.
#[inline(always)]
pub fn store_pixels<S: Simd>(simd: S, planes: [f32x8<S>; 4], line: &mut [[f32; 4]], x: usize) {
    let (rest, pixels) = (&mut line[x..], pixels_of(simd, planes));
    match rest.first_chunk_mut::<LANES>() {
        Some(eight) => *eight = pixels,
        None => {
            let count = rest.len();
            rest.copy_from_slice(&pixels[..count]);
        }
    }
}

/// Interleaves four planes of eight values: eight pixels of four values each.
#[inline(always)]
pub fn pixels_of<S: Simd>(simd: S, planes: [f32x8<S>; 4]) -> [[f32; 4]; LANES] {
    let [a, b, c, d] = planes;
    let (a, b, c, d) = (a.split(), b.split(), c.split(), d.split());
    let mut pixels = [[0.0; 4]; LANES];
    let (halves, _) = pixels.as_flattened_mut().as_chunks_mut::<16>();
    simd.store_four_interleaved_f32x4([a.0, b.0, c.0, d.0], &mut halves[0]);
    simd.store_four_interleaved_f32x4([a.1, b.1, c.1, d.1], &mut halves[1]);
    pixels
}

#[cfg(test)]
mod tests {
    use fearless_simd::dispatch;

    use super::*;

    #[test]
    fn lines_of_any_length_are_loaded_and_stored_to_their_end() {
        let line: Vec<f32> = (0..21).map(|i| i as f32).collect();
        for count in [1, 7, 8, 9, 16, 21] {
            let mut copy = vec![-1.0; count];
            dispatch!(level(), simd => {
                for x in (0..count).step_by(LANES) {
                    store(load(simd, &line[..count], x), &mut copy, x);
                }
            });
            assert_eq!(copy, line[..count]);
        }
    }

    #[test]
    fn pixels_deinterleave_and_interleave() {
        let mut pixels = [[0.0; 4]; LANES];
        pixels.as_flattened_mut().iter_mut().enumerate().for_each(|(i, v)| *v = i as f32);
        dispatch!(level(), simd => {
            let (halves, _) = pixels.as_flattened().as_chunks::<16>();
            let half = |i: usize| f32x16::load_array(simd, halves[i]);
            let planes = planes_of(simd, half(0), half(1));
            assert_eq!(planes[1].as_slice(), [1.0, 5.0, 9.0, 13.0, 17.0, 21.0, 25.0, 29.0]);
            assert_eq!(pixels_of(simd, planes), pixels);
        });
    }
}
