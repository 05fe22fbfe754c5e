//! What the user asked for. Negotiation reads it and never writes it.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use gst::glib;
use ort::session::builder::GraphOptimizationLevel;

use crate::frame::mix::Mix;
use crate::frame::size::InferenceSize;
use crate::frame::threads;
use crate::inference::config::{AUTO, ModelSource, SessionConfig};
use crate::inference::providers::Precision;
use crate::model::built_in;
use crate::model::metadata::Hints;
use crate::schedule::pace::{Governing, PaceSettings};
use crate::style::StyleMix;
use crate::temporal::stabilizer::{Method, Smoothing};

/// Property `temporal-method`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "GstStyleTransferTemporalMethod")]
#[repr(i32)]
pub enum TemporalMethod {
    /// See [`Method::None`].
    #[enum_value(name = "Every frame for itself", nick = "none")]
    None,
    /// See [`Method::Average`].
    #[enum_value(name = "Exponential average with earlier frames", nick = "average")]
    Average,
    /// See [`Method::Motion`].
    #[enum_value(name = "Average along the motion, where it can be relied on", nick = "motion")]
    Motion,
}

/// Property `governor`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "GstStyleTransferGovernor")]
#[repr(i32)]
pub enum GovernorSetting {
    /// As `auto` where the source is live, else as `off`.
    #[enum_value(name = "Hold the frame rate of live sources", nick = "live")]
    Live,
    /// Every frame is stylized at the size and interval that are set.
    #[enum_value(name = "Run inference on every frame, however long it takes", nick = "off")]
    Off,
    /// Smaller stylized frames and propagated frames, as far as needed.
    #[enum_value(name = "Hold the frame rate of every source", nick = "auto")]
    Auto,
}

/// Property `on-error`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "GstStyleTransferOnError")]
#[repr(i32)]
pub enum OnError {
    /// Frames that cannot be stylized leave as they came, with a warning.
    #[enum_value(name = "Pass the frame through, with a warning and a message", nick = "passthrough")]
    Passthrough,
    /// The first frame that cannot be stylized ends the stream.
    #[enum_value(name = "Post an error and end the stream", nick = "error")]
    Error,
}

/// Property `provider-wait`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "GstStyleTransferProviderWait")]
#[repr(i32)]
pub enum ProviderWait {
    /// Where the source is not live.
    #[enum_value(name = "Wait where the source is not live", nick = "auto")]
    Auto,
    /// Always.
    #[enum_value(name = "Wait before the first frame", nick = "always")]
    Always,
    /// Never.
    #[enum_value(name = "Start on the next provider and switch", nick = "never")]
    Never,
}

/// Property `precision`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "GstStyleTransferPrecision")]
#[repr(i32)]
pub enum PrecisionSetting {
    /// See [`Precision::Auto`].
    #[enum_value(name = "What the provider does best", nick = "auto")]
    Auto,
    /// See [`Precision::Fp32`].
    #[enum_value(name = "32 bit floats throughout", nick = "fp32")]
    Fp32,
    /// See [`Precision::Fp16`].
    #[enum_value(name = "16 bit floats where the provider has them", nick = "fp16")]
    Fp16,
    /// See [`Precision::Int8`].
    #[enum_value(name = "8 bit integers where the model has such a variant", nick = "int8")]
    Int8,
}

/// Property `optimization-level`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "GstStyleTransferOptimizationLevel")]
#[repr(i32)]
pub enum OptimizationLevel {
    /// The graph as it is.
    #[enum_value(name = "The graph as it is", nick = "disable-all")]
    DisableAll,
    /// Constant folding and the like.
    #[enum_value(name = "Basic: redundant nodes removed", nick = "enable-basic")]
    EnableBasic,
    /// Fusions.
    #[enum_value(name = "Extended: nodes fused", nick = "enable-extended")]
    EnableExtended,
    /// Blocked memory layouts too.
    #[enum_value(name = "All, memory layout included", nick = "enable-all")]
    EnableAll,
}

/// Every writable property's value.
#[derive(Debug, Clone)]
pub struct Settings {
    pub model_file: String,
    pub style: String,
    pub style_scale: f64,
    pub style_fade: u32,
    pub style_image: String,
    pub style_file: String,
    pub strength: f64,
    pub preserve_color: bool,
    pub execution_provider: String,
    pub device_id: i32,
    pub precision: PrecisionSetting,
    pub optimization_level: OptimizationLevel,
    pub threads: u32,
    pub model_cache_dir: String,
    pub inference_size: String,
    pub inference_interval: u32,
    pub governor: GovernorSetting,
    pub target_fps: f64,
    pub lookahead: u32,
    pub provider_wait: ProviderWait,
    pub on_error: OnError,
    pub stats_interval: u32,
    pub temporal_smoothing: f64,
    pub temporal_method: TemporalMethod,
    /// The contract overrides, in the order of [`crate::model::metadata::key::ALL`].
    pub overrides: [String; crate::model::metadata::key::ALL.len()],
    pub revisions: Revisions,
}

/// What is read anew for every frame.
#[derive(Debug, Clone, Copy)]
pub struct FrameSettings {
    /// How much of the original stays.
    pub mix: Mix,
    /// What the history is used for.
    pub smoothing: Smoothing,
    /// How often and how large inference runs.
    pub pace: PaceSettings,
    /// Time between messages with statistics; zero: none.
    pub stats_interval: Duration,
    /// What happens to a frame that cannot be stylized.
    pub on_error: OnError,
    /// Most threads for anything but the inference.
    pub threads: usize,
    /// Which changes there were so far.
    pub revisions: Revisions,
}

/// Counts changes: a frame compares them with those that the running configuration was made for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Revisions {
    /// Changes that need the model to be loaded again.
    pub model: u64,
    /// Changes of the style.
    pub style: u64,
    /// Changes that need new sizes.
    pub size: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            model_file: String::new(),
            style: String::new(),
            style_scale: 1.0,
            style_fade: 0,
            style_image: String::new(),
            style_file: String::new(),
            strength: 1.0,
            preserve_color: false,
            execution_provider: AUTO.to_owned(),
            device_id: 0,
            precision: PrecisionSetting::Auto,
            optimization_level: OptimizationLevel::EnableAll,
            threads: 0,
            model_cache_dir: String::new(),
            inference_size: InferenceSize::Frame.to_string(),
            inference_interval: 1,
            governor: GovernorSetting::Live,
            target_fps: 0.0,
            lookahead: 0,
            provider_wait: ProviderWait::Auto,
            on_error: OnError::Passthrough,
            stats_interval: 0,
            temporal_smoothing: 0.75,
            temporal_method: TemporalMethod::Motion,
            overrides: Default::default(),
            revisions: Revisions::default(),
        }
    }
}

impl Settings {
    /// Which model, by `model-file`, else by `style`.
    ///
    /// # Errors
    /// An unknown style, or a mix of several models' styles.
    pub fn source(&self) -> Result<ModelSource> {
        match path(&self.model_file) {
            Some(file) => Ok(ModelSource::File(file)),
            None => {
                let mix = self.style_mix()?;
                // What style files are named is known when they are read.
                let known = mix.names().filter(|name| self.style_file.is_empty() || built_in::has(name));
                Ok(ModelSource::Embedded(built_in::find(known).context("property 'style'")?))
            }
        }
    }

    /// What to run it on.
    ///
    /// # Errors
    /// A contract override that cannot be read, by property; a cache folder that cannot be made.
    pub fn session_config(&self, plugin_folder: Option<PathBuf>) -> Result<SessionConfig> {
        let mut overrides = Hints::default();
        for (name, text) in crate::model::metadata::key::ALL.iter().zip(&self.overrides) {
            overrides.set(name, text).context("property")?;
        }
        let cache = path(&self.model_cache_dir);
        if let Some(folder) = &cache {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("property 'model-cache-dir': cannot make folder '{}'", folder.display()))?;
        }
        Ok(SessionConfig {
            provider: self.execution_provider.clone(),
            device_id: self.device_id,
            precision: match self.precision {
                PrecisionSetting::Auto => Precision::Auto,
                PrecisionSetting::Fp32 => Precision::Fp32,
                PrecisionSetting::Fp16 => Precision::Fp16,
                PrecisionSetting::Int8 => Precision::Int8,
            },
            threads: self.threads as usize,
            optimization: match self.optimization_level {
                OptimizationLevel::DisableAll => GraphOptimizationLevel::Disable,
                OptimizationLevel::EnableBasic => GraphOptimizationLevel::Level1,
                OptimizationLevel::EnableExtended => GraphOptimizationLevel::Level2,
                OptimizationLevel::EnableAll => GraphOptimizationLevel::All,
            },
            cache,
            plugin_folder,
            overrides,
            style_image: path(&self.style_image),
            style_files: path(&self.style_file),
            waits: false,
        })
    }

    /// The style or mix of styles.
    ///
    /// # Errors
    /// A text that is no mix.
    pub fn style_mix(&self) -> Result<StyleMix> {
        self.style.parse().context("property 'style'")
    }

    /// How long a change of style takes.
    pub fn style_fade(&self) -> Duration {
        Duration::from_millis(self.style_fade.into())
    }

    /// The size to stylize at.
    ///
    /// # Errors
    /// A text that is no size.
    pub fn inference_size(&self) -> Result<InferenceSize> {
        self.inference_size.parse().context("property 'inference-size'")
    }

    /// What is read anew for every frame.
    pub fn of_frame(&self) -> FrameSettings {
        FrameSettings {
            mix: Mix { strength: self.strength as f32, preserve_color: self.preserve_color },
            smoothing: self.smoothing(),
            pace: self.pace(),
            on_error: self.on_error,
            threads: self.thread_count(),
            stats_interval: Duration::from_millis(self.stats_interval.into()),
            revisions: self.revisions,
        }
    }

    /// Threads of everything the element does: those of property `threads`, else as many as the process may use at once
    /// (affinity and CPU quota counted).
    pub fn thread_count(&self) -> usize {
        match self.threads {
            0 => threads::available(),
            threads => threads as usize,
        }
    }

    fn pace(&self) -> PaceSettings {
        PaceSettings {
            governor: match self.governor {
                GovernorSetting::Live => Governing::Live,
                GovernorSetting::Off => Governing::Off,
                GovernorSetting::Auto => Governing::Auto,
            },
            target_fps: self.target_fps,
            interval: self.inference_interval,
            has_size: self.inference_size.trim() != "0",
        }
    }

    fn smoothing(&self) -> Smoothing {
        let method = match self.temporal_method {
            TemporalMethod::None => Method::None,
            TemporalMethod::Average => Method::Average,
            TemporalMethod::Motion => Method::Motion,
        };
        Smoothing { method, amount: self.temporal_smoothing as f32 }
    }

    /// Checks what can be checked before a model is loaded.
    ///
    /// # Errors
    /// As [`Settings::source`] and [`Settings::inference_size`].
    pub fn check(&self) -> Result<()> {
        self.inference_size()?;
        let file = path(&self.model_file);
        ensure!(
            file.as_ref().is_none_or(|f| f.exists()),
            "property 'model-file': there is no file '{}'",
            self.model_file
        );
        self.source().map(|_| ())
    }
}

fn path(text: &str) -> Option<PathBuf> {
    (!text.is_empty()).then(|| PathBuf::from(text))
}
