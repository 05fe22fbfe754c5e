//! What must be known of a model before it runs.
//!
//! Comes in: the tensors that a file declares, its metadata, the user's overrides. Goes out: one validated [`Contract`].

pub mod built_in;
pub mod contract;
pub mod facts;
pub mod file;
pub mod metadata;
pub mod modelinfo;
pub mod onnx;
pub mod recurrent;
mod roles;
pub mod style_file;
pub mod style_weights;
pub mod sub_pixel;

pub use contract::Contract;
