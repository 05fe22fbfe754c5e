//! ONNX files: one schema, one reader, one editor.
//!
//! Comes in: a path or the bytes of a model. Goes out: a checked file, or the bytes of a changed model.
//!
//! The schema is generated from ONNX's own `onnx-ml.proto` by `scripts/onnx-schema` (prost-build behind a Rust protobuf
//! compiler) and kept in the tree: a build needs neither `protoc` nor a generator. Crate `onnx-protobuf` would bring a
//! second protobuf runtime that copies every weight. The reader decodes whole messages, whose weights are slices of
//! the file. The editor decodes only the messages that it must understand and copies every other field as it lies in the
//! file, because prost drops fields that the schema does not know.

pub mod editor;
pub mod floats;
pub mod reader;
#[allow(missing_docs, clippy::all, reason = "generated")]
pub mod schema;
