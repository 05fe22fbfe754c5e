//! What must be known of a model before it runs.
//!
//! Comes in: the tensors a file declares, its metadata, the user's overrides. Goes out: one validated [`Contract`].

pub mod contract;
pub mod embedded;
pub mod facts;
pub mod hints;
pub mod onnx_edit;
pub mod onnx_file;
pub mod recurrent;
pub mod style_weights;
pub mod sub_pixel;

pub use contract::Contract;
