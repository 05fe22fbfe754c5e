//! How a session of a model is made: the model as it is, one style of it folded in, or that style in int8; for any size
//! or for one.
//!
//! Comes in: file, provider and choices. Goes out: a session, or one that is bound to a size.

use anyhow::{Result, anyhow, bail};
use ort::environment::Environment;
use ort::session::Session;
use ort::session::builder::SessionBuilder;

use crate::frame::size::Size;
use crate::inference::binding::Loaded;
use crate::inference::cache::{Shared, session};
use crate::inference::config::{ModelSource, SessionConfig};
use crate::inference::declared::{Sizes, sizes};
use crate::inference::providers::{CPU, Options, Preparation, Provider};
use crate::model::Contract;
use crate::model::onnx::editor::{with_constant, with_output};
use crate::model::onnx::reader::OnnxFile;
use crate::model::sub_pixel::SubPixel;
use crate::tensor::layout::Element;

/// Everything another session of the same model needs.
#[derive(Clone)]
pub(super) struct Recipe {
    pub source: ModelSource,
    pub environment: &'static Environment,
    pub provider: &'static Provider,
    pub config: SessionConfig,
    pub file: OnnxFile,
    pub contract: Contract,
    /// See [`crate::inference::declared::symbols`].
    pub symbols: Vec<String>,
}

impl Recipe {
    /// Whether a style at rest, or a size, has a session of its own.
    pub fn can_fold(&self) -> bool {
        let quick = self.provider.preparation <= Preparation::Tenths;
        match &self.contract.style_weights {
            Some(weights) => weights.element == Element::F32 && quick && matches!(self.file, OnnxFile::Bytes(_)),
            None => quick && self.symbols.iter().any(|s| !s.is_empty()) || self.has_int8(&[]),
        }
    }

    /// Whether it may be made beside the frames of a live source.
    pub fn is_light(&self) -> bool {
        self.provider.preparation == Preparation::Milliseconds
    }

    /// Whether such a session is another model than the one for all sizes and styles.
    pub fn is_other(&self) -> bool {
        self.contract.style_weights.is_some() || self.has_int8(&[])
    }

    /// Whether there is an int8 variant for these weights that is to be used.
    pub fn has_int8(&self, weights: &[f32]) -> bool {
        matches!(self.int8(weights), Ok(Some(_)))
    }

    /// What the symbols stand for at a size. The runtime fuses more where it knows that shapes are equal.
    pub fn sizes(&self, (width, height): Size) -> Sizes {
        sizes(&self.symbols, &self.contract.input.dims(width, height))
    }

    /// The int8 variant for weights that choose one style, if it is to be used and there is one.
    pub fn int8(&self, weights: &[f32]) -> Result<Option<OnnxFile>> {
        if !self.provider.takes_int8(self.config.precision) {
            return Ok(None);
        }
        let chosen = match weights {
            [] => Some(0),
            weights => weights.iter().position(|w| *w == 1.0),
        };
        let name = chosen.map(|index| self.contract.styles.get(index).map_or("", String::as_str));
        name.map_or(Ok(None), |name| self.source.int8(name, weights.is_empty()))
    }

    /// The model with its style weights as constants, or the style's int8 variant, bound to a size; with `sizes` made
    /// for that alone.
    pub fn folded(&self, weights: &[f32], (size, stylized): (Size, Size), sizes: &Sizes) -> Result<Loaded> {
        let int8 = self.int8(weights).and_then(|file| file.map(|f| self.loaded(&f, size, sizes, None)).transpose());
        match int8 {
            Ok(Some((loaded, _))) => return Ok(loaded),
            Ok(None) => {}
            Err(problem) => crate::inference::log::note(&format!("the int8 variant cannot be used: {problem:#}")),
        }
        let file = self.constant(weights)?;
        if let Some((tail, cut)) = self.cut(&file) {
            match cut.and_then(|file| self.loaded(&file, size, sizes, Some(tail))) {
                Ok((loaded, size)) if size == stylized => return Ok(loaded),
                Ok((_, size)) => crate::inference::log::note(&format!(
                    "{tail} makes a stylized frame of {size:?}, not of {stylized:?}"
                )),
                Err(problem) => crate::inference::log::note(&format!("{tail} is of no use: {problem:#}")),
            }
        }
        Ok(self.loaded(&file, size, sizes, None)?.0)
    }

    /// The model without the shuffle of pixels at its end, where the element does that faster than the provider.
    fn cut(&self, file: &OnnxFile) -> Option<(&SubPixel, Result<OnnxFile>)> {
        let (OnnxFile::Bytes(bytes), Some(tail), CPU) = (file, &self.contract.sub_pixel, self.provider.name) else {
            return None;
        };
        Some((tail, with_output(bytes, &tail.tensor).map(OnnxFile::Bytes)))
    }

    /// The runtime's session for that. Who makes another of the same gets this one as long as it is held.
    pub fn folded_session(&self, weights: &[f32]) -> Result<Shared> {
        let file = match self.int8(weights)? {
            Some(int8) => int8,
            None => self.constant(weights).map(|file| self.cut(&file).and_then(|(_, cut)| cut.ok()).unwrap_or(file))?,
        };
        commit(self.environment, self.provider, &self.config, &file, &Sizes::new())
    }

    /// The model with its style weights, if it has any, as constants.
    fn constant(&self, weights: &[f32]) -> Result<OnnxFile> {
        match (&self.contract.style_weights, &self.file) {
            (None, file) => Ok(file.clone()),
            (Some(input), OnnxFile::Bytes(bytes)) => {
                Ok(OnnxFile::Bytes(with_constant(bytes, &input.name, &input.dims, weights)?))
            }
            _ => bail!("style weights cannot be folded into a model with external data"),
        }
    }

    fn loaded(
        &self,
        file: &OnnxFile,
        (width, height): Size,
        sizes: &Sizes,
        tail: Option<&SubPixel>,
    ) -> Result<(Loaded, Size)> {
        let session = commit(self.environment, self.provider, &self.config, file, sizes)?;
        let mut loaded = Loaded::new(session, &self.contract, &self.config)?.without_tail(tail);
        let size = loaded.bind(&self.contract, width, height)?;
        Ok((loaded, size))
    }
}

/// A session of the file on the provider, for these sizes alone if there are any, or one that somebody uses already.
pub(super) fn commit(
    environment: &Environment,
    provider: &Provider,
    config: &SessionConfig,
    file: &OnnxFile,
    sizes: &Sizes,
) -> Result<Shared> {
    session(file, provider.name, config, sizes, || {
        let mut builder = configure(Session::builder(environment)?, provider, config)?;
        for (symbol, size) in sizes {
            builder = builder.with_dimension_override(symbol, *size).map_err(plain)?;
        }
        match file {
            OnnxFile::Bytes(bytes) => Ok(builder.commit_from_memory(bytes)?),
            OnnxFile::WithExternalData(path) => Ok(builder.commit_from_file(path)?),
        }
    })
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

/// A builder's error propagates the builder, which cannot cross threads; the message can.
fn plain(error: ort::Error<SessionBuilder>) -> anyhow::Error {
    anyhow!("{error}")
}
