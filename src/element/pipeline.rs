//! Converters and stylizer of one negotiation: from a pad's frame to the generator's size and back.
//!
//! Comes in: a frame. Goes out: the stylized frame at the frame's own size, in planes of our own, and from there in a pad's
//! frame. A stylized frame smaller than the frame takes its edges from the frame (guided upsampling).

use anyhow::{Context, Result, bail};
use gst_video::VideoInfo;

use super::convert::{Converter, Depth, FrameIn, FrameOut, Plane, Work, light_plane};
use crate::frame::mix::{Mix, mix};
use crate::frame::size::{InferenceSize, Size};
use crate::stylizer::{Controls, Geometry, Outcome, Stylizer};
use crate::upsample::{Guided, Light};

/// What is read anew for every frame.
#[derive(Debug, Clone, Copy)]
pub struct FrameControls {
    /// How much of the input frame remains.
    pub mix: Mix,
    /// What the stylizer does.
    pub stylizer: Controls,
}

/// A frame with a number of its own: a timestamp is no identity.
#[derive(Clone, Copy)]
pub struct Numbered<'a> {
    /// The frame.
    pub frame: &'a FrameIn<'a>,
    /// Its place in the order of arrival.
    pub number: u64,
}

/// The frames that one call is about. Without lookahead both are the same.
#[derive(Clone, Copy)]
pub struct Frames<'a> {
    /// The frame to stylize.
    pub next: Numbered<'a>,
    /// The frame to output.
    pub shown: Numbered<'a>,
}

/// How much of a pipeline a negotiation has kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// Everything: only colorimetry or rate have changed.
    History,
    /// Generator and sizes: the history is dropped with the format.
    Sizes,
    /// Nothing: the generator is bound to another size.
    Nothing,
}

/// A stylizer with everything that frames of the negotiated format need.
pub struct Pipeline {
    /// The stylizer.
    pub stylizer: Stylizer,
    conversion: Option<Conversion>,
    geometry: Geometry,
    threads: usize,
}

/// Calls a method of the conversion with the sample type of its depth.
macro_rules! by_depth {
    ($conversion:expr, $method:ident($($argument:expr),*)) => {
        match Depth::of(&$conversion.info) {
            Depth::Eight => $conversion.$method::<u8>($($argument),*),
            Depth::Twelve => $conversion.$method::<u16>($($argument),*),
        }
    };
}

impl Pipeline {
    /// A pipeline around a loaded model; [`Pipeline::negotiate`] comes next. `threads` bounds every conversion.
    pub fn new(stylizer: Stylizer, threads: usize) -> Self {
        let geometry = Geometry { input: (0, 0), output: (0, 0) };
        Self { stylizer, conversion: None, geometry, threads }
    }

    /// The frames' format, once negotiated.
    pub fn info(&self) -> Option<&VideoInfo> {
        self.conversion.as_ref().map(|conversion| &conversion.info)
    }

    /// Size of the picture that the generator sees.
    pub fn inference_size(&self) -> Size {
        self.geometry.input
    }

    /// Whether every frame must be output before the next one is stylized.
    pub fn is_recurrent(&self) -> bool {
        self.stylizer.generator().contract().recurrent.is_some()
    }

    /// Makes ready for frames of `info`. Where size and inference size stay, the generator stays bound.
    ///
    /// # Errors
    /// The model does not run at this size, or GStreamer does not convert the format.
    pub fn negotiate(&mut self, info: &VideoInfo, size: InferenceSize) -> Result<Kept> {
        let requested = size.of(frame_size(info));
        let before = self.conversion.take();
        let kept = match &before {
            Some(before) if before.requested == requested && frame_size(&before.info) == frame_size(info) => {
                if before.info.format() == info.format() { Kept::History } else { Kept::Sizes }
            }
            _ => Kept::Nothing,
        };
        match kept {
            Kept::History => {}
            Kept::Sizes => self.stylizer.reset(),
            Kept::Nothing => self.geometry = self.stylizer.prepare(requested)?,
        }
        self.conversion = Some(Conversion::new(info, requested, self.geometry, self.threads)?);
        Ok(kept)
    }

    /// Stylizes a frame; [`Pipeline::leave`] writes the result.
    ///
    /// # Errors
    /// Nothing negotiated, or the runtime's error.
    pub fn stylize(&mut self, frames: Frames, controls: FrameControls) -> Result<Outcome> {
        let Some(conversion) = &mut self.conversion else { bail!(NO_CAPS) };
        by_depth!(conversion, stylize(&mut self.stylizer, frames, controls))
    }

    /// With lookahead: finishes the delayed frame; false if there is none.
    ///
    /// # Errors
    /// As [`Pipeline::stylize`].
    pub fn drain(&mut self, delayed: Numbered, controls: FrameControls) -> Result<bool> {
        let Some(conversion) = &mut self.conversion else { return Ok(false) };
        by_depth!(conversion, drain(&mut self.stylizer, delayed, controls))
    }

    /// Fades from the result of another pipeline of the same format: `share` is this one's.
    ///
    /// # Errors
    /// One of them has no result.
    pub fn fade_from(&mut self, other: &Pipeline, share: f32) -> Result<()> {
        let before = other.conversion.as_ref().context("nothing to fade from")?;
        let Some(conversion) = &mut self.conversion else { bail!(NO_CAPS) };
        by_depth!(conversion, fade_from(before.result(), share))
    }

    /// Writes the result into a pad's frame.
    pub fn leave(&self, to: &mut FrameOut) {
        if let Some(conversion) = &self.conversion {
            conversion.leave.leave(conversion.result(), to);
        }
    }
}

const NO_CAPS: &str = "a frame came before its caps";

fn frame_size(info: &VideoInfo) -> Size {
    (info.width() as usize, info.height() as usize)
}

/// Converters and frames of one format, size and inference size.
struct Conversion {
    info: VideoInfo,
    requested: Size,
    enter: Converter,
    input: Work,
    stylized: Work,
    full: Option<FullSize>,
    /// With alpha, frames are scaled after their hidden colours are gone.
    shrink: Option<Converter>,
    leave: Converter,
}

/// Where the stylized frame has another size than the frame.
struct FullSize {
    enter: Converter,
    input: Work,
    stylized: Work,
    enlarge: Enlarge,
}

/// How the stylized frame comes to the frame's size.
enum Enlarge {
    Resize(Converter),
    Guided(Box<Guide>),
}

impl Enlarge {
    /// See [`Guide::look`].
    fn look(&mut self, frame: Numbered) -> Result<Option<&Light>> {
        match self {
            Enlarge::Guided(guide) => guide.look(frame),
            Enlarge::Resize(_) => Ok(None),
        }
    }
}

/// The frame's luma at both sizes.
struct Guide {
    /// For formats without a plane of luma.
    enter: Converter,
    large: Work,
    size: Size,
    light: Light,
    /// Number of the frame that `light` is of.
    of: Option<u64>,
    guided: Guided,
}

impl Conversion {
    /// # Errors
    /// Formats or sizes that GStreamer does not convert.
    fn new(info: &VideoInfo, requested: Size, geometry: Geometry, threads: usize) -> Result<Self> {
        let frame = frame_size(info);
        let input = Work::new(info, geometry.input)?;
        let stylized = Work::new(info, geometry.output)?;
        let enter = Converter::new(info, input.info(), threads)?;
        let same = geometry.input == frame && geometry.output == frame;
        let full = (!same).then(|| FullSize::new(info, frame, &stylized, threads)).transpose()?;
        let scaled = full.as_ref().filter(|_| info.has_alpha());
        let shrink = scaled.map(|full| Converter::new(full.input.info(), input.info(), threads)).transpose()?;
        let leave = Converter::new(full.as_ref().map_or(stylized.info(), |f| f.stylized.info()), info, threads)?;
        Ok(Self { info: info.clone(), requested, enter, input, stylized, full, shrink, leave })
    }

    /// The result lies in [`Conversion::result`] then.
    fn stylize<S: Plane>(
        &mut self,
        stylizer: &mut Stylizer,
        frames: Frames,
        controls: FrameControls,
    ) -> Result<Outcome> {
        let (light, large) = match &mut self.full {
            Some(FullSize { enlarge, enter, input, .. }) => (enlarge.look(frames.next)?, Some((enter, input))),
            None => (None, None),
        };
        let into = &mut self.stylized.image_mut()?;
        let propagated = match light {
            // Where no inference runs, only the luma of the frame is needed.
            Some(light) => stylizer.propagate(&light.image()?, into, controls.stylizer)?,
            None => None,
        };
        let outcome = match (propagated, light) {
            (Some(outcome), _) => outcome,
            (None, light) => {
                match (large, &self.shrink) {
                    (Some((enter, large)), Some(shrink)) => {
                        enter.enter(frames.next.frame, large);
                        large.hide_invisible::<S>()?;
                        shrink.resize(large, &mut self.input);
                    }
                    _ => self.enter.enter(frames.next.frame, &mut self.input),
                }
                let input = self.input.image::<S>()?;
                match light {
                    Some(light) => stylizer.stylize(&light.image()?, &input, into, controls.stylizer)?,
                    None => stylizer.process(&input, into, controls.stylizer)?,
                }
            }
        };
        if matches!(outcome, Outcome::Stylized(_) | Outcome::Propagated) {
            self.finish::<S>(frames.shown, controls)?;
        }
        Ok(outcome)
    }

    fn drain<S: Plane>(&mut self, stylizer: &mut Stylizer, delayed: Numbered, controls: FrameControls) -> Result<bool> {
        let drained = stylizer.drain(&mut self.stylized.image_mut::<S>()?, controls.stylizer.smoothing)?;
        if drained {
            self.finish::<S>(delayed, controls)?;
        }
        Ok(drained)
    }

    fn finish<S: Plane>(&mut self, shown: Numbered, controls: FrameControls) -> Result<()> {
        let needs_input = !controls.mix.is_stylized_alone() || self.info.has_alpha();
        match &mut self.full {
            Some(full) => full.finish::<S>(shown, &self.stylized, needs_input.then_some(controls.mix)),
            None if needs_input => {
                if controls.stylizer.lookahead {
                    self.enter.enter(shown.frame, &mut self.input);
                }
                merge::<S>(&self.input, &mut self.stylized, controls.mix)
            }
            None => Ok(()),
        }
    }

    /// The stylized frame at the frame's size.
    fn result(&self) -> &Work {
        self.full.as_ref().map_or(&self.stylized, |full| &full.stylized)
    }

    fn fade_from<S: Plane>(&mut self, other: &Work, share: f32) -> Result<()> {
        let own = self.full.as_mut().map_or(&mut self.stylized, |full| &mut full.stylized);
        let how = Mix { strength: share, preserve_color: false };
        mix(&other.image::<S>()?, &mut own.image_mut()?, how);
        Ok(())
    }
}

impl FullSize {
    fn new(info: &VideoInfo, frame: Size, small: &Work, threads: usize) -> Result<Self> {
        let (input, stylized) = (Work::new(info, frame)?, Work::new(info, frame)?);
        let smaller = small.size().0 < frame.0 && small.size().1 < frame.1;
        let enlarge = match smaller {
            true => Enlarge::Guided(Box::new(Guide::new(info, frame, small.size(), threads)?)),
            false => Enlarge::Resize(Converter::new(small.info(), stylized.info(), threads)?),
        };
        Ok(Self { enter: Converter::new(info, input.info(), threads)?, input, stylized, enlarge })
    }

    fn finish<S: Plane>(&mut self, shown: Numbered, small: &Work, mix: Option<Mix>) -> Result<()> {
        if mix.is_some() {
            self.enter.enter(shown.frame, &mut self.input);
        }
        match &mut self.enlarge {
            Enlarge::Resize(resize) => resize.resize(small, &mut self.stylized),
            Enlarge::Guided(guide) => guide.enlarge::<S>(shown, &self.input, small, &mut self.stylized)?,
        }
        let Some(mix) = mix else { return Ok(()) };
        merge::<S>(&self.input, &mut self.stylized, mix)
    }
}

impl Guide {
    fn new(info: &VideoInfo, frame: Size, small: Size, threads: usize) -> Result<Self> {
        let large = Work::grey(info, frame)?;
        let enter = Converter::new(info, large.info(), threads)?;
        Ok(Self { enter, large, size: small, light: Light::default(), of: None, guided: Guided::new(small, frame) })
    }

    /// The frame's luma at the inference size; `None` for formats without a plane of it.
    fn look(&mut self, frame: Numbered) -> Result<Option<&Light>> {
        let Some(plane) = light_plane(frame.frame) else { return Ok(None) };
        self.light.take(&plane, self.size);
        self.of = Some(frame.number);
        Ok(Some(&self.light))
    }

    fn enlarge<S: Plane>(&mut self, shown: Numbered, coloured: &Work, stylized: &Work, into: &mut Work) -> Result<()> {
        if let Some(plane) = light_plane(shown.frame) {
            if self.of != Some(shown.number) {
                self.light.take(&plane, self.size);
                self.of = Some(shown.number);
            }
            self.guided.run(&stylized.image::<S>()?, &self.light.image()?, &plane, &mut into.image_mut()?);
            return Ok(());
        }
        self.enter.enter(shown.frame, &mut self.large);
        if coloured.info().has_alpha() {
            self.large.hide_where_invisible::<S>(coloured)?;
        }
        let large = self.large.image::<S>()?;
        self.light.take(&large, self.size);
        self.guided.run(&stylized.image::<S>()?, &self.light.image()?, &large, &mut into.image_mut()?);
        Ok(())
    }
}

/// Mixes with the input frame and carries its alpha over.
fn merge<S: Plane>(input: &Work, stylized: &mut Work, how: Mix) -> Result<()> {
    if !how.is_stylized_alone() {
        mix(&input.image::<S>()?, &mut stylized.image_mut()?, how);
    }
    stylized.copy_alpha(input);
    Ok(())
}
