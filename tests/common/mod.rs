//! What the integration tests share: tiny ONNX models, pipelines that end, frames that are compared.
#![allow(dead_code, reason = "every test binary uses its own part")]

pub mod frames;
pub mod onnx;
pub mod run;
