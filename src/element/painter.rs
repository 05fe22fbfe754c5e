//! The running configuration: what was negotiated, with everything a frame needs.
//!
//! Comes in: a frame. Goes out: the painted frame. Holds the stylizer, the converters and their frames.

use std::time::Duration;

use anyhow::Result;
use gst_video::VideoInfo;

use super::convert::{Converter, Depth, FrameIn, FrameOut, Plane, Work};
use crate::geometry::InferenceSize;
use crate::mix::{Mix, mix};
use crate::style::StyleMix;
use crate::stylizer::{Controls, Geometry, Outcome, Stylizer};

/// Paints frames of one format and size.
pub struct Painter {
    stylizer: Stylizer,
    stage: Option<Stage>,
}

/// Converters and frames of one negotiation.
struct Stage {
    info: VideoInfo,
    enter: Converter,
    original: Work,
    painting: Work,
    leave: Converter,
    full: Option<FullSize>,
}

/// For paintings of another size than the frame: where original and painting meet.
struct FullSize {
    enter: Converter,
    original: Work,
    resize: Converter,
    painting: Work,
    leave: Converter,
}

/// What is read anew for every frame.
#[derive(Debug, Clone, Copy)]
pub struct FrameControls {
    /// How much of the original stays.
    pub mix: Mix,
    /// What the stylizer does.
    pub stylizer: Controls,
}

/// How a frame went.
pub enum Painted {
    /// As it should; how long the generator took.
    Done(Duration),
    /// The generator gave no numbers; the original is shown.
    Original,
}

impl Painter {
    /// A painter around a loaded model; [`Painter::negotiate`] comes next.
    pub fn new(stylizer: Stylizer) -> Self {
        Self { stylizer, stage: None }
    }

    /// The stylizer.
    pub fn stylizer(&self) -> &Stylizer {
        &self.stylizer
    }

    /// The frames' format, once negotiated.
    pub fn info(&self) -> Option<&VideoInfo> {
        self.stage.as_ref().map(|stage| &stage.info)
    }

    /// Makes ready for frames of `info`; returns the size of the picture that the generator sees.
    ///
    /// # Errors
    /// The model cannot work at this size, or GStreamer cannot convert the format.
    pub fn negotiate(&mut self, info: &VideoInfo, wish: InferenceSize) -> Result<(usize, usize)> {
        self.stage = None;
        let frame = (info.width() as usize, info.height() as usize);
        let geometry = self.stylizer.prepare(wish.of(frame))?;
        self.stage = Some(Stage::new(info, frame, geometry)?);
        Ok(geometry.input)
    }

    /// Chooses the style; see [`Stylizer::set_style`].
    ///
    /// # Errors
    /// A style that the model does not have.
    pub fn set_style(&mut self, mix: &StyleMix, fade: Duration) -> Result<()> {
        self.stylizer.set_style(mix, fade)
    }

    /// Forgets what was painted before.
    pub fn reset(&mut self) {
        self.stylizer.reset();
    }

    /// Paints a frame.
    ///
    /// # Errors
    /// Nothing negotiated, or the runtime's error.
    pub fn paint(&mut self, from: &FrameIn, to: &mut FrameOut, controls: FrameControls) -> Result<Painted> {
        let Some(stage) = &mut self.stage else { anyhow::bail!("a frame came before its caps") };
        match Depth::of(&stage.info) {
            Depth::Eight => stage.paint::<u8>(&mut self.stylizer, from, to, controls),
            Depth::Twelve => stage.paint::<u16>(&mut self.stylizer, from, to, controls),
        }
    }
}

impl Stage {
    fn new(info: &VideoInfo, frame: (usize, usize), geometry: Geometry) -> Result<Self> {
        let original = Work::new(info, geometry.input)?;
        let painting = Work::new(info, geometry.output)?;
        let enter = Converter::new(info, original.info())?;
        let leave = Converter::new(painting.info(), info)?;
        let same = geometry.input == frame && geometry.output == frame;
        let full = (!same).then(|| FullSize::new(info, frame, &painting)).transpose()?;
        Ok(Self { info: info.clone(), enter, original, painting, leave, full })
    }

    fn paint<S: Plane>(
        &mut self,
        stylizer: &mut Stylizer,
        from: &FrameIn,
        to: &mut FrameOut,
        controls: FrameControls,
    ) -> Result<Painted> {
        self.enter.enter(from, &mut self.original);
        let outcome =
            stylizer.process(&self.original.image::<S>()?, &mut self.painting.image_mut()?, controls.stylizer)?;
        let Outcome::Painted(took) = outcome else { return Ok(Painted::Original) };
        let needs_original = !controls.mix.is_painting_alone() || self.info.has_alpha();
        match &mut self.full {
            Some(full) if needs_original => full.finish::<S>(from, &self.painting, to, controls.mix)?,
            Some(_) => self.leave.leave(&self.painting, to),
            None => {
                if needs_original {
                    merge::<S>(&self.original, &mut self.painting, controls.mix)?;
                }
                self.leave.leave(&self.painting, to);
            }
        }
        Ok(Painted::Done(took))
    }
}

impl FullSize {
    fn new(info: &VideoInfo, frame: (usize, usize), small: &Work) -> Result<Self> {
        let (original, painting) = (Work::new(info, frame)?, Work::new(info, frame)?);
        Ok(Self {
            enter: Converter::new(info, original.info())?,
            resize: Converter::new(small.info(), painting.info())?,
            leave: Converter::new(painting.info(), info)?,
            original,
            painting,
        })
    }

    fn finish<S: Plane>(&mut self, from: &FrameIn, small: &Work, to: &mut FrameOut, how: Mix) -> Result<()> {
        self.enter.enter(from, &mut self.original);
        self.resize.resize(small, &mut self.painting);
        merge::<S>(&self.original, &mut self.painting, how)?;
        self.leave.leave(&self.painting, to);
        Ok(())
    }
}

fn merge<S: Plane>(original: &Work, painting: &mut Work, how: Mix) -> Result<()> {
    if !how.is_painting_alone() {
        mix(&original.image::<S>()?, &mut painting.image_mut()?, how);
    }
    painting.copy_alpha(original);
    Ok(())
}
