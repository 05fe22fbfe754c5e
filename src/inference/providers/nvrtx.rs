//! TensorRT for RTX on an NVIDIA RTX GPU.
//!
//! Costs: an engine is built on the GPU's machine within a minute, for one shape ([`Shapes::Fixed`]), and kept in the cache
//! folder. Not run on a GPU.

use ort::ep::{self, ExecutionProvider};

use super::tensorrt::profile;
use super::{Options, Preparation, Probe, Provider, Setting, Shapes, configured};

pub(super) const ROW: Provider = Provider {
    name: "nvrtx",
    hardware: "NVIDIA RTX GPU, TensorRT for RTX",
    is_built_in: ep::NVRTX::is_available,
    preparation: Preparation::Minutes,
    shapes: Shapes::Fixed,
    probe: Probe::Registration,
    keeps_engines: true,
    build: |options| {
        crate::inference::library::preload_cuda();
        configured::<ep::NVRTX>(settings(options))
    },
    ..Provider::PLAIN
};

/// <https://onnxruntime.ai/docs/execution-providers/TensorRTRTX-ExecutionProvider.html>
fn settings(options: &Options) -> Vec<Setting> {
    let mut list = vec![("device_id", options.device_id.to_string())];
    list.extend(options.cache_text().map(|folder| ("nv_runtime_cache_path", folder)));
    if !options.shapes.is_empty() {
        let shapes = profile(options.shapes);
        for name in ["nv_profile_min_shapes", "nv_profile_max_shapes", "nv_profile_opt_shapes"] {
            list.push((name, shapes.clone()));
        }
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn the_cache_and_the_shape_are_passed_on() {
        let shapes = [("x".to_owned(), vec![1, 3, 8, 8])];
        let list = settings(&Options { cache: Some(Path::new("/c")), shapes: &shapes, ..Options::default() });
        assert_eq!(list[1], ("nv_runtime_cache_path", "/c".to_owned()));
        assert_eq!(list[2..].iter().filter(|(_, value)| value == "x:1x3x8x8").count(), 3);
    }
}
