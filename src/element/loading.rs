//! Loading a generator: at the start, and on a thread beside the one that stylizes.
//!
//! Comes in: the settings. Goes out: a pipeline that goes by them, bound to the frames' size and warmed up.

use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_video::VideoInfo;

use crate::element::error;
use crate::element::imp::StyleTransfer;
use crate::element::log::CAT;
use crate::element::painter::Painter;
use crate::element::settings::Settings;
use crate::frame::size::InferenceSize;
use crate::inference::config::ModelSource;
use crate::inference::providers::Precision;
use crate::inference::session::OrtGenerator;
use crate::inference::{Generator, Refusal};
use crate::stylizer::Stylizer;

/// What a pipeline was loaded for. Another key needs another pipeline.
#[derive(Clone, PartialEq, Default)]
pub struct Key {
    /// [`crate::element::settings::Revisions::model`].
    pub model: u64,
    /// [`crate::element::settings::Revisions::size`].
    pub size: u64,
    /// How often caps were negotiated.
    pub caps: u64,
    /// How much smaller the governor wants stylized frames.
    pub divisor: u32,
    /// The model; `None` for settings that name none.
    pub source: Option<ModelSource>,
    /// Whether a provider was, or is to be, waited for.
    pub waited: bool,
}

/// A pipeline on its way.
pub struct Loading {
    /// What it is for.
    pub key: Key,
    /// The settings that it is loaded by.
    pub settings: Settings,
    thread: JoinHandle<Result<Painter>>,
}

impl Loading {
    /// Whether [`Loading::answer`] comes at once.
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits for the pipeline.
    ///
    /// # Errors
    /// Why there is none.
    pub fn answer(self) -> Result<Painter> {
        self.thread.join().unwrap_or_else(|_| Err(anyhow!("the thread that loads the model ended early")))
    }
}

impl StyleTransfer {
    fn plugin_folder(&self) -> Option<PathBuf> {
        let file = self.obj().factory()?.plugin()?.filename()?;
        Some(file.parent()?.to_owned())
    }

    /// Loads the model that the settings name. Also returns the provider that was not waited for.
    pub(super) fn load(&self, settings: &Settings, waits: bool) -> Result<(Painter, Option<&'static str>)> {
        settings.check()?;
        let mut config = settings.session_config(self.plugin_folder())?;
        config.waits = waits;
        let generator = OrtGenerator::load(&settings.source()?, &config)?;
        for guess in &generator.contract().guesses {
            gst::info!(CAT, imp = self, "{guess}");
        }
        if config.precision == Precision::Fp16 && !generator.provider_row().half_precision {
            let provider = generator.provider();
            error::warn(
                &self.obj(),
                &format!("property 'precision': '{provider}' has no fp16 and computes as it always does"),
            );
        }
        if settings.lookahead > 0 && generator.contract().recurrent.is_some() {
            error::warn(&self.obj(), "property 'lookahead': a recurrent model needs every frame shown before the next");
        }
        let postponed = generator.postponed();
        let mut painter = Painter::new(Stylizer::new(Box::new(generator)));
        painter.set_style(&settings.style_mix()?, Duration::ZERO).context("property 'style'")?;
        if config.precision == Precision::Int8 && !painter.stylizer().generator().has_int8() {
            let text = "property 'precision': the model has no int8 variant (models/README.md tells where one is looked \
                        for) and computes in fp32";
            error::warn(&self.obj(), text);
        }
        self.post_refusals(&mut painter);
        Ok((painter, postponed))
    }

    /// The library was built for these providers: whoever installed it expects them to be used.
    fn post_refusals(&self, painter: &mut Painter) {
        let refusals = painter.take_refusals();
        let provider = painter.stylizer().generator().provider();
        for Refusal { provider: refused, reason } in refusals {
            let text =
                format!("execution provider '{refused}' cannot be used: {reason}; '{provider}' computes instead");
            error::warn(&self.obj(), &text);
        }
    }

    /// Makes a pipeline ready for frames of `info`, at 1/`divisor` of the size that the settings name.
    pub(super) fn negotiate(
        &self,
        painter: &mut Painter,
        info: &VideoInfo,
        settings: &Settings,
        divisor: u32,
    ) -> Result<()> {
        let mut wish = settings.inference_size()?;
        if divisor > 1 {
            wish = InferenceSize::Scale(1.0 / f64::from(divisor));
        }
        painter.negotiate(info, wish)?;
        self.post_refusals(painter);
        let (size, provider) = (painter.size(), painter.stylizer().generator().provider());
        gst::info!(CAT, imp = self, "stylized frame at {}x{} on '{provider}'", size.0, size.1);
        Ok(())
    }

    /// Loads on a thread of its own, for frames of `info`. Shares the session of `stale` if it is of the same model.
    pub(super) fn load_beside(
        &self,
        key: Key,
        info: VideoInfo,
        settings: Settings,
        stale: Option<Painter>,
    ) -> Result<Loading> {
        let (element, theirs) = (self.obj().clone(), settings.clone());
        let (divisor, waits) = (key.divisor, key.waited || settings.provider_wait);
        let work = move || {
            let this = element.imp();
            let (mut painter, _) = this.load(&theirs, waits)?;
            this.negotiate(&mut painter, &info, &theirs, divisor)?;
            painter.fit();
            painter.warm_up()?;
            drop(stale);
            Ok(painter)
        };
        let thread = std::thread::Builder::new().name("styletransfer-load".into()).spawn(work)?;
        Ok(Loading { key, settings, thread })
    }
}
