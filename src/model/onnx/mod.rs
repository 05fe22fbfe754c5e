//! ONNX files: one reader and one editor.
//!
//! Comes in: a path or the bytes of a model. Goes out: a checked file, or the bytes of a changed model.

pub mod editor;
pub mod reader;
