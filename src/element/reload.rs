//! What is running, and how it takes up changes of the settings: between two frames, while the old one stylizes on.
//!
//! Comes in: the settings as they are now. Goes out: a pipeline that goes by them, or a warning and the old one.

use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use gst::prelude::*;
use gst::subclass::prelude::*;

use crate::element::error;
use crate::element::imp::StyleTransfer;
use crate::element::loading::{Key, Loading};
use crate::element::painter::Painter;
use crate::element::settings::{FrameSettings, Settings};
use crate::inference::config::ModelSource;
use crate::schedule::pace::Pacer;
use crate::style::Fade;

/// What is running: behind one lock that is held for the length of a frame.
#[derive(Default)]
pub(super) struct Running {
    pub painter: Option<Painter>,
    /// The model that stylizes, and the settings that it was loaded by.
    pub source: Option<ModelSource>,
    pub loaded: Settings,
    /// What the pipeline goes by, or what was tried in vain.
    pub key: Key,
    /// What it should go by.
    pub wanted: Key,
    /// The style that it stylizes, by its revision.
    pub style: u64,
    pub before: Option<Before>,
    /// Time of the last frame.
    pub last: Option<Duration>,
    pub pacer: Pacer,
    pub complaints: Complaints,
    pub loading: Option<Loading>,
    /// What was loaded for caps or a size that are past: with it lives a session that took long to make.
    pub stale: Option<Painter>,
}

/// The pipeline before, for the time of the fade.
pub(super) struct Before {
    pub painter: Painter,
    pub fade: Fade,
}

/// Warnings that would come with every frame come once a second.
#[derive(Default)]
pub(super) struct Complaints {
    last: Option<Instant>,
    unposted: u32,
}

impl Complaints {
    const PAUSE: Duration = Duration::from_secs(1);

    /// Posts `text` unless one was posted within the last second.
    pub fn warn(&mut self, element: &crate::element::StyleTransfer, text: &str) {
        if self.last.is_some_and(|last| last.elapsed() < Self::PAUSE) {
            self.unposted += 1;
            return;
        }
        self.last = Some(Instant::now());
        match std::mem::take(&mut self.unposted) {
            0 => error::warn(element, text),
            unposted => error::warn(element, &format!("{text} ({unposted} more frames since the last warning)")),
        }
    }
}

/// A lock whose holder panicked still protects plain data.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

impl Running {
    /// Forgets what was stylized before.
    pub fn reset(&mut self) {
        self.painter.as_mut().map(Painter::reset);
        self.before = None;
    }

    /// Whether every frame must be shown before the next one is stylized.
    pub fn is_recurrent(&self) -> bool {
        self.painter.as_ref().is_some_and(|p| p.stylizer().generator().contract().recurrent.is_some())
    }

    /// Whether a provider is to take over from the one that computes meanwhile.
    fn is_promised(&self) -> bool {
        self.wanted.waited && !self.key.waited
    }

    /// Whether that one is being prepared.
    pub fn prepares(&self) -> bool {
        self.is_promised() && self.loading.as_ref().is_some_and(|loading| !loading.is_finished())
    }

    /// Waits for whatever is still loading: no thread may be inside the runtime when the process ends.
    pub fn finish(&mut self) {
        if let Some(loading) = self.loading.take() {
            drop(loading.answer());
        }
    }
}

impl StyleTransfer {
    pub(super) fn settings(&self) -> Settings {
        lock(&self.settings).clone()
    }

    /// Takes up changes between two frames: orders what takes time, and switches to what is ready.
    pub(super) fn catch_up(&self, running: &mut Running, settings: &FrameSettings, divisor: u32) {
        let revisions = settings.revisions;
        if (running.wanted.model, running.wanted.size) != (revisions.model, revisions.size)
            || running.style != revisions.style
        {
            self.want(running, settings);
        }
        running.wanted.divisor = divisor;
        if running.loading.as_ref().is_some_and(Loading::is_finished)
            && let Some(loading) = running.loading.take()
        {
            self.take_up(running, loading);
        }
        if running.wanted == running.key {
            running.stale = None;
        } else if running.loading.is_none() {
            let ordered = self.order(running);
            match ordered {
                Ok(loading) => running.loading = Some(loading),
                Err(problem) => self.stay(running, &problem),
            }
        }
    }

    fn order(&self, running: &mut Running) -> Result<Loading> {
        let stale = running.stale.take();
        let (wanted, key) = (&running.wanted, &running.key);
        let info = running.painter.as_ref().and_then(Painter::info).cloned().context("no caps yet")?;
        let settings = self.settings();
        let same_model = (wanted.model, &wanted.source, wanted.waited) == (key.model, &key.source, key.waited);
        let settings = match same_model {
            // The model that stylizes: one that was refused since does not get in the way of another size.
            true => Settings { inference_size: settings.inference_size, ..running.loaded.clone() },
            false => settings,
        };
        self.load_beside(wanted.clone(), info, settings, stale)
    }

    /// Reads from the settings what should be running; another style of the same model is taken up at once.
    fn want(&self, running: &mut Running, frame: &FrameSettings) {
        let settings = self.settings();
        (running.wanted.model, running.wanted.size) = (frame.revisions.model, frame.revisions.size);
        if running.style != frame.revisions.style {
            running.style = frame.revisions.style;
            match settings.source() {
                Err(problem) => return self.stay_in_style(&problem),
                Ok(source) => running.wanted.source = Some(source),
            }
            if running.wanted.source == running.source
                && let Err(problem) = restyle(running, &settings, settings.style_fade())
            {
                self.stay_in_style(&problem);
            }
        } else {
            // A file that cannot be had is told when it is loaded.
            running.wanted.source = settings.source().ok();
        }
    }

    fn stay_in_style(&self, problem: &anyhow::Error) {
        error::warn(&self.obj(), &format!("the old style stays: {problem:#}"));
    }

    /// The old pipeline goes on, until something else is wanted.
    fn stay(&self, running: &mut Running, problem: &anyhow::Error) {
        if running.is_promised() {
            self.announce(gst::ProgressType::Error, "the provider cannot be had; the one that computes goes on");
        }
        running.key = running.wanted.clone();
        error::warn(&self.obj(), &format!("the old model stays: {problem:#}"));
    }

    fn take_up(&self, running: &mut Running, loading: Loading) {
        if loading.key != running.wanted {
            // Something else is wanted by now, but perhaps of the same session.
            running.stale = loading.answer().ok();
            return;
        }
        let (key, loaded) = (loading.key.clone(), loading.settings.clone());
        match loading.answer() {
            Ok(painter) => self.switch(running, painter, key, loaded),
            Err(problem) => self.stay(running, &problem),
        }
    }

    fn switch(&self, running: &mut Running, painter: Painter, key: Key, loaded: Settings) {
        let settings = self.settings();
        let restyles = loaded.revisions.style != running.style && loaded.style != settings.style;
        let resized = Key { divisor: key.divisor, ..running.key.clone() } == key;
        if key.waited && !running.key.waited {
            let provider = painter.stylizer().generator().provider().to_owned();
            self.announce(gst::ProgressType::Complete, &format!("'{provider}' is ready and computes from now on"));
        }
        let mut had = running.painter.replace(painter);
        running.source = loaded.source().ok();
        (running.key, running.loaded) = (key, loaded);
        if restyles && let Err(problem) = restyle(running, &settings, Duration::ZERO) {
            self.stay_in_style(&problem);
        }
        if resized && let (Some(painter), Some(had)) = (&mut running.painter, &mut had) {
            painter.continue_from(had);
        }
        // The governor's smaller picture is the same stylized frame: nothing to fade, but with lookahead a frame is on its way.
        let length = if resized { Duration::ZERO } else { settings.style_fade() };
        running.before = had
            .filter(|_| !length.is_zero() || settings.lookahead > 0)
            .map(|painter| Before { painter, fade: Fade::new(length) });
        self.configured(running);
        let Some(painter) = &running.painter else { return };
        let (width, height) = painter.size();
        let structure = gst::Structure::builder("styletransfer-generator")
            .field("provider", painter.stylizer().generator().provider())
            .field("model", running.source.as_ref().map(ToString::to_string).unwrap_or_default())
            .field("inference-width", width as u32)
            .field("inference-height", height as u32)
            .build();
        self.post(structure);
    }

    /// Tells the statistics what stylizes now.
    pub(super) fn configured(&self, running: &Running) {
        if let Some(painter) = &running.painter {
            lock(&self.stats).configured(painter.stylizer().generator().provider(), painter.size());
        }
    }

    /// Posts an element message.
    pub(super) fn post(&self, structure: gst::Structure) {
        let element = self.obj();
        // Without a bus nobody wants to know.
        let _ = element.post_message(gst::message::Element::builder(structure).src(&*element).build());
    }
}

fn restyle(running: &mut Running, settings: &Settings, fade: Duration) -> Result<()> {
    let Some(painter) = &mut running.painter else { return Ok(()) };
    painter.set_style(&settings.style_mix()?, fade).context("property 'style'")?;
    running.loaded.style.clone_from(&settings.style);
    Ok(())
}
