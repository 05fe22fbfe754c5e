//! Loading a generator: before the first frame, and on a thread beside the one that is in use.
//!
//! Comes in: the settings. Goes out: a pipeline for them, bound to the frames' size and warmed up, and what is to be said
//! about it on the bus.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use gst_video::VideoInfo;

use super::log::CAT;
use super::pipeline::{Kept, Pipeline};
use super::settings::Settings;
use crate::frame::size::InferenceSize;
use crate::inference::background::{self, Task};
use crate::inference::config::ModelSource;
use crate::inference::providers::Precision;
use crate::inference::session::OrtGenerator;
use crate::inference::{Generator, Refusal};
use crate::stylizer::Stylizer;

/// What a pipeline is loaded for. Another target needs another pipeline.
#[derive(Clone, PartialEq, Default)]
pub struct Target {
    /// [`super::settings::Revisions::model`].
    pub model: u64,
    /// [`super::settings::Revisions::size`].
    pub size: u64,
    /// How often caps were negotiated.
    pub caps: u64,
    /// Width and height of inference are those of `inference-size` divided by this.
    pub divisor: u32,
    /// The model; `None` for settings that name none.
    pub source: Option<ModelSource>,
}

impl Target {
    /// Whether both are of one model, loaded by the same properties.
    pub fn is_of_model(&self, other: &Target) -> bool {
        (self.model, &self.source) == (other.model, &other.source)
    }
}

/// A loaded pipeline.
pub struct Loaded {
    /// The pipeline.
    pub pipeline: Pipeline,
    /// The execution provider that needs minutes and was not waited for.
    pub postponed: Option<&'static str>,
    /// Warnings for the bus.
    pub warnings: Vec<String>,
}

/// Loads generators.
#[derive(Debug, Clone, Default)]
pub struct Loader {
    /// The folder of the plugin, where ONNX Runtime may lie too.
    pub plugin_folder: Option<PathBuf>,
}

impl Loader {
    /// Loads the model that the settings name. `waits`: for a provider that needs minutes, too.
    ///
    /// # Errors
    /// A bad setting, file or model; no ONNX Runtime; a provider that cannot be used.
    pub fn load(&self, settings: &Settings, waits: bool) -> Result<Loaded> {
        settings.check()?;
        let mut config = settings.session_config(self.plugin_folder.clone())?;
        config.waits = waits;
        let generator = OrtGenerator::load(&settings.source()?, &config)?;
        for guess in &generator.contract().guesses {
            gst::info!(CAT, "{guess}");
        }
        let postponed = generator.postponed();
        let mut warnings = ignored(settings, config.precision, &generator);
        let mut pipeline = Pipeline::new(Stylizer::new(Box::new(generator)), settings.thread_count());
        pipeline.stylizer.set_style(&settings.style_mix()?, Duration::ZERO).context("property 'style'")?;
        if config.precision == Precision::Int8 && !pipeline.stylizer.generator().has_int8() {
            warnings.push(
                "property 'precision': there is no int8 variant of the model (models/README.md says where one is \
                 looked for); inference runs in fp32"
                    .into(),
            );
        }
        warnings.extend(refusals(&mut pipeline));
        Ok(Loaded { pipeline, postponed, warnings })
    }

    /// Loads and binds on a thread of its own, for frames of `info`. A session that `stale` shares is used again.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn load_beside(
        &self,
        target: Target,
        info: VideoInfo,
        settings: Settings,
        waits: bool,
        stale: Option<Pipeline>,
    ) -> Result<Load> {
        let (loader, theirs, divisor) = (self.clone(), settings.clone(), target.divisor);
        let work = move || {
            let mut loaded = loader.load(&theirs, waits)?;
            let (_, warnings) = negotiate(&mut loaded.pipeline, &info, &theirs, divisor)?;
            loaded.warnings.extend(warnings);
            loaded.pipeline.stylizer.generator_mut().fit();
            loaded.pipeline.stylizer.warm_up()?;
            drop(stale);
            Ok(loaded)
        };
        Ok(Load { target, settings, task: background::spawn("styletransfer-load", work)? })
    }
}

/// A pipeline that is being loaded. Dropping it abandons it without a wait.
pub struct Load {
    /// What it is for.
    pub target: Target,
    /// The settings that it is loaded by.
    pub settings: Settings,
    task: Task<Result<Loaded>>,
}

impl Load {
    /// Whether [`Load::answer`] comes at once.
    pub fn is_finished(&self) -> bool {
        self.task.is_finished()
    }

    /// Waits for the pipeline.
    ///
    /// # Errors
    /// Why there is none.
    pub fn answer(self) -> Result<Loaded> {
        self.task.join().unwrap_or_else(|| Err(anyhow!("the thread that loads the model ended early")))
    }
}

/// Makes a pipeline ready for frames of `info`, with inference at 1/`divisor` of the size that the settings name. Also
/// returns warnings about execution providers that could not be used.
///
/// # Errors
/// The model does not run at this size, or GStreamer does not convert the format.
pub fn negotiate(
    pipeline: &mut Pipeline,
    info: &VideoInfo,
    settings: &Settings,
    divisor: u32,
) -> Result<(Kept, Vec<String>)> {
    let size = match divisor {
        0 | 1 => settings.inference_size()?,
        divisor => InferenceSize::Scale(1.0 / f64::from(divisor)),
    };
    let kept = pipeline.negotiate(info, size.for_strokes(settings.style_scale))?;
    let warnings = refusals(pipeline);
    let ((width, height), provider) = (pipeline.inference_size(), pipeline.stylizer.generator().provider());
    gst::info!(CAT, "inference at {width}x{height} on execution provider '{provider}'");
    Ok((kept, warnings))
}

/// Settings that the loaded generator ignores.
fn ignored(settings: &Settings, precision: Precision, generator: &OrtGenerator) -> Vec<String> {
    let mut warnings = Vec::new();
    if precision == Precision::Fp16 && !generator.provider_row().half_precision {
        let provider = generator.provider();
        warnings.push(format!(
            "property 'precision': execution provider '{provider}' has no fp16; inference runs in its own precision"
        ));
    }
    if settings.lookahead > 0 && generator.contract().recurrent.is_some() {
        warnings.push("property 'lookahead': ignored, a recurrent model needs every frame before the next one".into());
    }
    warnings
}

/// Whoever installed a library with these providers expects them to be used.
pub fn refusals(pipeline: &mut Pipeline) -> Vec<String> {
    let refusals = pipeline.stylizer.generator_mut().take_refusals();
    let provider = pipeline.stylizer.generator().provider();
    let text = |Refusal { provider: refused, reason }: Refusal| {
        format!("execution provider '{refused}' cannot be used: {reason}; '{provider}' is in use instead")
    };
    refusals.into_iter().map(text).collect()
}
