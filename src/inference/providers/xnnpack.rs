//! XNNPACK's kernels on the CPU, made for Arm and the web: only in builds of ONNX Runtime made for it. Not run here.
//!
//! Costs: a session takes milliseconds.

use ort::ep::{self, ExecutionProvider};

use super::{Preparation, Probe, Provider};

pub(super) const ROW: Provider = Provider {
    name: "xnnpack",
    hardware: "CPU, XNNPACK",
    is_built_in: ep::XNNPACK::is_available,
    preparation: Preparation::Milliseconds,
    probe: Probe::Registration,
    build: |_| ep::XNNPACK::default().build(),
    ..Provider::PLAIN
};
