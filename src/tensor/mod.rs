//! Between pixels and numbers: ranges, axis orders, channel orders, padding.
//!
//! Comes in: planar images. Goes out: tensors as a model wants them; and back again.
//! The only tensor that the rest of the crate computes with is planar RGB `f32` in 0..=1.

pub mod egress;
pub mod ingest;
pub mod layout;
pub mod placement;
pub mod resize;
pub mod shuffle;
