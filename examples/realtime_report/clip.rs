//! The first frames of a clip at one size, in memory, as BGR (the format of OpenCV) and NV12 (the format of cameras).

use std::path::Path;

use anyhow::{Context, Result, ensure};
use gst::prelude::*;

/// Most frames, and most memory for them.
const FRAMES: usize = 60;
const BYTES: usize = 600 << 20;

/// Looped frames.
pub struct Clip {
    pub size: (usize, usize),
    pub bgr: Vec<gst::Buffer>,
    pub nv12: Vec<gst::Buffer>,
}

impl Clip {
    /// Decodes and scales the frames.
    pub fn read(clip: &Path, size: (usize, usize)) -> Result<Self> {
        let count = FRAMES.min(BYTES / (5 * size.0 * size.1)).max(4);
        let read = |format: &str| frames(clip, format, size, count);
        let (bgr, nv12) = (read("BGR")?, read("NV12")?);
        ensure!(!bgr.is_empty() && bgr.len() == nv12.len(), "{}: no frames", clip.display());
        Ok(Self { size, bgr, nv12 })
    }

    /// Index of frame `i` of a loop that runs forwards and backwards, so that it has no scene cut.
    pub fn index(&self, i: usize) -> usize {
        let period = 2 * (self.bgr.len() - 1);
        let i = i % period.max(1);
        if i < self.bgr.len() { i } else { period - i }
    }

    /// Caps at a frame rate.
    pub fn caps(&self, format: &str, rate: u32) -> String {
        format!("video/x-raw,format={format},width={},height={},framerate={rate}/1", self.size.0, self.size.1)
    }
}

fn frames(clip: &Path, format: &str, (width, height): (usize, usize), count: usize) -> Result<Vec<gst::Buffer>> {
    let line = format!(
        "filesrc name=file ! decodebin ! videoconvert ! videoscale add-borders=false ! \
         video/x-raw,format={format},width={width},height={height},pixel-aspect-ratio=1/1 ! \
         appsink name=sink sync=false max-buffers=2"
    );
    let pipeline = gst::parse::launch(&line)?.downcast::<gst::Pipeline>().ok().context("no pipeline")?;
    pipeline.by_name("file").context("no source")?.set_property("location", clip.display().to_string());
    let sink = pipeline.by_name("sink").and_then(|s| s.downcast::<gst_app::AppSink>().ok()).context("no sink")?;
    pipeline.set_state(gst::State::Playing)?;
    let mut list = Vec::new();
    while list.len() < count {
        let Ok(sample) = sink.pull_sample() else { break };
        list.push(sample.buffer_owned().context("no buffer")?.copy_deep()?);
    }
    pipeline.set_state(gst::State::Null)?;
    Ok(list)
}
