//! Hot swap: the pipeline in use, and how another one replaces it between two frames.
//!
//! Comes in: the settings as they are now. Goes out: a pipeline that follows them, or a warning and the old one.
//!
//! ```text
//!             a setting changes             the pipeline is ready            the fade ends
//!    Idle ───────────────────────► Loading ─────────────────────► Fading ──────────────────► Idle
//!                                     └── it cannot be loaded ──► Idle
//! ```
//!
//! While one pipeline fades out, the next one may be loading already. A provider that needs minutes to prepare  is loaded beside all of this and holds nothing up.

use std::time::Duration;

use anyhow::{Context, Result};

use super::load::{Load, Loaded, Loader, Target};
use super::messages::Outbox;
use super::pipeline::{FrameControls, Frames, Pipeline};
use super::settings::{FrameSettings, Settings};
use super::stats::Shown;
use crate::inference::config::ModelSource;
use crate::style::Fade;
use crate::stylizer::{Controls, Outcome, Pace};

/// What happens beside the pipeline in use.
#[derive(Default)]
enum State {
    /// Nothing.
    #[default]
    Idle,
    /// Another pipeline is being loaded.
    Loading(Box<Load>),
    /// The pipeline before fades out; the next one may be on its way.
    Fading(Box<Fading>),
}

struct Fading {
    from: Pipeline,
    fade: Fade,
    next: Option<Box<Load>>,
}

/// An execution provider that needs minutes to prepare, while another one is in use.
#[derive(Default)]
enum Preparation {
    /// There is none.
    #[default]
    None,
    /// It is to be prepared for what is in use.
    Pending(&'static str),
    /// It is being prepared.
    Running(&'static str, Box<Load>),
    /// It is in use: loading waits for it from now on.
    Done,
}

/// The pipeline in use and what is to replace it.
#[derive(Default)]
pub struct Reload {
    /// The pipeline in use.
    pub pipeline: Option<Pipeline>,
    loader: Loader,
    /// The settings that it was loaded by.
    loaded: Settings,
    /// Its model.
    source: Option<ModelSource>,
    /// What the pipeline in use is for, or what could not be loaded.
    current: Target,
    requested: Target,
    /// Revision of the style in use.
    style: u64,
    state: State,
    preparation: Preparation,
    /// Loaded for caps or a size that are past; keeps a session alive that took long to make.
    stale: Option<Pipeline>,
}

/// A frame that is ready to be written.
pub struct Stylized {
    /// How it came about.
    pub how: Shown,
    /// Whether it is the result of the pipeline before: with lookahead the new one is a frame behind.
    from_old: bool,
}

impl Reload {
    /// Takes what was loaded before the first frame.
    pub fn start(loader: Loader, settings: Settings, loaded: Loaded, out: &mut Outbox) -> Self {
        let Loaded { pipeline, postponed, warnings } = loaded;
        warnings.into_iter().for_each(|text| out.warning(text));
        let (revisions, source) = (settings.revisions, settings.source().ok());
        let target =
            Target { model: revisions.model, size: revisions.size, caps: 0, divisor: 1, source: source.clone() };
        let mut reload = Self { loader, source, style: revisions.style, loaded: settings, ..Self::default() };
        (reload.current, reload.requested) = (target.clone(), target);
        reload.pipeline = Some(pipeline);
        reload.announce(postponed, out);
        reload
    }

    fn announce(&mut self, postponed: Option<&'static str>, out: &mut Outbox) {
        let Some(slow) = postponed else { return };
        let now = self.provider();
        out.progress(gst::ProgressType::Start, format!("preparing '{slow}'; '{now}' is in use meanwhile"));
        self.preparation = Preparation::Pending(slow);
    }

    fn provider(&self) -> String {
        self.pipeline.as_ref().map_or_else(String::new, |p| p.stylizer.generator().provider().to_owned())
    }

    /// Drops the history. The one place for it.
    pub fn reset(&mut self) {
        if let Some(pipeline) = &mut self.pipeline {
            pipeline.stylizer.reset();
        }
        self.end_fade();
    }

    /// Ends a fade: the pipeline before is of other caps, or of another position.
    pub fn end_fade(&mut self) {
        if let State::Fading(fading) = &mut self.state {
            self.state = fading.next.take().map_or(State::Idle, State::Loading);
        }
    }

    /// Whether a slow provider is being prepared.
    pub fn is_preparing(&self) -> bool {
        matches!(&self.preparation, Preparation::Running(_, load) if !load.is_finished())
    }

    /// The divisor of the pipeline in use.
    pub fn divisor(&self) -> u32 {
        self.current.divisor
    }

    /// New caps were negotiated with the pipeline in use: inference at 1/`divisor`.
    pub fn negotiated(&mut self, size: u64, divisor: u32) {
        self.requested.caps += 1;
        self.requested.divisor = divisor;
        self.current = Target { caps: self.requested.caps, size, divisor, ..self.current.clone() };
    }

    /// Follows the settings between two frames: orders what takes time, and switches to what is ready. True: another
    /// generator is in use.
    pub fn follow(
        &mut self,
        ask: &dyn Fn() -> Settings,
        frame: &FrameSettings,
        divisor: u32,
        out: &mut Outbox,
    ) -> bool {
        let revisions = frame.revisions;
        if (self.requested.model, self.requested.size, self.style) != (revisions.model, revisions.size, revisions.style)
        {
            self.read(&ask(), out);
        }
        self.requested.divisor = divisor;
        let switched = self.poll(ask, out) | self.poll_preparation(ask, out);
        if self.requested == self.current {
            if !matches!(self.preparation, Preparation::Pending(_) | Preparation::Running(..)) {
                self.stale = None;
            }
        } else if !self.is_loading() {
            self.order(ask, out);
        }
        switched
    }

    /// Reads what is requested. Another style of the same model needs no loading.
    fn read(&mut self, settings: &Settings, out: &mut Outbox) {
        let revisions = settings.revisions;
        (self.requested.model, self.requested.size) = (revisions.model, revisions.size);
        if self.style == revisions.style {
            // A file that cannot be read is reported when it is loaded.
            self.requested.source = settings.source().ok();
            return;
        }
        self.style = revisions.style;
        let same = settings.source().map(|source| {
            self.requested.source = Some(source);
            // What is loaded anew, as with another style file, gets the style then.
            self.requested.model == self.current.model && self.requested.source == self.source
        });
        let restyled = match same {
            Ok(true) => self.restyle(settings, settings.style_fade()),
            other => other.map(|_| ()),
        };
        if let Err(problem) = restyled {
            out.warning(format!("the old style stays in use: {problem:#}"));
        }
    }

    fn restyle(&mut self, settings: &Settings, fade: Duration) -> Result<()> {
        let Some(pipeline) = &mut self.pipeline else { return Ok(()) };
        pipeline.stylizer.set_style(&settings.style_mix()?, fade).context("property 'style'")?;
        self.loaded.style.clone_from(&settings.style);
        Ok(())
    }

    fn load_slot(&mut self) -> Option<Box<Load>> {
        match std::mem::take(&mut self.state) {
            State::Loading(load) => Some(load),
            State::Fading(mut fading) => {
                let load = fading.next.take();
                self.state = State::Fading(fading);
                load
            }
            State::Idle => None,
        }
    }

    fn set_load(&mut self, load: Box<Load>) {
        match &mut self.state {
            State::Fading(fading) => fading.next = Some(load),
            state => *state = State::Loading(load),
        }
    }

    fn is_loading(&self) -> bool {
        match &self.state {
            State::Loading(_) => true,
            State::Fading(fading) => fading.next.is_some(),
            State::Idle => false,
        }
    }

    /// Switches to what was loaded, if it is still requested.
    fn poll(&mut self, ask: &dyn Fn() -> Settings, out: &mut Outbox) -> bool {
        let Some(load) = self.load_slot() else { return false };
        if !load.is_finished() {
            self.set_load(load);
            return false;
        }
        let (target, settings, requested) = (load.target.clone(), load.settings.clone(), load.target == self.requested);
        match load.answer() {
            Ok(loaded) if requested => self.switch(loaded, target, settings, &ask(), out),
            // Something else is requested by now, but perhaps of the same session.
            Ok(loaded) => self.stale = Some(loaded.pipeline),
            Err(problem) if requested => {
                self.current = self.requested.clone();
                out.warning(format!("the old model stays in use: {problem:#}"));
            }
            Err(_) => {}
        }
        requested
    }

    /// Prepares the provider that needs minutes once nothing else is on its way, and switches to it when it is ready.
    fn poll_preparation(&mut self, ask: &dyn Fn() -> Settings, out: &mut Outbox) -> bool {
        match std::mem::take(&mut self.preparation) {
            Preparation::Pending(slow) if self.requested == self.current && !self.is_loading() => {
                self.preparation = match self.load(ask(), true) {
                    Ok(load) => Preparation::Running(slow, Box::new(load)),
                    Err(problem) => self.fail_preparation(slow, &problem, out),
                };
                false
            }
            Preparation::Running(slow, load) if load.is_finished() => self.finish_preparation(slow, *load, ask, out),
            same => {
                self.preparation = same;
                false
            }
        }
    }

    /// The load of the provider `slow` has ended. True: it is in use.
    pub fn finish_preparation(
        &mut self,
        slow: &'static str,
        load: Load,
        ask: &dyn Fn() -> Settings,
        out: &mut Outbox,
    ) -> bool {
        let (target, settings) = (load.target.clone(), load.settings.clone());
        match load.answer() {
            Ok(loaded) if target == self.requested => {
                self.switch(loaded, target, settings, &ask(), out);
                let provider = self.provider();
                out.progress(gst::ProgressType::Complete, format!("'{provider}' is ready and in use from now on"));
                self.preparation = Preparation::Done;
                true
            }
            Ok(loaded) => {
                // Caps or size have changed: what took minutes is shared by the next one.
                self.stale = Some(loaded.pipeline);
                self.preparation = Preparation::Pending(slow);
                false
            }
            Err(problem) => {
                self.preparation = self.fail_preparation(slow, &problem, out);
                false
            }
        }
    }

    fn fail_preparation(&self, slow: &str, problem: &anyhow::Error, out: &mut Outbox) -> Preparation {
        let now = self.provider();
        out.progress(gst::ProgressType::Error, format!("'{slow}' cannot be used; '{now}' stays in use"));
        out.warning(format!("execution provider '{slow}' cannot be used: {problem:#}; '{now}' stays in use"));
        Preparation::None
    }

    /// Where the stream can wait: the load of a provider that needs minutes, to be waited for outside of any lock and given to
    /// [`Reload::finish_preparation`].
    pub fn awaited(&mut self, settings: Settings, out: &mut Outbox) -> Option<(&'static str, Load)> {
        let Preparation::Pending(slow) = self.preparation else { return None };
        match self.load(settings, true) {
            Ok(load) => Some((slow, load)),
            Err(problem) => {
                self.preparation = self.fail_preparation(slow, &problem, out);
                None
            }
        }
    }

    fn order(&mut self, ask: &dyn Fn() -> Settings, out: &mut Outbox) {
        let waits = matches!(self.preparation, Preparation::Done) && self.requested.is_of_model(&self.current);
        match self.load(ask(), waits) {
            Ok(load) => self.set_load(Box::new(load)),
            Err(problem) => {
                self.current = self.requested.clone();
                out.warning(format!("the old model stays in use: {problem:#}"));
            }
        }
    }

    fn load(&mut self, settings: Settings, waits: bool) -> Result<Load> {
        let info = self.pipeline.as_ref().and_then(Pipeline::info).cloned().context("no caps yet")?;
        let settings = match self.requested.is_of_model(&self.current) {
            // The model in use: one that was refused since does not get in the way of another size.
            true => Settings {
                inference_size: settings.inference_size,
                style_scale: settings.style_scale,
                ..self.loaded.clone()
            },
            false => settings,
        };
        self.loader.load_beside(self.requested.clone(), info, settings, waits, self.stale.take())
    }

    fn switch(&mut self, loaded: Loaded, target: Target, by: Settings, settings: &Settings, out: &mut Outbox) {
        let Loaded { pipeline, postponed, warnings } = loaded;
        warnings.into_iter().for_each(|text| out.warning(text));
        let resized = Target { divisor: target.divisor, ..self.current.clone() } == target;
        if !target.is_of_model(&self.current) {
            self.preparation = Preparation::None;
            self.announce(postponed, out);
        }
        let restyles = by.revisions.style != self.style && by.style != settings.style;
        let mut before = self.pipeline.replace(pipeline);
        (self.current, self.source, self.loaded) = (target, by.source().ok(), by);
        if restyles && let Err(problem) = self.restyle(settings, Duration::ZERO) {
            out.warning(format!("the old style stays in use: {problem:#}"));
        }
        let Some(pipeline) = &mut self.pipeline else { return };
        if resized && let Some(before) = &mut before {
            pipeline.stylizer.continue_from(&mut before.stylizer);
        }
        let model = self.source.as_ref().map(ToString::to_string).unwrap_or_default();
        out.generator(pipeline.stylizer.generator().provider(), &model, pipeline.inference_size());
        // The governor's smaller frame is the same picture: nothing to fade, but with lookahead a frame is on its way.
        let length = if resized { Duration::ZERO } else { settings.style_fade() };
        if let Some(from) = before.filter(|_| !length.is_zero() || settings.lookahead > 0) {
            let next = self.load_slot();
            self.state = State::Fading(Box::new(Fading { from, fade: Fade::new(length), next }));
        }
    }

    /// Stylizes with the pipeline in use, and with the one before while that fades out. `None`: nothing to output yet.
    ///
    /// # Errors
    /// The runtime's, or an output that is not finite.
    pub fn stylize(&mut self, frames: Frames, controls: FrameControls) -> Result<Option<Stylized>> {
        let old = match &mut self.state {
            // Its last frame is propagated: two inferences a frame would be late.
            State::Fading(fading) => fading.from.stylize(frames, propagating(controls)).ok().and_then(shown),
            _ => None,
        };
        let pipeline = self.pipeline.as_mut().context("no model is loaded")?;
        let outcome = pipeline.stylize(frames, controls)?;
        anyhow::ensure!(outcome != Outcome::NotFinite, "the model's output has NaN or infinite values");
        let Some(how) = shown(outcome) else { return Ok(old.map(|how| Stylized { how, from_old: true })) };
        if let State::Fading(fading) = &mut self.state {
            let share = fading.fade.share(controls.stylizer.time);
            match share < 1.0 && old.is_some() {
                true => pipeline.fade_from(&fading.from, share)?,
                false => self.state = fading.next.take().map_or(State::Idle, State::Loading),
            }
        }
        Ok(Some(Stylized { how, from_old: false }))
    }

    /// The pipeline that has the frame.
    pub fn result(&self, stylized: &Stylized) -> Option<&Pipeline> {
        match &self.state {
            State::Fading(fading) if stylized.from_old => Some(&fading.from),
            _ => self.pipeline.as_ref(),
        }
    }

    /// With lookahead: the pipeline that finished the delayed frame; `None` if there is none.
    ///
    /// # Errors
    /// The runtime's.
    pub fn drain(&mut self, delayed: super::pipeline::Numbered, controls: FrameControls) -> Result<Option<&Pipeline>> {
        let fading = match &mut self.state {
            State::Fading(fading) => Some(&mut fading.from),
            _ => None,
        };
        for pipeline in self.pipeline.iter_mut().chain(fading) {
            if pipeline.drain(delayed, controls)? {
                return Ok(Some(pipeline));
            }
        }
        Ok(None)
    }
}

fn propagating(controls: FrameControls) -> FrameControls {
    FrameControls { stylizer: Controls { pace: Pace::Propagate, ..controls.stylizer }, ..controls }
}

fn shown(outcome: Outcome) -> Option<Shown> {
    match outcome {
        Outcome::Stylized(took) => Some(Shown::Inferred(took)),
        Outcome::Propagated => Some(Shown::Propagated),
        Outcome::Delayed(_) | Outcome::NotFinite => None,
    }
}
