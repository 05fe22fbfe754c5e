//! The table of execution providers, the order in which `auto` tries them, strict or falling back.
//!
//! Comes in: what the user asked for. Goes out: the attempts to make, each ready to register with a session.

pub mod choice;

use std::path::Path;

use anyhow::{Result, bail};
use ort::ep::{self, ArbitrarilyConfigurableExecutionProvider, ExecutionProvider, ExecutionProviderDispatch};

pub mod slow;

/// Arithmetic of the inference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// What the provider does best: half precision on GPUs' TensorRT, 8 bit integers on OpenVINO where the model has such
    /// a variant, single elsewhere.
    #[default]
    Auto,
    /// Single precision throughout.
    Fp32,
    /// Half precision, where the provider has it.
    Fp16,
    /// 8 bit integers, where the model has such a variant.
    Int8,
}

/// What a provider is configured with.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    /// Number of the device, where the provider has several.
    pub device_id: i32,
    /// Arithmetic.
    pub precision: Precision,
    /// Threads for providers that have their own pool; 0: as many as cores.
    pub threads: usize,
    /// Folder for prepared engines.
    pub cache: Option<&'a Path>,
}

impl Options<'_> {
    fn cache_text(&self) -> Option<String> {
        self.cache.map(|path| path.to_string_lossy().into_owned())
    }
}

/// How long a session takes to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Preparation {
    /// So little that one can be made beside the frames of a live source.
    Milliseconds,
    /// Some tenths of a second, on all cores: little enough that one is made for every style that is chosen.
    Tenths,
    /// Some seconds: the model goes to a device.
    Seconds,
    /// An engine is built for the device: others compute meanwhile.
    Minutes,
}

/// One row of the table.
pub struct Provider {
    /// The name that property `execution-provider` takes.
    pub name: &'static str,
    /// What it runs on.
    pub hardware: &'static str,
    /// Whether the loaded library was built with it (not whether it can be used).
    pub is_built_in: fn() -> ort::Result<bool>,
    /// Whether `precision=fp16` means something to it.
    pub half_precision: bool,
    /// Whether a model's int8 variant is faster on it than the model itself.
    pub prefers_int8: bool,
    /// Whether `auto` tries it, in the order of the table.
    pub in_auto: bool,
    /// How long a session takes to make.
    pub preparation: Preparation,
    build: fn(&Options) -> ExecutionProviderDispatch,
}

/// Every provider; `auto` goes from top to bottom.
pub const PROVIDERS: &[Provider] = &[
    Provider {
        name: "tensorrt",
        hardware: "NVIDIA GPU, TensorRT",
        is_built_in: ep::TensorRT::is_available,
        half_precision: true,
        prefers_int8: false,
        in_auto: true,
        preparation: Preparation::Minutes,
        build: tensorrt,
    },
    Provider {
        name: "cuda",
        hardware: "NVIDIA GPU, CUDA and cuDNN",
        is_built_in: ep::CUDA::is_available,
        half_precision: false,
        prefers_int8: false,
        in_auto: true,
        preparation: Preparation::Seconds,
        build: cuda,
    },
    Provider {
        name: "migraphx",
        hardware: "AMD GPU, MIGraphX",
        is_built_in: ep::MIGraphX::is_available,
        half_precision: true,
        prefers_int8: false,
        in_auto: true,
        preparation: Preparation::Minutes,
        build: migraphx,
    },
    Provider {
        name: "rocm",
        hardware: "AMD GPU, ROCm",
        is_built_in: ep::ROCm::is_available,
        half_precision: false,
        prefers_int8: false,
        in_auto: true,
        preparation: Preparation::Seconds,
        build: |o| ep::ROCm::default().with_device_id(o.device_id).build(),
    },
    Provider {
        name: "openvino",
        hardware: "CPU, OpenVINO",
        is_built_in: ep::OpenVINO::is_available,
        half_precision: false,
        prefers_int8: true,
        in_auto: true,
        preparation: Preparation::Tenths,
        build: openvino,
    },
    Provider {
        name: "cpu",
        hardware: "CPU",
        is_built_in: ep::CPU::is_available,
        half_precision: false,
        prefers_int8: false,
        in_auto: true,
        preparation: Preparation::Milliseconds,
        build: |_| ep::CPU::default().build(),
    },
    Provider {
        name: "nvrtx",
        hardware: "NVIDIA RTX GPU, TensorRT for RTX",
        is_built_in: ep::NVRTX::is_available,
        half_precision: false,
        prefers_int8: false,
        in_auto: false,
        preparation: Preparation::Minutes,
        build: |o| ep::NVRTX::default().with_device_id(o.device_id.unsigned_abs()).build(),
    },
    Provider {
        name: "webgpu",
        hardware: "GPU, WebGPU (Dawn)",
        is_built_in: ep::WebGPU::is_available,
        half_precision: false,
        prefers_int8: false,
        in_auto: false,
        preparation: Preparation::Seconds,
        build: |o| ep::WebGPU::default().with_device_id(o.device_id).build(),
    },
    Provider {
        name: "onednn",
        hardware: "CPU, oneDNN",
        is_built_in: ep::OneDNN::is_available,
        half_precision: false,
        prefers_int8: false,
        in_auto: false,
        preparation: Preparation::Milliseconds,
        build: |_| ep::OneDNN::default().build(),
    },
    Provider {
        name: "xnnpack",
        hardware: "CPU, XNNPACK",
        is_built_in: ep::XNNPACK::is_available,
        half_precision: false,
        prefers_int8: false,
        in_auto: false,
        preparation: Preparation::Milliseconds,
        build: |_| ep::XNNPACK::default().build(),
    },
    Provider {
        name: "acl",
        hardware: "Arm CPU, Compute Library",
        is_built_in: ep::ACL::is_available,
        half_precision: false,
        prefers_int8: false,
        in_auto: false,
        preparation: Preparation::Seconds,
        build: |_| ep::ACL::default().build(),
    },
    Provider {
        name: "cann",
        hardware: "Ascend NPU, CANN",
        is_built_in: ep::CANN::is_available,
        half_precision: false,
        prefers_int8: false,
        in_auto: false,
        preparation: Preparation::Seconds,
        build: |o| ep::CANN::default().with_device_id(o.device_id).build(),
    },
    #[cfg(test)]
    slow::ROW,
];

/// The provider that every build of the runtime has.
pub const CPU: &str = "cpu";

fn tensorrt(options: &Options) -> ExecutionProviderDispatch {
    let half = options.precision != Precision::Fp32;
    let provider = ep::TensorRT::default().with_device_id(options.device_id).with_fp16(half);
    match options.cache_text() {
        Some(folder) => provider
            .with_engine_cache(true)
            .with_engine_cache_path(&folder)
            .with_timing_cache(true)
            .with_timing_cache_path(&folder)
            .build(),
        None => provider.build(),
    }
}

fn cuda(options: &Options) -> ExecutionProviderDispatch {
    ep::CUDA::default().with_device_id(options.device_id).with_tf32(options.precision != Precision::Fp32).build()
}

fn migraphx(options: &Options) -> ExecutionProviderDispatch {
    ep::MIGraphX::default().with_device_id(options.device_id).with_fp16(options.precision == Precision::Fp16).build()
}

fn openvino(options: &Options) -> ExecutionProviderDispatch {
    let mut provider = ep::OpenVINO::default().with_device_type("CPU");
    if options.threads > 0 {
        provider = provider.with_num_threads(options.threads);
    }
    if let Some(folder) = options.cache_text() {
        provider = provider.with_cache_dir(folder);
    }
    if options.precision == Precision::Fp32 {
        provider = provider.with_arbitrary_config("precision", "FP32");
    }
    provider.build()
}

impl Provider {
    /// The row of a name.
    ///
    /// # Errors
    /// An unknown name, with the names there are.
    pub fn find(name: &str) -> Result<&'static Provider> {
        match PROVIDERS.iter().find(|p| p.name == name) {
            Some(provider) => Ok(provider),
            None => {
                let names: Vec<_> = PROVIDERS.iter().map(|p| p.name).collect();
                bail!("no execution provider is named '{name}'; there are: auto, {}", names.join(", "))
            }
        }
    }

    /// Whether int8 variants are to be used with a wish for `precision`.
    pub fn takes_int8(&self, precision: Precision) -> bool {
        precision == Precision::Int8 || (precision == Precision::Auto && self.prefers_int8)
    }

    /// Ready to register; registering fails loudly.
    pub fn dispatch(&self, options: &Options) -> ExecutionProviderDispatch {
        (self.build)(options).error_on_failure()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_auto_ends_at_the_cpu() {
        let mut names: Vec<_> = PROVIDERS.iter().map(|p| p.name).collect();
        let last = PROVIDERS.iter().rfind(|p| p.in_auto).unwrap();
        assert_eq!(last.name, CPU);
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), PROVIDERS.len());
    }

    #[test]
    fn unknown_names_are_refused_with_the_list() {
        let error = Provider::find("gpu").err().unwrap().to_string();
        assert!(error.contains("'gpu'") && error.contains("tensorrt") && error.contains("auto"), "{error}");
    }
}
