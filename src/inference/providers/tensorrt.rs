//! TensorRT on an NVIDIA GPU: the fastest there, after an engine was built.
//!
//! Costs: building an engine takes minutes, for every model and frame size; it is kept in the cache folder and read again in
//! seconds. Needs `libnvinfer.so.10`, `libnvonnxparser.so.10`, CUDA and cuDNN.
//!
//! - An engine is built for one frame size. For sizes that it does not know TensorRT would build anew in the middle of the
//!   stream, so the session is made for the frame's size ([`Shapes::Fixed`]); dimensions without a name in the model, which
//!   cannot be fixed by name, are fixed by a profile whose smallest, largest and best shape are the same.
//! - The provider names an engine after the graph and its tensors, not after the weights: two models of one architecture
//!   would share it, and the wrong style would appear. Every engine's name begins with a digest of model, shapes, precision
//!   and versions.
//! - CUDA is registered behind it: what TensorRT refuses runs there and not on the CPU.
//!
//! Written after ONNX Runtime's documentation and source; it was not run on a GPU.

use ort::ep::{self, ExecutionProvider};

use super::{Options, Precision, Preparation, Probe, Provider, Setting, Shapes, configured, cuda, flag};

pub(super) const ROW: Provider = Provider {
    name: "tensorrt",
    hardware: "NVIDIA GPU, TensorRT",
    package: Some("onnxruntime-gpu"),
    is_built_in: ep::TensorRT::is_available,
    half_precision: true,
    in_auto: true,
    preparation: Preparation::Minutes,
    shapes: Shapes::Fixed,
    probe: Probe::Registration,
    keeps_engines: true,
    behind: Some(&cuda::ROW),
    build: |options| {
        crate::inference::library::preload_cuda();
        configured::<ep::TensorRT>(settings(options))
    },
    ..Provider::PLAIN
};

/// <https://onnxruntime.ai/docs/execution-providers/TensorRT-ExecutionProvider.html>
fn settings(options: &Options) -> Vec<Setting> {
    let mut list = vec![
        ("device_id", options.device_id.to_string()),
        ("trt_fp16_enable", flag(options.precision != Precision::Fp32)),
    ];
    if let Some(folder) = options.cache_text() {
        list.extend([
            ("trt_engine_cache_enable", flag(true)),
            ("trt_engine_cache_path", folder.clone()),
            ("trt_engine_cache_prefix", options.engine.to_owned()),
            ("trt_timing_cache_enable", flag(true)),
            ("trt_timing_cache_path", folder),
        ]);
    }
    if !options.shapes.is_empty() {
        let shapes = profile(options.shapes);
        for name in ["trt_profile_min_shapes", "trt_profile_max_shapes", "trt_profile_opt_shapes"] {
            list.push((name, shapes.clone()));
        }
    }
    list
}

/// `input:1x3x360x640,previous:1x3x360x640`
pub(super) fn profile(shapes: &[(String, Vec<i64>)]) -> String {
    let shape = |dims: &[i64]| dims.iter().map(i64::to_string).collect::<Vec<_>>().join("x");
    shapes.iter().map(|(name, dims)| format!("{name}:{}", shape(dims))).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn value(list: &[Setting], name: &str) -> Option<String> {
        list.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
    }

    #[test]
    fn engines_are_named_after_the_model_and_built_for_one_shape() {
        let shapes = [("x".to_owned(), vec![1, 3, 360, 640]), ("previous".to_owned(), vec![1, 3, 360, 640])];
        let options = Options { cache: Some(Path::new("/c")), engine: "abc", shapes: &shapes, ..Options::default() };
        let list = settings(&options);
        assert_eq!(value(&list, "trt_engine_cache_prefix").as_deref(), Some("abc"));
        assert_eq!(value(&list, "trt_engine_cache_path").as_deref(), Some("/c"));
        for name in ["trt_profile_min_shapes", "trt_profile_max_shapes", "trt_profile_opt_shapes"] {
            assert_eq!(value(&list, name).as_deref(), Some("x:1x3x360x640,previous:1x3x360x640"));
        }
        let list = settings(&Options { precision: Precision::Fp32, device_id: 1, ..Options::default() });
        assert_eq!(list, [("device_id", "1".to_owned()), ("trt_fp16_enable", "0".to_owned())]);
    }
}
