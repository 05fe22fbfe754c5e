//! What is running, and how it takes up changes of the settings: between two frames.
//!
//! Comes in: the settings as they are now. Goes out: a painter that goes by them, or a warning and the old one.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use anyhow::{Context, Result};
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_video::VideoInfo;

use super::error;
use super::imp::StyleTransfer;
use super::log::CAT;
use super::painter::Painter;
use super::settings::{Revisions, Settings};
use crate::inference::Generator;
use crate::inference::config::ModelSource;
use crate::inference::provider::Precision;
use crate::inference::session::OrtGenerator;
use crate::stylizer::Stylizer;

/// What is running: behind one lock that is held for the length of a frame.
#[derive(Default)]
pub(super) struct Running {
    pub painter: Option<Painter>,
    pub source: Option<ModelSource>,
    pub revisions: Revisions,
    pub warned_not_finite: bool,
}

/// A lock whose holder panicked still protects plain data.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

impl StyleTransfer {
    pub(super) fn settings(&self) -> Settings {
        lock(&self.settings).clone()
    }

    fn plugin_folder(&self) -> Option<PathBuf> {
        let file = self.obj().factory()?.plugin()?.filename()?;
        Some(file.parent()?.to_owned())
    }

    /// Loads the model that the settings name.
    pub(super) fn load(&self, settings: &Settings) -> Result<Painter> {
        settings.check()?;
        let config = settings.session_config(self.plugin_folder())?;
        let generator = OrtGenerator::load(&settings.source()?, &config)?;
        for guess in &generator.contract().guesses {
            gst::info!(CAT, imp = self, "{guess}");
        }
        for refusal in &generator.refusals {
            // The library was built for this provider: whoever installed it expects it to be used.
            let text = format!(
                "execution provider '{}' cannot be used: {}; '{}' computes instead",
                refusal.provider,
                refusal.reason,
                generator.provider()
            );
            error::warn(&self.obj(), &text);
        }
        if config.precision == Precision::Fp16 && !generator.provider_row().half_precision {
            let provider = generator.provider();
            error::warn(
                &self.obj(),
                &format!("property 'precision': '{provider}' has no fp16 and computes as it always does"),
            );
        }
        let mut painter = Painter::new(Stylizer::new(Box::new(generator)));
        painter.set_style(&settings.style_mix()?, Duration::ZERO).context("property 'style'")?;
        Ok(painter)
    }

    pub(super) fn negotiate(&self, painter: &mut Painter, info: &VideoInfo, settings: &Settings) -> Result<()> {
        let size = painter.negotiate(info, settings.inference_size()?)?;
        let provider = painter.stylizer().generator().provider().to_owned();
        gst::info!(CAT, imp = self, "painting at {}x{} on '{provider}'", size.0, size.1);
        lock(&self.stats).configured(&provider, size);
        Ok(())
    }

    /// Takes up a change of model or size between two frames. What cannot be had leaves the old one painting.
    pub(super) fn catch_up(&self, running: &mut Running, wanted: Revisions) {
        let had = std::mem::replace(&mut running.revisions, wanted);
        if had == wanted {
            return;
        }
        let settings = self.settings();
        if had.model != wanted.model {
            return self.replace(running, &settings);
        }
        if had.size != wanted.size {
            self.resize(running, &settings);
        }
        if had.style != wanted.style {
            self.restyle(running, &settings);
        }
    }

    fn replace(&self, running: &mut Running, settings: &Settings) {
        let info = running.painter.as_ref().and_then(Painter::info).cloned();
        let fresh = self.load(settings).and_then(|mut painter| {
            let info = info.context("no caps yet")?;
            self.negotiate(&mut painter, &info, settings)?;
            Ok(painter)
        });
        match fresh {
            Ok(painter) => (running.painter, running.source) = (Some(painter), settings.source().ok()),
            Err(problem) => error::warn(&self.obj(), &format!("the old model stays: {problem:#}")),
        }
    }

    /// Another mix of the same model's styles is a matter of numbers; a style of another model loads that one.
    fn restyle(&self, running: &mut Running, settings: &Settings) {
        let changed = settings.source().and_then(|source| {
            if running.source.as_ref() != Some(&source) {
                self.replace(running, settings);
                return Ok(());
            }
            let Some(painter) = &mut running.painter else { return Ok(()) };
            painter.set_style(&settings.style_mix()?, settings.style_fade()).context("property 'style'")
        });
        if let Err(problem) = changed {
            error::warn(&self.obj(), &format!("the old style stays: {problem:#}"));
        }
    }

    fn resize(&self, running: &mut Running, settings: &Settings) {
        let Some(painter) = &mut running.painter else { return };
        let Some(info) = painter.info().cloned() else { return };
        if let Err(problem) = self.negotiate(painter, &info, settings) {
            error::warn(&self.obj(), &format!("painting at the frame's size instead: {problem:#}"));
            let plain = Settings { inference_size: "0".into(), ..settings.clone() };
            if let Err(problem) = self.negotiate(painter, &info, &plain) {
                gst::error!(CAT, imp = self, "{problem:#}");
            }
        }
    }
}
