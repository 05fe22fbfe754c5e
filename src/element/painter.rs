//! A loaded model with everything that a frame of the negotiated format needs.
//!
//! Comes in: a frame. Goes out: the stylized frame. Holds the stylizer and its stage.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use gst_video::VideoInfo;

use crate::element::convert::{Depth, FrameIn, FrameOut};
use crate::element::pipeline::{FrameControls, Frames, Stage};
use crate::frame::size::InferenceSize;
use crate::inference::Refusal;
use crate::style::StyleMix;
use crate::stylizer::{Outcome, Stylizer};

/// Stylizes frames of one format and size.
pub struct Painter {
    stylizer: Stylizer,
    stage: Option<Stage>,
    size: (usize, usize),
}

/// Calls a method of the stage with the sample type of its depth.
macro_rules! by_depth {
    ($stage:expr, $method:ident($($argument:expr),*)) => {
        match Depth::of($stage.info()) {
            Depth::Eight => $stage.$method::<u8>($($argument),*),
            Depth::Twelve => $stage.$method::<u16>($($argument),*),
        }
    };
}

impl Painter {
    /// A pipeline around a loaded model; [`Painter::negotiate`] comes next.
    pub fn new(stylizer: Stylizer) -> Self {
        Self { stylizer, stage: None, size: (0, 0) }
    }

    /// See [`crate::inference::Generator::prepare_style`].
    pub fn prepare_style(&mut self) {
        self.stylizer.prepare_style();
    }

    /// See [`crate::inference::Generator::fit`].
    pub fn fit(&mut self) {
        self.stylizer.fit();
    }

    /// The stylizer.
    pub fn stylizer(&self) -> &Stylizer {
        &self.stylizer
    }

    /// Execution providers that were tried in vain since this was last asked.
    pub fn take_refusals(&mut self) -> Vec<Refusal> {
        self.stylizer.take_refusals()
    }

    /// The frames' format, once negotiated.
    pub fn info(&self) -> Option<&VideoInfo> {
        self.stage.as_ref().map(Stage::info)
    }

    /// Size of the picture that the generator sees.
    pub fn size(&self) -> (usize, usize) {
        self.size
    }

    /// Makes ready for frames of `info`.
    ///
    /// # Errors
    /// The model cannot work at this size, or GStreamer cannot convert the format.
    pub fn negotiate(&mut self, info: &VideoInfo, wish: InferenceSize) -> Result<()> {
        self.stage = None;
        let frame = (info.width() as usize, info.height() as usize);
        let geometry = self.stylizer.prepare(wish.of(frame))?;
        self.stage = Some(Stage::new(info, geometry)?);
        self.size = geometry.input;
        Ok(())
    }

    /// Runs the generator once and tells how long it takes.
    ///
    /// # Errors
    /// The runtime's.
    pub fn warm_up(&mut self) -> Result<Duration> {
        self.stylizer.warm_up()
    }

    /// Chooses the style; see [`Stylizer::set_style`].
    ///
    /// # Errors
    /// A style that the model does not have.
    pub fn set_style(&mut self, mix: &StyleMix, fade: Duration) -> Result<()> {
        self.stylizer.set_style(mix, fade)
    }

    /// See [`Stylizer::continue_from`].
    pub fn continue_from(&mut self, other: &mut Painter) {
        self.stylizer.continue_from(&mut other.stylizer);
    }

    /// Forgets what was stylized before.
    pub fn reset(&mut self) {
        self.stylizer.reset();
    }

    /// Stylizes a frame; [`Painter::leave`] gives what there is to show.
    ///
    /// # Errors
    /// Nothing negotiated, or the runtime's error.
    pub fn stylize(&mut self, frames: Frames, controls: FrameControls) -> Result<Outcome> {
        let Some(stage) = &mut self.stage else { bail!("a frame came before its caps") };
        by_depth!(stage, stylize(&mut self.stylizer, frames, controls))
    }

    /// With lookahead: stylizes the frame that was held; false if there is none.
    ///
    /// # Errors
    /// As [`Painter::stylize`].
    pub fn drain(&mut self, held: &FrameIn, controls: FrameControls) -> Result<bool> {
        let Some(stage) = &mut self.stage else { return Ok(false) };
        by_depth!(stage, drain(&mut self.stylizer, held, controls))
    }

    /// Fades from what another pipeline of the same format has stylized: `share` is this one's.
    ///
    /// # Errors
    /// One of them has stylized nothing.
    pub fn fade_from(&mut self, other: &Painter, share: f32) -> Result<()> {
        let before = other.stage.as_ref().context("nothing to fade from")?;
        let Some(stage) = &mut self.stage else { bail!("a frame came before its caps") };
        by_depth!(stage, fade_from(before.result(), share))
    }

    /// What was stylized, into a pad's frame.
    pub fn leave(&self, to: &mut FrameOut) {
        if let Some(stage) = &self.stage {
            stage.leave(to);
        }
    }
}
