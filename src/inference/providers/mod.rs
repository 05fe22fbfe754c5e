//! The execution providers: one file each with its options and costs; here the table and what all have in common.
//!
//! Comes in: device, precision, threads, a folder for engines. Goes out: a provider that is checked, and ready to register
//! with a session, behind it the one that takes over what it refuses.

mod acl;
mod cann;
pub mod choice;
mod cpu;
mod cuda;
mod migraphx;
mod nvrtx;
mod onednn;
mod openvino;
mod rocm;
#[cfg(any(test, feature = "test-support"))]
pub mod slow;
mod tensorrt;
mod webgpu;
mod xnnpack;

use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use ort::environment::Environment;
use ort::ep::{ArbitrarilyConfigurableExecutionProvider, ExecutionProviderDispatch};
use ort::session::Session;

use crate::frame::threads::lock;
use crate::inference::{child, errors, library};

/// Arithmetic of the inference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// Half precision on TensorRT; 8 bit integers on OpenVINO where the model has such a variant and the processor the
    /// instructions; single precision elsewhere.
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
#[derive(Debug, Clone, Copy, Default)]
pub struct Options<'a> {
    /// Number of the device, where the provider has several.
    pub device_id: i32,
    /// Arithmetic.
    pub precision: Precision,
    /// Threads of providers that have a pool of their own.
    pub threads: usize,
    /// Folder for prepared engines.
    pub cache: Option<&'a Path>,
    /// What the names of this session's engines begin with.
    pub engine: &'a str,
    /// Shapes of inputs with dimensions that the model leaves open.
    pub shapes: &'a [(String, Vec<i64>)],
}

impl Options<'_> {
    fn cache_text(&self) -> Option<String> {
        self.cache.map(|path| path.to_string_lossy().into_owned())
    }
}

/// An option of a provider as ONNX Runtime takes it.
type Setting = (&'static str, String);

/// A yes or no as ONNX Runtime takes it.
fn flag(value: bool) -> String {
    u8::from(value).to_string()
}

/// A provider with these options.
fn configured<E>(settings: Vec<Setting>) -> ExecutionProviderDispatch
where
    E: ArbitrarilyConfigurableExecutionProvider + Default + Into<ExecutionProviderDispatch>,
{
    settings
        .into_iter()
        .fold(E::default(), |provider, (name, value)| provider.with_arbitrary_config(name, value))
        .into()
}

/// How long a session takes to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Preparation {
    /// Milliseconds: one is made even beside the frames of a live source.
    Milliseconds,
    /// Some tenths of a second on all cores: one is made for every style that is chosen.
    Tenths,
    /// Some seconds, in which libraries are loaded and shaders compiled: as `Tenths`.
    Seconds,
    /// Minutes, in which an engine is built: another provider may stand in meanwhile.
    Minutes,
}

/// Shapes of tensors that a session may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shapes {
    /// One session for all sizes.
    Any,
    /// A session for each size: every dimension is known when it is made.
    Fixed,
}

/// How to find out quickly whether a provider can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// It always can.
    Nothing,
    /// By registering it: its libraries are loaded then.
    Registration,
    /// By running a tiny model in a child process, because a failure may end the process.
    Child,
}

/// One row of the table.
pub struct Provider {
    /// The name that property `execution-provider` takes.
    pub name: &'static str,
    /// What it runs on.
    pub hardware: &'static str,
    /// Package on PyPI whose ONNX Runtime has it.
    pub package: Option<&'static str>,
    /// Whether the loaded library was built with it (not whether it can be used).
    pub is_built_in: fn() -> ort::Result<bool>,
    /// Whether `precision=fp16` changes something.
    pub half_precision: bool,
    /// Where a model's int8 variant can be faster than the model: whether it is, and as good, on this processor.
    pub prefers_int8: Option<fn() -> bool>,
    /// Whether `auto` tries it, in the order of the table.
    pub in_auto: bool,
    /// How long a session takes to make.
    pub preparation: Preparation,
    /// Shapes that its sessions take.
    pub shapes: Shapes,
    /// How to find out whether it can be used.
    pub probe: Probe,
    /// Whether it reads and writes engines in the cache folder.
    pub keeps_engines: bool,
    /// Whether its sessions share one device that takes one thread at a time: then no two of them run, are made or are
    /// dropped at the same time.
    pub is_exclusive: bool,
    /// The provider that runs what this one refuses, before the CPU does.
    pub behind: Option<&'static Provider>,
    build: fn(&Options) -> ExecutionProviderDispatch,
}

/// Every provider; `auto` goes from top to bottom.
pub const PROVIDERS: &[Provider] = &[
    tensorrt::ROW,
    cuda::ROW,
    migraphx::ROW,
    rocm::ROW,
    openvino::ROW,
    cpu::ROW,
    nvrtx::ROW,
    webgpu::ROW,
    onednn::ROW,
    xnnpack::ROW,
    acl::ROW,
    cann::ROW,
];

/// The provider that every build of the runtime has.
pub const CPU: &str = "cpu";

/// The table, with those for tests.
pub(super) fn all() -> impl Iterator<Item = &'static Provider> {
    #[cfg(any(test, feature = "test-support"))]
    return PROVIDERS.iter().chain(slow::ROWS);
    #[cfg(not(any(test, feature = "test-support")))]
    PROVIDERS.iter()
}

/// Time for a child process to try a provider: a driver may compile its first shaders.
const CHILD_LIMIT: Duration = Duration::from_secs(60);

/// A graph of one node, `y = Relu(x)` on one number: ONNX of IR version 7 and opset 13.
pub(super) const TINY: &[u8] = b"\x08\x07\x3a\x33\x0a\x0c\x0a\x01x\x12\x01y\x22\x04Relu\x12\x01g\x5a\x0f\x0a\x01x\x12\x0a\x0a\x08\x08\
    \x01\x12\x04\x0a\x02\x08\x01\x62\x0f\x0a\x01y\x12\x0a\x0a\x08\x08\x01\x12\x04\x0a\x02\x08\x01\x42\x04\x0a\x00\x10\x0d";

impl Provider {
    /// What most rows have in common.
    const PLAIN: Provider = Provider {
        name: "",
        hardware: "",
        package: None,
        is_built_in: || Ok(false),
        half_precision: false,
        prefers_int8: None,
        in_auto: false,
        preparation: Preparation::Seconds,
        shapes: Shapes::Any,
        probe: Probe::Nothing,
        keeps_engines: false,
        is_exclusive: false,
        behind: None,
        build: |_| ort::ep::CPU::default().build(),
    };

    /// The row of a name.
    ///
    /// # Errors
    /// An unknown name, with the names there are.
    pub fn find(name: &str) -> Result<&'static Provider> {
        match all().find(|p| p.name == name) {
            Some(provider) => Ok(provider),
            None => {
                let names: Vec<_> = PROVIDERS.iter().map(|p| p.name).collect();
                bail!("no execution provider is named '{name}'; there are: auto, {}", names.join(", "))
            }
        }
    }

    /// Whether int8 variants are used with this setting of `precision`.
    pub fn takes_int8(&self, precision: Precision) -> bool {
        precision == Precision::Int8
            || (precision == Precision::Auto && self.prefers_int8.is_some_and(|prefers| prefers()))
    }

    /// This provider and those behind it, each ready to register. A failure to register is an error.
    pub fn dispatches(&self, options: &Options) -> Vec<ExecutionProviderDispatch> {
        let row = std::iter::successors(Some(self), |provider| provider.behind);
        row.map(|provider| (provider.build)(options).error_on_failure()).collect()
    }

    /// Finds out within seconds whether it can be used, without making a session of a model.
    ///
    /// # Errors
    /// The library was built without it, or the runtime's reason: as a rule a library that is missing.
    pub fn check(&self, environment: &Environment, options: &Options) -> Result<()> {
        if !(self.is_built_in)().unwrap_or(false) {
            let mends = self.package.map_or(String::new(), |package| {
                format!(
                    ": 'pip install {package}' has one, and the environment variable {} names it",
                    library::VARIABLE
                )
            });
            bail!("{} was built without it{mends}", library::in_use());
        }
        match self.probe {
            Probe::Nothing => Ok(()),
            Probe::Registration => self.register(environment, options),
            Probe::Child => self.try_in_child(environment, options),
        }
    }

    fn register(&self, environment: &Environment, options: &Options) -> Result<()> {
        let builder = Session::builder(environment).map_err(errors::plain)?;
        builder.with_execution_providers(self.dispatches(options)).map(|_| ()).map_err(errors::plain)
    }

    /// Once in a process for each device.
    fn try_in_child(&self, environment: &Environment, options: &Options) -> Result<()> {
        static USABLE: Mutex<Vec<(&str, i32)>> = Mutex::new(Vec::new());
        let mut usable = lock(&USABLE);
        if usable.contains(&(self.name, options.device_id)) {
            return Ok(());
        }
        child::check(CHILD_LIMIT, || self.run_tiny(environment, options)).context("tried in a child process")?;
        usable.push((self.name, options.device_id));
        Ok(())
    }

    fn run_tiny(&self, environment: &Environment, options: &Options) -> Result<()> {
        let builder = Session::builder(environment).map_err(errors::plain)?;
        let builder = builder.with_execution_providers(self.dispatches(options)).map_err(errors::plain)?;
        let mut session =
            builder.with_intra_threads(1).map_err(errors::plain)?.commit_from_memory(TINY).map_err(errors::plain)?;
        let one = ort::value::Tensor::from_array(([1usize], vec![1.0f32]))?;
        session.run(ort::inputs!["x" => one]).map(|_| ()).map_err(errors::plain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_auto_ends_at_the_cpu() {
        let mut names: Vec<_> = all().map(|p| p.name).collect();
        let (count, last) = (names.len(), PROVIDERS.iter().rfind(|p| p.in_auto).unwrap());
        assert_eq!(last.name, CPU);
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn unknown_names_are_refused_with_the_list() {
        let error = Provider::find("gpu").err().unwrap().to_string();
        assert!(error.contains("'gpu'") && error.contains("tensorrt") && error.contains("auto"), "{error}");
    }

    #[test]
    fn cuda_stands_behind_tensorrt() {
        let names = |name: &str| {
            let list = Provider::find(name).unwrap().dispatches(&Options::default());
            list.iter().map(|dispatch| dispatch.name()).collect::<Vec<_>>()
        };
        assert_eq!(names("tensorrt"), ["TensorrtExecutionProvider", "CUDAExecutionProvider"]);
        assert_eq!(names("cuda"), ["CUDAExecutionProvider"]);
    }

    #[test]
    fn the_tiny_model_runs_and_a_missing_provider_names_library_and_package() {
        let environment = library::environment(None).unwrap();
        let options = Options::default();
        Provider::find(CPU).unwrap().run_tiny(environment, &options).unwrap();
        let error = Provider::find("tensorrt").unwrap().check(environment, &options).unwrap_err().to_string();
        let path = std::env::var(library::VARIABLE).unwrap();
        assert!(error.contains(&path) && error.contains("onnxruntime-gpu"), "{error}");
    }
}
