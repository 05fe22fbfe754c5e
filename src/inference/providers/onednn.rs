//! oneDNN's kernels on the CPU: only in builds of ONNX Runtime made for it. Not run here.
//!
//! Costs: a session takes milliseconds.

use ort::ep::{self, ExecutionProvider};

use super::{Preparation, Probe, Provider};

pub(super) const ROW: Provider = Provider {
    name: "onednn",
    hardware: "CPU, oneDNN",
    is_built_in: ep::OneDNN::is_available,
    preparation: Preparation::Milliseconds,
    probe: Probe::Registration,
    build: |_| ep::OneDNN::default().build(),
    ..Provider::PLAIN
};
