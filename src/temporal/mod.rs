//! Temporal stability: the history of stylized frames, warped along the motion and blended with each new one.
//!
//! Input: input frames and their stylized frames. Output: stylized frames without flicker, and frames that are
//! propagated along the motion without an inference of their own.

pub mod accumulate;
pub mod blend;
pub mod estimator;
pub mod history;
mod lookahead;
pub mod sharpen;
pub mod stabilizer;
pub mod statistics;
