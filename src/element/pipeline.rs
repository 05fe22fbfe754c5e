//! Converters and frames of one negotiation: from a pad's frame to the generator's size and back.
//!
//! Comes in: the frame. Goes out: the stylized frame at the frame's size, as planes of our own, and from there into a pad's
//! frame. A stylized frame that is smaller than the frame takes its edges from the frame.

use anyhow::Result;
use gst_video::{VideoFrameExt, VideoInfo};

use crate::element::convert::{Converter, FrameIn, FrameOut, Plane, Work, light_plane};
use crate::frame::mix::{Mix, mix};
use crate::frame::size::Size;
use crate::stylizer::{Controls, Geometry, Outcome, Stylizer};
use crate::upsample::{Guided, Light};

/// What is read anew for every frame.
#[derive(Debug, Clone, Copy)]
pub struct FrameControls {
    /// How much of the original stays.
    pub mix: Mix,
    /// What the stylizer does.
    pub stylizer: Controls,
}

/// The frames that one call is about. Without lookahead both are the same.
#[derive(Clone, Copy)]
pub struct Frames<'a> {
    /// The one to stylize.
    pub next: &'a FrameIn<'a>,
    /// The one to show.
    pub shown: &'a FrameIn<'a>,
}

/// The stage.
pub struct Stage {
    info: VideoInfo,
    enter: Converter,
    original: Work,
    stylized: Work,
    full: Option<FullSize>,
    leave: Converter,
}

/// For stylized frames of another size than the frame.
struct FullSize {
    enter: Converter,
    original: Work,
    stylized: Work,
    grow: Grow,
}

/// How the stylized frame comes to the frame's size.
enum Grow {
    Resize(Converter),
    Guided(Box<Guide>),
}

/// The frame's lightness at both sizes.
struct Guide {
    /// For formats that have no plane of it.
    enter: Converter,
    large: Work,
    size: Size,
    light: Light,
    /// The time of the frame that `light` is of.
    of: Option<gst::ClockTime>,
    guided: Guided,
}

impl Stage {
    /// For frames of `info` and a generator of this geometry.
    ///
    /// # Errors
    /// Formats or sizes that GStreamer cannot convert.
    pub fn new(info: &VideoInfo, geometry: Geometry) -> Result<Self> {
        let frame = (info.width() as usize, info.height() as usize);
        let original = Work::new(info, geometry.input)?;
        let stylized = Work::new(info, geometry.output)?;
        let enter = Converter::new(info, original.info())?;
        let same = geometry.input == frame && geometry.output == frame;
        let full = (!same).then(|| FullSize::new(info, frame, &stylized)).transpose()?;
        let leave = Converter::new(full.as_ref().map_or(stylized.info(), |f| f.stylized.info()), info)?;
        Ok(Self { info: info.clone(), enter, original, stylized, full, leave })
    }

    /// The frames' format.
    pub fn info(&self) -> &VideoInfo {
        &self.info
    }

    /// Stylizes; what there is to show lies in [`Stage::result`] then.
    ///
    /// # Errors
    /// The runtime's.
    pub fn stylize<S: Plane>(
        &mut self,
        stylizer: &mut Stylizer,
        frames: Frames,
        controls: FrameControls,
    ) -> Result<Outcome> {
        let light = match &mut self.full {
            Some(FullSize { grow: Grow::Guided(guide), .. }) => guide.look(frames.next)?,
            _ => None,
        };
        let into = &mut self.stylized.image_mut()?;
        let controls_here = controls.stylizer;
        let warped = match light {
            // Where nothing is stylized, the lightness is all that is needed of the frame.
            Some(light) => stylizer.propagate(&light.image()?, into, controls_here)?,
            None => None,
        };
        let outcome = match (warped, light) {
            (Some(outcome), _) => outcome,
            (None, light) => {
                self.enter.enter(frames.next, &mut self.original);
                let original = self.original.image::<S>()?;
                match light {
                    Some(light) => stylizer.stylize(&light.image()?, &original, into, controls_here)?,
                    None => stylizer.process(&original, into, controls_here)?,
                }
            }
        };
        if matches!(outcome, Outcome::Stylized(_) | Outcome::Propagated) {
            self.finish::<S>(frames.shown, controls)?;
        }
        Ok(outcome)
    }

    /// Stylizes the frame that was held; false if there is none.
    ///
    /// # Errors
    /// As [`Stage::stylize`].
    pub fn drain<S: Plane>(
        &mut self,
        stylizer: &mut Stylizer,
        held: &FrameIn,
        controls: FrameControls,
    ) -> Result<bool> {
        let drained = stylizer.drain(&mut self.stylized.image_mut::<S>()?, controls.stylizer.smoothing)?;
        if drained {
            self.finish::<S>(held, controls)?;
        }
        Ok(drained)
    }

    fn finish<S: Plane>(&mut self, shown: &FrameIn, controls: FrameControls) -> Result<()> {
        let needs_original = !controls.mix.is_stylized_alone() || self.info.has_alpha();
        match &mut self.full {
            Some(full) => full.finish::<S>(shown, &self.stylized, needs_original.then_some(controls.mix)),
            None if needs_original => {
                if controls.stylizer.lookahead {
                    self.enter.enter(shown, &mut self.original);
                }
                merge::<S>(&self.original, &mut self.stylized, controls.mix)
            }
            None => Ok(()),
        }
    }

    /// The stylized frame at the frame's size.
    pub fn result(&self) -> &Work {
        self.full.as_ref().map_or(&self.stylized, |full| &full.stylized)
    }

    /// Fades from another stage's stylized frame: `share` is this one's.
    ///
    /// # Errors
    /// Paintings of different sizes.
    pub fn fade_from<S: Plane>(&mut self, other: &Work, share: f32) -> Result<()> {
        let own = self.full.as_mut().map_or(&mut self.stylized, |full| &mut full.stylized);
        let how = Mix { strength: share, preserve_color: false };
        mix(&other.image::<S>()?, &mut own.image_mut()?, how);
        Ok(())
    }

    /// The stylized frame into a pad's frame.
    pub fn leave(&self, to: &mut FrameOut) {
        self.leave.leave(self.result(), to);
    }
}

impl FullSize {
    fn new(info: &VideoInfo, frame: Size, small: &Work) -> Result<Self> {
        let (original, stylized) = (Work::new(info, frame)?, Work::new(info, frame)?);
        let smaller = small.size().0 < frame.0 && small.size().1 < frame.1;
        let grow = match smaller {
            true => Grow::Guided(Box::new(Guide::new(info, frame, small.size())?)),
            false => Grow::Resize(Converter::new(small.info(), stylized.info())?),
        };
        Ok(Self { enter: Converter::new(info, original.info())?, original, stylized, grow })
    }

    fn finish<S: Plane>(&mut self, shown: &FrameIn, small: &Work, mix: Option<Mix>) -> Result<()> {
        match &mut self.grow {
            Grow::Resize(resize) => resize.resize(small, &mut self.stylized),
            Grow::Guided(guide) => guide.grow::<S>(shown, small, &mut self.stylized)?,
        }
        let Some(mix) = mix else { return Ok(()) };
        self.enter.enter(shown, &mut self.original);
        merge::<S>(&self.original, &mut self.stylized, mix)
    }
}

impl Guide {
    fn new(info: &VideoInfo, frame: Size, small: Size) -> Result<Self> {
        let large = Work::grey(info, frame)?;
        let enter = Converter::new(info, large.info())?;
        Ok(Self { enter, large, size: small, light: Light::default(), of: None, guided: Guided::new(small, frame) })
    }

    /// The frame's lightness at the stylized frame's size; nothing for formats that have no plane of it.
    fn look(&mut self, frame: &FrameIn) -> Result<Option<&Light>> {
        let Some(plane) = light_plane(frame) else { return Ok(None) };
        self.light.take(&plane, self.size);
        self.of = frame.buffer().pts();
        Ok(Some(&self.light))
    }

    fn grow<S: Plane>(&mut self, shown: &FrameIn, stylized: &Work, into: &mut Work) -> Result<()> {
        if let Some(plane) = light_plane(shown) {
            if self.of.is_none() || self.of != shown.buffer().pts() {
                self.light.take(&plane, self.size);
            }
            self.guided.run(&stylized.image::<S>()?, &self.light.image()?, &plane, &mut into.image_mut()?);
            return Ok(());
        }
        self.enter.enter(shown, &mut self.large);
        let large = self.large.image::<S>()?;
        self.light.take(&large, self.size);
        self.guided.run(&stylized.image::<S>()?, &self.light.image()?, &large, &mut into.image_mut()?);
        Ok(())
    }
}

fn merge<S: Plane>(original: &Work, stylized: &mut Work, how: Mix) -> Result<()> {
    if !how.is_stylized_alone() {
        mix(&original.image::<S>()?, &mut stylized.image_mut()?, how);
    }
    stylized.copy_alpha(original);
    Ok(())
}
