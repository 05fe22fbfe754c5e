//! How a session of a model is made: of the model as it is, of one style of it as constants, or of that style in int8; for any
//! size or for one.
//!
//! Comes in: a model's file, a provider, the user's settings. Goes out: a session, or one that is bound to a size.

use std::sync::Arc;

use anyhow::{Result, bail};
use ort::environment::Environment;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::session::{RunOptions, Session};

use crate::frame::size::Size;
use crate::inference::binding::Loaded;
use crate::inference::cache::{Shared, session};
use crate::inference::config::{ModelSource, SessionConfig};
use crate::inference::declared::{Fixed, Open, fix, input_shapes};
use crate::inference::digest::{Digest, Model};
use crate::inference::errors::{of_loading, plain};
use crate::inference::providers::{CPU, Options, Preparation, Provider, Shapes};
use crate::inference::{background, engines, library, log};
use crate::model::Contract;
use crate::model::onnx::editor::{with_constant, with_output};
use crate::model::onnx::reader::OnnxFile;
use crate::model::sub_pixel::SubPixel;
use crate::tensor::layout::Element;

/// Makes sessions on one provider.
#[derive(Clone)]
pub(super) struct Maker {
    pub environment: &'static Environment,
    pub provider: &'static Provider,
    pub config: SessionConfig,
}

/// What other sessions of the same model are made from.
#[derive(Clone)]
pub(super) struct Recipe {
    pub source: ModelSource,
    pub maker: Maker,
    pub model: Model,
    pub contract: Contract,
    pub open: Open,
    /// Stops every run of this generator.
    pub stop: Arc<RunOptions>,
}

impl Recipe {
    /// Whether a style at rest, or a size, has a session of its own. Not where a session takes minutes: there the one session
    /// has the frame's size already, and takes the style as an input.
    pub fn can_fold(&self) -> bool {
        let quick = self.provider().preparation <= Preparation::Seconds;
        match &self.contract.style_weights {
            Some(weights) => weights.element == Element::F32 && quick && matches!(self.model.file, OnnxFile::Bytes(_)),
            None => quick && self.has_symbols() || self.has_int8(&[]),
        }
    }

    fn has_symbols(&self) -> bool {
        let dims = self.open.iter().filter(|(name, _)| *name == self.contract.input.name).flat_map(|(_, dims)| dims);
        dims.flatten().any(|symbol| !symbol.is_empty())
    }

    /// The provider of the sessions.
    pub fn provider(&self) -> &'static Provider {
        self.maker.provider
    }

    /// Whether another session may be made beside the frames of a live source.
    pub fn is_light(&self) -> bool {
        self.provider().preparation == Preparation::Milliseconds
    }

    /// Whether a style's session is of another model than the one for all sizes and styles.
    pub fn is_other(&self) -> bool {
        self.contract.style_weights.is_some() || self.has_int8(&[])
    }

    /// Whether there is an int8 variant for these weights that is to be used.
    pub fn has_int8(&self, weights: &[f32]) -> bool {
        matches!(self.int8(weights), Ok(Some(_)))
    }

    /// What a session for a size alone is made with. The runtime fuses more where it knows that shapes are equal.
    pub fn fixed(&self, size: Size) -> Fixed {
        fix(&self.open, input_shapes(&self.contract, size))
    }

    /// The session of the model as it is, with tensors for a size. Where the provider takes fixed shapes only, the model runs
    /// at that size on the CPU first: a size that it does not take is known before an engine is built.
    pub fn general(&self, weights: &[f32], size: Size) -> Result<(Loaded, Size)> {
        let fixed = match self.provider().shapes {
            Shapes::Any => Fixed::default(),
            Shapes::Fixed => {
                let on_cpu = self.maker.for_description().session(&self.model, &Fixed::default())?;
                self.loaded(on_cpu, weights)?.bind(&self.contract, size)?;
                self.fixed(size)
            }
        };
        let mut general = self.loaded(self.maker.session(&self.model, &fixed)?, weights)?;
        let stylized = general.bind(&self.contract, size)?;
        Ok((general, stylized))
    }

    /// A session of the model as it is, with its inputs.
    pub fn loaded(&self, session: Shared, weights: &[f32]) -> Result<Loaded> {
        let loaded = Loaded::new(session, &self.contract, &self.maker.config, self.stop.clone())?;
        loaded.with_style_weights(&self.contract, weights)
    }

    /// The int8 variant for weights that choose one style, if it is to be used and there is one.
    fn int8(&self, weights: &[f32]) -> Result<Option<OnnxFile>> {
        if !self.provider().takes_int8(self.maker.config.precision) {
            return Ok(None);
        }
        let chosen = match weights {
            [] => Some(0),
            weights => weights.iter().position(|w| *w == 1.0),
        };
        let name = chosen.map(|index| self.contract.styles.get(index).map_or("", String::as_str));
        name.map_or(Ok(None), |name| self.source.int8(name, weights.is_empty()))
    }

    /// The model with its style weights as constants, or the style's int8 variant, bound to a size; made for that size alone
    /// if it `fits`.
    pub fn folded(&self, weights: &[f32], (size, stylized): (Size, Size), fits: bool) -> Result<Loaded> {
        let fixed = match fits || self.provider().shapes == Shapes::Fixed {
            true => self.fixed(size),
            false => Fixed::default(),
        };
        let int8 = self
            .int8(weights)
            .and_then(|file| file.map(|f| self.bound(&Model::new(f)?, size, &fixed, None)).transpose());
        match int8 {
            Ok(Some((loaded, _))) => return Ok(loaded),
            Ok(None) => {}
            Err(problem) => log::info(&format!("the int8 variant cannot be used: {problem:#}")),
        }
        let model = self.constant(weights)?;
        if let Some((tail, cut)) = self.cut(&model) {
            match cut.and_then(|model| self.bound(&model, size, &fixed, Some(tail))) {
                Ok((loaded, size)) if size == stylized => return Ok(loaded),
                Ok((_, size)) => {
                    log::info(&format!("{tail} makes a stylized frame of {size:?}, not of {stylized:?}: not used"));
                }
                Err(problem) => log::info(&format!("{tail} is not used: {problem:#}")),
            }
        }
        Ok(self.bound(&model, size, &fixed, None)?.0)
    }

    /// The model without the pixel shuffle at its end, where the element does that faster than the provider.
    fn cut(&self, model: &Model) -> Option<(&SubPixel, Result<Model>)> {
        let (OnnxFile::Bytes(bytes), Some(tail), CPU) = (&model.file, &self.contract.sub_pixel, self.provider().name)
        else {
            return None;
        };
        let digest = model.digest.with(&format!("output {}", tail.tensor), []);
        Some((tail, with_output(bytes, &tail.tensor).map(|bytes| Model { file: OnnxFile::Bytes(bytes), digest })))
    }

    /// The runtime's session for that. Who makes another of the same gets this one as long as it is held.
    pub fn folded_session(&self, weights: &[f32]) -> Result<Shared> {
        let model = match self.int8(weights)? {
            Some(int8) => Model::new(int8)?,
            None => {
                let model = self.constant(weights)?;
                self.cut(&model).and_then(|(_, cut)| cut.ok()).unwrap_or(model)
            }
        };
        self.maker.session(&model, &Fixed::default())
    }

    /// The model with its style weights, if it has any, as constants.
    fn constant(&self, weights: &[f32]) -> Result<Model> {
        match (&self.contract.style_weights, &self.model.file) {
            (None, _) => Ok(self.model.clone()),
            (Some(input), OnnxFile::Bytes(bytes)) => {
                let file = OnnxFile::Bytes(with_constant(bytes, &input.name, &input.dims, weights)?);
                let digest = self.model.digest.with(&format!("constant {}", input.name), weights.iter().copied());
                Ok(Model { file, digest })
            }
            _ => bail!("style weights cannot be folded into a model with external data"),
        }
    }

    fn bound(&self, model: &Model, size: Size, fixed: &Fixed, tail: Option<&SubPixel>) -> Result<(Loaded, Size)> {
        let session = self.maker.session(model, fixed)?;
        let loaded = Loaded::new(session, &self.contract, &self.maker.config, self.stop.clone())?;
        let mut loaded = loaded.without_tail(tail);
        let size = loaded.bind(&self.contract, size)?;
        Ok((loaded, size))
    }
}

impl Maker {
    /// A session of the model for these shapes alone, if there are any, or one that is in use already.
    pub fn session(&self, model: &Model, fixed: &Fixed) -> Result<Shared> {
        session(model.digest.with(&self.key(fixed), []), self.provider, || self.make(model, fixed))
    }

    /// Makers of sessions that are only asked what the model declares, and for its sizes.
    pub fn for_description(&self) -> Self {
        let mut on_cpu = self.clone();
        on_cpu.provider = Provider::find(CPU).unwrap_or(self.provider);
        on_cpu.config.optimization = GraphOptimizationLevel::Disable;
        on_cpu
    }

    /// Everything but the model that a session depends on.
    fn key(&self, fixed: &Fixed) -> String {
        let SessionConfig { device_id, precision, optimization, cache, .. } = &self.config;
        let threads = self.config.options().threads;
        format!("{} {device_id} {precision:?} {threads} {optimization:?} {cache:?} {fixed:?}", self.provider.name)
    }

    fn make(&self, model: &Model, fixed: &Fixed) -> Result<Session> {
        let cache = match self.provider.keeps_engines {
            true => engines::folder(self.config.cache.as_deref(), self.provider.name)?,
            false => None,
        };
        let engine = self.engine(model.digest, fixed);
        let options =
            Options { cache: cache.as_deref(), engine: &engine, shapes: &fixed.shapes, ..self.config.options() };
        let mut builder = self.configure(Session::builder(self.environment).map_err(plain)?, &options)?;
        for (symbol, size) in &fixed.sizes {
            builder = builder.with_dimension_override(symbol, *size).map_err(plain)?;
        }
        let session = match &model.file {
            OnnxFile::Bytes(bytes) => builder.commit_from_memory(bytes),
            OnnxFile::WithExternalData(path) => builder.commit_from_file(path),
        };
        if let Some(folder) = &cache {
            engines::touch(folder, &engine);
        }
        background::guard_exit(&format!("{} in use", self.provider.name));
        session.map_err(of_loading)
    }

    /// What the names of the session's engines begin with: equal only where everything is equal that an engine depends on.
    fn engine(&self, model: Digest, fixed: &Fixed) -> String {
        let (precision, own) = (self.config.precision, env!("CARGO_PKG_VERSION"));
        model.with(&format!("{fixed:?} {precision:?} {} {own}", library::version()), []).short()
    }

    /// Threads do not spin while they wait: on a live source that costs three times the processor time.
    fn configure(&self, builder: SessionBuilder, options: &Options) -> Result<SessionBuilder> {
        let builder = builder.with_execution_providers(self.provider.dispatches(options)).map_err(plain)?;
        background::guard_exit(&format!("{} loaded", self.provider.name));
        let builder = builder.with_intra_threads(options.threads).map_err(plain)?;
        let builder = builder.with_optimization_level(self.config.optimization).map_err(plain)?;
        builder.with_intra_op_spinning(false).map_err(plain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engines_of_other_weights_shapes_and_precisions_have_other_names() {
        let maker = |precision| Maker {
            environment: library::environment(None).unwrap(),
            provider: Provider::find("tensorrt").unwrap(),
            config: SessionConfig { precision, ..SessionConfig::default() },
        };
        let name = |bytes: &[u8], height: i64, precision| {
            let model = Model::new(OnnxFile::Bytes(prost::bytes::Bytes::copy_from_slice(bytes))).unwrap();
            let fixed = Fixed { sizes: vec![("h".into(), height)], shapes: vec![] };
            maker(precision).engine(model.digest, &fixed)
        };
        use crate::inference::providers::Precision::{Fp16, Fp32};
        let first = name(b"weights 1", 360, Fp16);
        assert_eq!(first, name(b"weights 1", 360, Fp16));
        let others = [name(b"weights 2", 360, Fp16), name(b"weights 1", 720, Fp16), name(b"weights 1", 360, Fp32)];
        assert!(!others.contains(&first), "{first} {others:?}");
    }
}
