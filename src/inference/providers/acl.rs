//! Arm's Compute Library on the CPU: only in builds of ONNX Runtime made for it. Not run here.
//!
//! Costs: a session takes seconds.

use ort::ep::{self, ExecutionProvider};

use super::{Preparation, Probe, Provider};

pub(super) const ROW: Provider = Provider {
    name: "acl",
    hardware: "Arm CPU, Compute Library",
    is_built_in: ep::ACL::is_available,
    preparation: Preparation::Seconds,
    probe: Probe::Registration,
    build: |_| ep::ACL::default().build(),
    ..Provider::PLAIN
};
