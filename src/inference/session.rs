//! The only user of ONNX Runtime sessions: inputs and outputs are bound once per size and reused.
//!
//! Comes in: a model and what to run it on. Goes out: a [`Generator`].

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use ort::environment::Environment;
use ort::memory::{AllocationDevice, AllocatorType, MemoryInfo, MemoryType};
use ort::session::builder::SessionBuilder;
use ort::session::{IoBinding, Session};
use ort::value::{Outlet, TensorElementType, ValueType};

use super::config::{AUTO, ModelSource, Refusal, SessionConfig};
use super::provider::{CPU, Options, PROVIDERS, Provider};
use super::typed::Typed;
use super::{Generator, TensorMut, TensorRef, library};
use crate::model::Contract;
use crate::model::contract::{PictureTensor, ScalarInput};
use crate::model::facts::{Dim, ModelFacts, TensorFacts};
use crate::model::hints::Hints;
use crate::model::onnx_file::OnnxFile;
use crate::style_image::StyleImage;
use crate::tensor::layout::Element;

/// A model in an ONNX Runtime session.
pub struct OrtGenerator {
    session: Session,
    contract: Contract,
    provider: &'static Provider,
    bound: Option<Bound>,
    fixed: Vec<(String, Typed)>,
    /// Providers of the library that `auto` tried in vain.
    pub refusals: Vec<Refusal>,
}

struct Bound {
    binding: IoBinding,
    input: Typed,
    output: Typed,
}

impl OrtGenerator {
    /// Loads a model on the provider asked for, or, with `auto`, on the first that can be had.
    ///
    /// # Errors
    /// No ONNX Runtime, a bad file, a model that is no style model, a provider that cannot be had.
    pub fn load(source: &ModelSource, config: &SessionConfig) -> Result<Self> {
        let environment = library::environment(config.plugin_folder.as_deref())?;
        let (file, hints) = source.read()?;
        let mut refusals = Vec::new();
        for provider in attempts(&config.provider)? {
            match commit(environment, provider, config, &file) {
                Ok(session) => {
                    let contract = settle(&session, &config.overrides, &hints).with_context(|| source.to_string())?;
                    let fixed = fixed_inputs(&contract, config)?;
                    return Ok(Self { session, contract, provider, bound: None, fixed, refusals });
                }
                Err(error) if config.provider == AUTO && provider.name != CPU => {
                    refusals.push(Refusal { provider: provider.name, reason: format!("{error:#}") });
                }
                Err(error) => {
                    let what = format!("{source} on execution provider '{}' ({})", provider.name, provider.hardware);
                    return Err(error.context(what));
                }
            }
        }
        bail!("no execution provider left to try for {source}")
    }

    /// The row of the table that computes.
    pub fn provider_row(&self) -> &'static Provider {
        self.provider
    }
}

fn attempts(name: &str) -> Result<Vec<&'static Provider>> {
    if name != AUTO {
        return Ok(vec![Provider::find(name)?]);
    }
    // A failing query means an unusual build of the library: then it does not have the provider.
    Ok(PROVIDERS.iter().filter(|p| p.in_auto && (p.is_built_in)().unwrap_or(false)).collect())
}

fn commit(environment: &Environment, provider: &Provider, config: &SessionConfig, file: &OnnxFile) -> Result<Session> {
    let mut builder = configure(Session::builder(environment)?, provider, config)?;
    match file {
        OnnxFile::Bytes(bytes) => Ok(builder.commit_from_memory(bytes)?),
        OnnxFile::WithExternalData(path) => Ok(builder.commit_from_file(path)?),
    }
}

/// Threads do not spin while they wait: on a live source that costs three times the processor time.
fn configure(mut builder: SessionBuilder, provider: &Provider, config: &SessionConfig) -> Result<SessionBuilder> {
    let cache = config.cache.as_deref();
    let options = Options { device_id: config.device_id, precision: config.precision, threads: config.threads, cache };
    if provider.name != CPU {
        builder = builder.with_execution_providers([provider.dispatch(&options)]).map_err(plain)?;
    }
    if config.threads > 0 {
        builder = builder.with_intra_threads(config.threads).map_err(plain)?;
    }
    builder = builder.with_optimization_level(config.optimization).map_err(plain)?;
    builder.with_intra_op_spinning(false).map_err(plain)
}

/// A builder's error carries the builder, which cannot cross threads; the message can.
fn plain(error: ort::Error<SessionBuilder>) -> anyhow::Error {
    anyhow!("{error}")
}

/// Precedence: properties, then the file's metadata, then the `.modelinfo` file.
fn settle(session: &Session, overrides: &Hints, modelinfo: &Hints) -> Result<Contract> {
    let metadata = session.metadata()?;
    let pairs = metadata.custom_keys()?.into_iter().filter_map(|key| Some((key.clone(), metadata.custom(&key)?)));
    let facts = ModelFacts {
        inputs: session.inputs().iter().map(facts_of).collect(),
        outputs: session.outputs().iter().map(facts_of).collect(),
        metadata: pairs.collect(),
    };
    let said = Hints::from_metadata(&facts.metadata)?;
    Contract::resolve(&facts, &overrides.clone().or(said).or(modelinfo.clone()))
}

fn facts_of(outlet: &Outlet) -> TensorFacts {
    let name = outlet.name().to_owned();
    let ValueType::Tensor { ty, shape, dimension_symbols } = outlet.dtype() else {
        return TensorFacts { name, element: None, type_name: outlet.dtype().to_string(), dims: vec![] };
    };
    let element = match ty {
        TensorElementType::Float32 => Some(Element::F32),
        TensorElementType::Float16 => Some(Element::F16),
        TensorElementType::Uint8 => Some(Element::U8),
        _ => None,
    };
    let dim = |(d, symbol): (&i64, &String)| if *d < 0 { Dim::Free(symbol.clone()) } else { Dim::Fixed(*d) };
    let dims = shape.iter().zip(dimension_symbols.iter()).map(dim).collect();
    TensorFacts { name, element, type_name: ty.to_string(), dims }
}

/// The inputs that stay the same from frame to frame.
fn fixed_inputs(contract: &Contract, config: &SessionConfig) -> Result<Vec<(String, Typed)>> {
    let mut list = Vec::new();
    for ScalarInput { name, element, dims, value } in &contract.scalars {
        let mut tensor = Typed::new(*element, dims)?;
        tensor.fill(*value);
        list.push((name.clone(), tensor));
    }
    match (&contract.style, &config.style_image) {
        (Some(style), Some(path)) => list.push((style.name.clone(), style_tensor(style, path)?)),
        (Some(style), None) => bail!("the model wants a style picture in '{}': set property 'style-image'", style.name),
        (None, Some(path)) => {
            bail!("property 'style-image' is '{}', but the model has no second picture input", path.display())
        }
        (None, None) => {}
    }
    Ok(list)
}

fn style_tensor(style: &PictureTensor, path: &Path) -> Result<Typed> {
    let picture = StyleImage::open(path, (style.width, style.height))?;
    let image = picture.view()?;
    let mut tensor = Typed::new(style.element, &style.dims(image.shape().width, image.shape().height))?;
    tensor.fill_with(&image, &style.format)?;
    Ok(tensor)
}

impl Generator for OrtGenerator {
    fn contract(&self) -> &Contract {
        &self.contract
    }

    fn provider(&self) -> &str {
        self.provider.name
    }

    fn bind(&mut self, width: usize, height: usize) -> Result<(usize, usize)> {
        self.bound = None;
        let (input, output) = (&self.contract.input, &self.contract.output);
        let mut binding = self.session.create_binding()?;
        let mut tensor = Typed::new(input.element, &input.dims(width, height))?;
        tensor.fill(0.0);
        tensor.bind_as_input(&mut binding, &input.name)?;
        for (name, value) in &self.fixed {
            value.bind_as_input(&mut binding, name)?;
        }
        let cpu = MemoryInfo::new(AllocationDevice::CPU, 0, AllocatorType::Device, MemoryType::CPUOutput)?;
        binding.bind_output_to_device(&output.name, &cpu)?;
        let dims = {
            let outputs = self.session.run_binding(&binding)?;
            outputs[output.name.as_str()].dtype().tensor_shape().map(|s| s.to_vec()).unwrap_or_default()
        };
        let size = picture_size(output, &dims)?;
        binding.clear_outputs();
        let mut result = Typed::new(output.element, &dims)?;
        result.bind_as_output(&mut binding, &output.name)?;
        self.bound = Some(Bound { binding, input: tensor, output: result });
        Ok(size)
    }

    fn input(&mut self) -> TensorMut<'_> {
        self.bound.as_mut().map_or(TensorMut::U8(&mut []), |bound| bound.input.view_mut())
    }

    fn run(&mut self) -> Result<()> {
        let bound = self.bound.as_ref().context("no size has been bound")?;
        self.session.run_binding(&bound.binding)?;
        Ok(())
    }

    fn output(&self) -> TensorRef<'_> {
        self.bound.as_ref().map_or(TensorRef::U8(&[]), |bound| bound.output.view())
    }
}

fn picture_size(output: &PictureTensor, dims: &[i64]) -> Result<(usize, usize)> {
    let (c, y, x) = output.format.axes.positions();
    let wrong =
        || anyhow!("output '{}' came out as {dims:?}, not as a picture of layout {}", output.name, output.format.axes);
    if dims.len() != output.format.axes.rank() || dims[c] != 3 {
        return Err(wrong());
    }
    let side = |d: i64| usize::try_from(d).ok().filter(|d| *d > 0).ok_or_else(wrong);
    let size = (side(dims[x])?, side(dims[y])?);
    if dims.iter().product::<i64>() != 3 * dims[x] * dims[y] {
        return Err(wrong());
    }
    Ok(size)
}
