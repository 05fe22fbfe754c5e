//! Pixels: views of planar RGB images, sizes, the mix of two frames, SIMD helpers, work on several threads.
//!
//! Input: borrowed planes. Output: rows, sizes, mixed rows. This module depends on no other one.

pub mod image;
pub mod lanes;
pub mod mix;
pub mod size;
pub mod threads;
