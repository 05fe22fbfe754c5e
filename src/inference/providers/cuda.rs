//! CUDA and cuDNN on an NVIDIA GPU.
//!
//! Costs: a session takes seconds, most of them for loading the libraries (CUDA 12 or 13, cuDNN 9, as the library was built).
//!
//! - cuDNN's convolution algorithms are chosen by its heuristics. The default, an exhaustive search, tries all of them
//!   whenever a size is new, which stalls a stream that changes size; it pays for one size that stays for hours.
//! - `use_tf32`: matrix units of Ampere and later compute single precision with 10 bits of mantissa, unless
//!   `precision=fp32` asks for all 23. Half precision comes from a model in half precision only.
//! - `prefer_nhwc` stays off: it speeds up convolutions of half precision, but transposes at every operator that has no such
//!   form, and only some builds of the runtime have it.
//! - CUDA graphs stay off: they need inputs at fixed addresses, but inputs are bound anew for every run.
//!
//! Written after ONNX Runtime's documentation and source; it was not run on a GPU.

use ort::ep::{self, ExecutionProvider};

use super::{Options, Precision, Preparation, Probe, Provider, Setting, configured, flag};

pub(super) const ROW: Provider = Provider {
    name: "cuda",
    hardware: "NVIDIA GPU, CUDA and cuDNN",
    package: Some("onnxruntime-gpu"),
    is_built_in: ep::CUDA::is_available,
    in_auto: true,
    preparation: Preparation::Seconds,
    probe: Probe::Registration,
    build: |options| {
        crate::inference::library::preload_cuda();
        configured::<ep::CUDA>(settings(options))
    },
    ..Provider::PLAIN
};

/// <https://onnxruntime.ai/docs/execution-providers/CUDA-ExecutionProvider.html>
fn settings(options: &Options) -> Vec<Setting> {
    vec![
        ("device_id", options.device_id.to_string()),
        ("cudnn_conv_algo_search", "HEURISTIC".to_owned()),
        ("use_tf32", flag(options.precision != Precision::Fp32)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_that_change_do_not_search_anew() {
        let of = |precision| settings(&Options { device_id: 2, precision, ..Options::default() });
        let text = |tf32: &str| {
            [("device_id", "2"), ("cudnn_conv_algo_search", "HEURISTIC"), ("use_tf32", tf32)]
                .map(|(k, v)| (k, v.to_owned()))
        };
        assert_eq!(of(Precision::Auto), text("1"));
        assert_eq!(of(Precision::Fp32), text("0"));
    }
}
