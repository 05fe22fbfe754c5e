//! Stable in time: what is carried from one painting to the next.
//!
//! Comes in: frames and their paintings. Goes out: the paintings, steadier.

pub mod balance;
pub mod blend;
pub mod blender;
pub mod canvas;
pub mod confidence;
pub mod estimator;
pub mod finish;
pub mod heirs;
mod held;
pub mod light;
pub mod meter;
pub mod metrics;
pub mod motion;
pub mod patch;
pub mod pixel;
pub mod places;
pub mod plane;
pub mod resize;
pub mod scene_cut;
pub mod stabilizer;
pub mod taps;
pub mod warp;
