//! MIGraphX on an AMD GPU.
//!
//! Costs: it compiles the model for one shape, for minutes, so the session is made for the frame's size
//! ([`Shapes::Fixed`]). Half precision only where it is asked for. Not run on a GPU.

use ort::ep::{self, ExecutionProvider};

use super::{Precision, Preparation, Probe, Provider, Shapes};

pub(super) const ROW: Provider = Provider {
    name: "migraphx",
    hardware: "AMD GPU, MIGraphX",
    package: Some("onnxruntime-migraphx"),
    is_built_in: ep::MIGraphX::is_available,
    half_precision: true,
    in_auto: true,
    preparation: Preparation::Minutes,
    shapes: Shapes::Fixed,
    probe: Probe::Registration,
    build: |options| {
        let half = options.precision == Precision::Fp16;
        ep::MIGraphX::default().with_device_id(options.device_id).with_fp16(half).build()
    },
    ..Provider::PLAIN
};
