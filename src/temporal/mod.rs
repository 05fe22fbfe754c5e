//! Stable in time: the history of stylized frames, and the blend with it.
//!
//! Comes in: input frames and their stylized frames. Goes out: the stylized frames without flicker.

mod delayed;
pub mod estimator;
pub mod history;
pub mod stabilizer;
