//! Who decides how often and how large inference runs: the governor, the pace of each frame, the reported latency.
//!
//! Comes in: how long frames took and when they were due. Goes out: a plan for the next frame, and a latency to report.

pub mod governor;
pub mod lag;
pub mod latency;
pub mod pace;
pub mod rate;
pub mod watchdog;
