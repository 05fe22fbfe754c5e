//! Stable in time: what is carried from one painting to the next.
//!
//! Comes in: planar RGB in 0..=1, frame after frame. Goes out: the same, steadier.

pub mod stabilizer;
