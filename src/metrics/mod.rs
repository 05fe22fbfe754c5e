//! Metrics of a stylized video: warping error, sharpness, lag.
//!
//! Input: stylized frames (planar RGB, 0..=1) and the motion of their input frames. Output: numbers, offline for whole
//! videos and live for the element's statistics.

pub mod lag;
pub mod meter;
pub mod sharpness;
pub mod warping_error;
