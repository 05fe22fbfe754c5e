//! OpenVINO on the CPU: about 15 % faster than ONNX Runtime's own kernels where the processor has AVX-512.
//!
//! Costs: a session takes some tenths of a second on all cores. Compiled models are kept in the cache folder.
//!
//! The only provider here on which a model's int8 variant is faster than the model; `precision=auto` takes it where the
//! processor multiplies bytes exactly ([`multiplies_bytes`]).

use ort::ep::{self, ExecutionProvider};

use super::{Options, Precision, Preparation, Probe, Provider, Setting, configured};

pub(super) const ROW: Provider = Provider {
    name: "openvino",
    hardware: "CPU, OpenVINO",
    package: Some("onnxruntime-openvino"),
    is_built_in: ep::OpenVINO::is_available,
    prefers_int8: Some(multiplies_bytes),
    in_auto: true,
    preparation: Preparation::Tenths,
    probe: Probe::Registration,
    keeps_engines: true,
    build: |options| configured::<ep::OpenVINO>(settings(options)),
    ..Provider::PLAIN
};

/// <https://onnxruntime.ai/docs/execution-providers/OpenVINO-ExecutionProvider.html>
fn settings(options: &Options) -> Vec<Setting> {
    let mut list = vec![("device_type", "CPU".to_owned()), ("num_of_threads", options.threads.to_string())];
    list.extend(options.cache_text().map(|folder| ("cache_dir", folder)));
    if options.precision == Precision::Fp32 {
        list.push(("precision", "FP32".to_owned()));
    }
    list
}

/// Whether the processor has instructions that multiply bytes and add in 32 bits (VNNI; every processor with AMX has them
/// too). Without them OpenVINO adds in 16 bits, which saturate: stylized frames were 2.9 to 6.5/255 away from single
/// precision, visibly flatter, against 0.5 to 2.0 with VNNI. Other architectures were not measured.
fn multiplies_bytes() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("avx512vnni") || std::arch::is_x86_feature_detected!("avxvnni");
    #[cfg(not(target_arch = "x86_64"))]
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn threads_cache_and_precision_are_passed_on() {
        let options =
            Options { threads: 3, cache: Some(Path::new("/c")), precision: Precision::Fp32, ..Options::default() };
        let list = settings(&options);
        let expected = [("device_type", "CPU"), ("num_of_threads", "3"), ("cache_dir", "/c"), ("precision", "FP32")];
        assert_eq!(list, expected.map(|(name, value)| (name, value.to_owned())));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn int8_is_automatic_only_with_instructions_for_it() {
        let flags = std::fs::read_to_string("/proc/cpuinfo").unwrap();
        let has = ["avx512_vnni", "avx_vnni"].iter().any(|flag| flags.split_whitespace().any(|word| word == *flag));
        assert_eq!(ROW.takes_int8(Precision::Auto), has);
        assert!(ROW.takes_int8(Precision::Int8) && !ROW.takes_int8(Precision::Fp32));
    }
}
