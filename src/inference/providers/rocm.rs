//! ROCm on an AMD GPU: ONNX Runtime up to 1.22 has it; MIGraphX takes its place later.
//!
//! Costs: a session takes seconds. Not run on a GPU.

use ort::ep::{self, ExecutionProvider};

use super::{Preparation, Probe, Provider, configured};

pub(super) const ROW: Provider = Provider {
    name: "rocm",
    hardware: "AMD GPU, ROCm",
    package: Some("onnxruntime-rocm"),
    is_built_in: ep::ROCm::is_available,
    in_auto: true,
    preparation: Preparation::Seconds,
    probe: Probe::Registration,
    build: |options| configured::<ep::ROCm>(vec![("device_id", options.device_id.to_string())]),
    ..Provider::PLAIN
};
