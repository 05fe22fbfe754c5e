//! CANN on Huawei's Ascend NPUs: only in builds of ONNX Runtime made for it. Not run here.
//!
//! Costs: a session takes seconds.

use ort::ep::{self, ExecutionProvider};

use super::{Preparation, Probe, Provider, configured};

pub(super) const ROW: Provider = Provider {
    name: "cann",
    hardware: "Ascend NPU, CANN",
    package: Some("onnxruntime-cann"),
    is_built_in: ep::CANN::is_available,
    preparation: Preparation::Seconds,
    probe: Probe::Registration,
    build: |options| configured::<ep::CANN>(vec![("device_id", options.device_id.to_string())]),
    ..Provider::PLAIN
};
