//! Lookahead: every frame leaves when the next one has come.

use anyhow::{Result, anyhow, bail};
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::prelude::*;
use gst_base::subclass::base_transform::{GenerateOutputSuccess, InputBuffer, PrepareOutputBufferSuccess};
use gst_base::subclass::prelude::*;
use gst_video::{VideoFrameRef, VideoInfo};

use crate::element::error;
use crate::element::imp::StyleTransfer;
use crate::element::log::CAT;
use crate::element::painter::Painter;
use crate::element::pipeline::{FrameControls, Frames};
use crate::element::reload::lock;
use crate::stylizer::{Controls, Pace};

impl StyleTransfer {
    /// Whether frames wait for the next one.
    pub(super) fn looks_ahead(&self) -> bool {
        let wanted = lock(&self.settings).lookahead > 0;
        wanted && !lock(&self.running).is_recurrent()
    }

    /// Takes the next frame and gives the one before.
    pub(super) fn generate_behind(&self) -> Result<GenerateOutputSuccess, gst::FlowError> {
        let Some(next) = self.take_queued_buffer() else { return Ok(GenerateOutputSuccess::NoOutput) };
        let ahead = self.looks_ahead();
        if !ahead {
            self.drain();
        }
        let shown = match ahead {
            true => lock(&self.held).replace(next.clone()),
            false => Some(next.clone()),
        };
        let made = self.show_behind(&next, shown.as_ref(), ahead);
        made.map_err(|problem| error::at_frame(&self.obj(), &problem))
    }

    fn show_behind(
        &self,
        next: &gst::Buffer,
        shown: Option<&gst::Buffer>,
        ahead: bool,
    ) -> Result<GenerateOutputSuccess> {
        let info = self.frame_info()?;
        let next = VideoFrameRef::from_buffer_ref_readable(next, &info)?;
        let Some(shown) = shown else {
            self.show(Frames { next: &next, shown: &next }, None, ahead)?;
            return Ok(GenerateOutputSuccess::NoOutput);
        };
        let mut out = self.buffer_like(shown)?;
        let shown = VideoFrameRef::from_buffer_ref_readable(shown, &info)?;
        let mut to = VideoFrameRef::from_buffer_ref_writable(out.make_mut(), &info)?;
        self.show(Frames { next: &next, shown: &shown }, Some(&mut to), ahead)?;
        drop(to);
        Ok(GenerateOutputSuccess::Buffer(out))
    }

    /// Pushes the frame that waits for a next one which does not come.
    pub(super) fn drain(&self) {
        let Some(held) = lock(&self.held).take() else { return };
        let pushed = self.drained(&held).and_then(|out| Ok(self.obj().src_pad().push(out)?));
        if let Err(problem) = pushed {
            gst::warning!(CAT, imp = self, "the last frame: {problem:#}");
        }
    }

    fn drained(&self, held: &gst::Buffer) -> Result<gst::Buffer> {
        let info = self.frame_info()?;
        let mut out = self.buffer_like(held)?;
        let shown = VideoFrameRef::from_buffer_ref_readable(held, &info)?;
        let mut to = VideoFrameRef::from_buffer_ref_writable(out.make_mut(), &info)?;
        let settings = lock(&self.settings).of_frame();
        let stylizer = Controls { smoothing: settings.smoothing, time: None, pace: Pace::Every, lookahead: true };
        let controls = FrameControls { mix: settings.mix, stylizer };
        let mut running = lock(&self.running);
        let running = &mut *running;
        let painters = running.painter.iter_mut().chain(running.before.as_mut().map(|before| &mut before.painter));
        let mut stylized = false;
        for painter in painters {
            if !stylized && settings.mix.strength > 0.0 && painter.drain(&shown, controls)? {
                painter.leave(&mut to);
                stylized = true;
            }
        }
        if !stylized {
            self.pass_through(Frames { next: &shown, shown: &shown }, Some(&mut to), std::time::Instant::now())?;
        }
        drop(to);
        Ok(out)
    }

    fn frame_info(&self) -> Result<VideoInfo> {
        let running = lock(&self.running);
        running.painter.as_ref().and_then(Painter::info).cloned().ok_or_else(|| anyhow!("a frame came before its caps"))
    }

    /// A buffer from downstream's pool with the times and metadata of `frame`.
    fn buffer_like(&self, frame: &gst::Buffer) -> Result<gst::Buffer> {
        match self.parent_prepare_output_buffer(InputBuffer::Readable(frame))? {
            PrepareOutputBufferSuccess::Buffer(out) => Ok(out),
            PrepareOutputBufferSuccess::InputBuffer => bail!("downstream gave the frame itself to stylize in"),
        }
    }
}
