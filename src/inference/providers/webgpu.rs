//! WebGPU by way of Dawn: any GPU with a Vulkan driver.
//!
//! Costs: a session takes seconds, and the first run compiles shaders, up to a minute where the driver has none cached.
//! Dawn **aborts the process** where the driver lacks a feature that it needs; so the first session of a process is tried in
//! a child process ([`Probe::Child`]). All sessions of a process share one device context without a lock of its own: a
//! session that was made while another one ran crashed, so they take turns ([`Provider::is_exclusive`]).

use ort::ep::{self, ExecutionProvider};

use super::{Preparation, Probe, Provider, configured};

pub(super) const ROW: Provider = Provider {
    name: "webgpu",
    hardware: "GPU, WebGPU (Dawn)",
    package: Some("onnxruntime-webgpu"),
    is_built_in: ep::WebGPU::is_available,
    preparation: Preparation::Seconds,
    probe: Probe::Child,
    is_exclusive: true,
    build: |options| configured::<ep::WebGPU>(vec![("deviceId", options.device_id.to_string())]),
    ..Provider::PLAIN
};
