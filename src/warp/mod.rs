//! Bicubic warp: the history sampled along the motion.
//!
//! Input: a history image and a motion field. Output: for eight pixels at a time the sampled colours, the confidence in
//! them and the blur that the interpolation causes. Also resizes a history when the inference size changes.

pub mod bicubic;
pub mod pixel;
pub mod positions;
pub mod resize;
