//! ONNX Runtime's own kernels: every build has them.
//!
//! Costs: a session takes milliseconds, so one is made for every size and style, even beside the frames of a live source.

use ort::ep;

use super::{Preparation, Provider};

pub(super) const ROW: Provider = Provider {
    name: super::CPU,
    hardware: "CPU",
    is_built_in: || Ok(true),
    in_auto: true,
    preparation: Preparation::Milliseconds,
    build: |_| ep::CPU::default().with_arena_allocator(true).build(),
    ..Provider::PLAIN
};
