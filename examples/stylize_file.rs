//! Stylizes every frame of a video file and copies its audio.
//!
//! `cargo run --release --example stylize_file -- INPUT OUTPUT [--set property=value]...`
//!
//! OUTPUT ends in .mp4, .mov or .mkv. Every audio stream that the container can hold is copied as it is; subtitles, further
//! video, and chapters in a container that holds none are left out, with a line for each. Interlaced films are deinterlaced,
//! rotated ones turned upright. With a terminal there is a progress bar, without one a line every few seconds. The exit status
//! is 1 where the film could not be converted, and where frames of it are not stylized: the last line says which.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use clap::Parser;
use gst::prelude::*;
use indicatif::{ProgressBar, ProgressStyle};

#[derive(Parser)]
#[command(about = "Stylize a video file, keep its audio")]
struct Arguments {
    /// Video file to read, in any format that GStreamer decodes.
    input: PathBuf,
    /// Video file to write: .mp4, .mov or .mkv.
    output: PathBuf,
    /// Property of the element, for example --set strength=0.7; may be repeated.
    #[arg(long = "set", value_name = "PROPERTY=VALUE")]
    properties: Vec<String>,
    /// Constant quality of the H.264 encoder: 0 (lossless) to 51.
    #[arg(long, default_value_t = 20)]
    quantizer: u32,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    gst::init()?;
    gststyletransfer::plugin_register_static()?;
    let conversion = Conversion::open(&arguments)?;
    conversion.run(&arguments.output)
}

struct Conversion {
    pipeline: gst::Pipeline,
    muxer: gst::Element,
    stylizer: gst::Element,
}

fn make(pipeline: &gst::Pipeline, factory: &str) -> Result<gst::Element> {
    let element = gst::ElementFactory::make(factory).build();
    let element = element.with_context(|| format!("element '{factory}' is missing: install its GStreamer plugin"))?;
    pipeline.add(&element)?;
    Ok(element)
}

fn muxer_for(output: &Path) -> Result<&'static str> {
    match output.extension().and_then(|e| e.to_str()) {
        Some("mp4") => Ok("mp4mux"),
        Some("mov") => Ok("qtmux"),
        Some("mkv") => Ok("matroskamux"),
        _ => bail!("output '{}': expected a name that ends in .mp4, .mov or .mkv", output.display()),
    }
}

impl Conversion {
    fn open(arguments: &Arguments) -> Result<Self> {
        let muxer = muxer_for(&arguments.output)?;
        std::fs::File::open(&arguments.input).with_context(|| format!("input '{}'", arguments.input.display()))?;
        let pipeline = gst::Pipeline::new();
        let source = make(&pipeline, "filesrc")?;
        source.set_property("location", &arguments.input);
        let parser = make(&pipeline, "parsebin")?;
        source.link(&parser)?;
        let muxer = make(&pipeline, muxer)?;
        let sink = make(&pipeline, "filesink")?;
        sink.set_property("location", &arguments.output);
        muxer.link(&sink)?;
        let stylizer = make(&pipeline, "styletransfer")?;
        for property in &arguments.properties {
            let (name, value) =
                property.split_once('=').with_context(|| format!("--set {property}: expected name=value"))?;
            stylizer.find_property(name).with_context(|| format!("--set {property}: no such property"))?;
            stylizer.set_property_from_str(name, value);
        }
        let video = Self::video_chain(&pipeline, &stylizer, &muxer, arguments.quantizer)?;
        let (weak, into) = (pipeline.downgrade(), muxer.clone());
        parser.connect_pad_added(move |_, pad| {
            let Some(pipeline) = weak.upgrade() else { return };
            if let Err(problem) = link_stream(&pipeline, pad, &video, &into) {
                gst::element_error!(pipeline, gst::CoreError::Negotiation, ("{problem:#}"));
            }
        });
        Ok(Self { pipeline, muxer, stylizer })
    }

    /// Links decoder, element, encoder and muxer; returns the decoder. Further video streams are skipped.
    fn video_chain(
        pipeline: &gst::Pipeline,
        stylizer: &gst::Element,
        muxer: &gst::Element,
        quantizer: u32,
    ) -> Result<gst::Element> {
        let decoder = make(pipeline, "decodebin")?;
        let before = make(pipeline, "videoconvert")?;
        let after = make(pipeline, "videoconvert")?;
        let encoder = make(pipeline, "x264enc")?;
        encoder.set_property_from_str("pass", "qual");
        encoder.set_property("quantizer", quantizer);
        let parser = make(pipeline, "h264parse")?;
        gst::Element::link_many([&before, stylizer, &after, &encoder, &parser, muxer])?;
        let weak = pipeline.downgrade();
        decoder.connect_pad_added(move |_, pad| {
            let (Some(pipeline), Some(target)) = (weak.upgrade(), before.static_pad("sink")) else { return };
            if !target.is_linked()
                && let Err(problem) = link_decoded(&pipeline, pad, &before)
            {
                gst::element_error!(pipeline, gst::CoreError::Negotiation, ("decoded video: {problem:#}"));
            }
        });
        Ok(decoder)
    }

    fn run(&self, output: &Path) -> Result<()> {
        let started = self.pipeline.set_state(gst::State::Playing).map_err(|_| self.start_error());
        let outcome = started.and_then(|_| self.watch());
        self.pipeline.set_state(gst::State::Null)?;
        let (frames, missed) = outcome?;
        match missed.is_empty() {
            true => println!("{frames} frames stylized: {}", output.display()),
            false => bail!(
                "{} of {frames} frames of '{}' are not stylized: {}",
                missed.len(),
                output.display(),
                ranges(&missed)
            ),
        }
        Ok(())
    }

    /// The reason why the pipeline did not start: the first error on the bus.
    fn start_error(&self) -> anyhow::Error {
        let message = self.pipeline.bus().and_then(|bus| bus.pop_filtered(&[gst::MessageType::Error]));
        match message.as_ref().map(|m| m.view()) {
            Some(gst::MessageView::Error(error)) => anyhow!("{}", error.error()),
            _ => anyhow!("the pipeline does not start"),
        }
    }

    /// Shows progress until the end; returns the number of frames, and which are not stylized.
    fn watch(&self) -> Result<(u64, Vec<u64>)> {
        let bus = self.pipeline.bus().context("a pipeline has a bus")?;
        let bar = ProgressBar::new(100);
        bar.set_style(ProgressStyle::with_template("{bar:40} {percent:>3} %  {msg}  {eta} left")?);
        let mut progress = Progress { bar, printed: Instant::now() };
        let mut missed = Vec::new();
        loop {
            match bus.timed_pop(gst::ClockTime::from_mseconds(200)).as_ref().map(|m| m.view()) {
                Some(gst::MessageView::Eos(_)) => break,
                Some(gst::MessageView::Error(error)) => {
                    let source = error.src().map(|s| s.path_string().to_string()).unwrap_or_default();
                    bail!("{source}: {}", error.error());
                }
                Some(gst::MessageView::Warning(warning)) => progress.note(&warning.error().to_string()),
                Some(gst::MessageView::Element(message)) => missed.extend(passed_through(message)),
                _ => {}
            }
            progress.show(self.share(), self.frames());
        }
        progress.bar.finish_and_clear();
        Ok((self.frames(), missed))
    }

    fn frames(&self) -> u64 {
        self.stylizer.property::<gst::Structure>("stats").get("frames").unwrap_or_default()
    }

    /// Progress, 0 to 1.
    fn share(&self) -> f64 {
        let position = self.stylizer.static_pad("src").and_then(|p| p.query_position::<gst::ClockTime>());
        let duration = self.stylizer.static_pad("sink").and_then(|p| p.peer_query_duration::<gst::ClockTime>());
        let duration = duration.or_else(|| self.muxer.query_duration());
        match (position, duration) {
            (Some(position), Some(duration)) if duration > gst::ClockTime::ZERO => {
                position.nseconds() as f64 / duration.nseconds() as f64
            }
            _ => 0.0,
        }
    }
}

/// The frame that a message says is not stylized.
fn passed_through(message: &gst::message::Element) -> Option<u64> {
    let structure = message.structure().filter(|s| s.name() == "styletransfer-passthrough")?;
    structure.get("frame").ok()
}

/// `3, 7-9` for 3, 7, 8, 9.
fn ranges(frames: &[u64]) -> String {
    let starts = |i: &usize| *i == 0 || frames[i - 1] + 1 != frames[*i];
    let text = |i: usize| {
        let length = frames[i..].iter().zip(frames[i]..).take_while(|(frame, next)| **frame == *next).count() as u64;
        if length == 1 { frames[i].to_string() } else { format!("{}-{}", frames[i], frames[i] + length - 1) }
    };
    (0..frames.len()).filter(starts).map(text).collect::<Vec<_>>().join(", ")
}

/// Decoded video to the converter, over the elements that it needs: a queue, `deinterlace`, `videoflip`.
fn link_decoded(pipeline: &gst::Pipeline, pad: &gst::Pad, to: &gst::Element) -> Result<()> {
    let mut chain = vec![make(pipeline, "queue")?];
    let caps = pad.current_caps().context("a decoded stream has no caps")?;
    let mode = caps.structure(0).and_then(|s| s.get::<String>("interlace-mode").ok());
    if mode.is_some_and(|mode| mode != "progressive") {
        chain.push(make(pipeline, "deinterlace")?);
    }
    // The tag that asks for a turn may come later: without one, frames pass unchanged.
    let flip = make(pipeline, "videoflip")?;
    flip.set_property_from_str("video-direction", "auto");
    chain.extend([make(pipeline, "videoconvert")?, flip]);
    gst::Element::link_many(chain.iter().chain([to]))?;
    pad.link(&chain[0].static_pad("sink").context("queue without sink")?)?;
    chain.iter().try_for_each(|element| element.sync_state_with_parent())?;
    Ok(())
}

/// Links a parsed stream to the decoder, the muxer or, if it is skipped, a fakesink.
fn link_stream(pipeline: &gst::Pipeline, pad: &gst::Pad, video: &gst::Element, muxer: &gst::Element) -> Result<()> {
    let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
    let kind = caps.structure(0).map(|s| s.name().to_string()).unwrap_or_default();
    let is_video = kind.starts_with("video/") || kind.starts_with("image/");
    let sink = video.static_pad("sink").filter(|sink| is_video && !sink.is_linked());
    if let Some(sink) = sink {
        if muxer.dynamic_cast_ref::<gst::TocSetter>().is_none() {
            pad.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, report_chapters);
        }
        pad.link(&sink)?;
        return Ok(());
    }
    let queue = make(pipeline, "queue")?;
    // Audio waits for the slower video, so the queue has no limits.
    for limit in ["max-size-buffers", "max-size-bytes"] {
        queue.set_property(limit, 0u32);
    }
    queue.set_property("max-size-time", 0u64);
    pad.link(&queue.static_pad("sink").context("queue without sink")?)?;
    // A muxer waits for every stream, and subtitles may be minutes apart: they would block the pipeline.
    let fits = kind.starts_with("audio/")
        && muxer.compatible_pad(&queue.static_pad("src").context("queue")?, Some(&caps)).is_some();
    if fits && queue.link_filtered(muxer, &caps).is_ok() {
        queue.sync_state_with_parent()?;
        return Ok(());
    }
    eprintln!("left out: {}", named(&kind));
    let sink = make(pipeline, "fakesink")?;
    sink.set_property("async", false);
    queue.link(&sink)?;
    queue.sync_state_with_parent()?;
    sink.sync_state_with_parent()?;
    Ok(())
}

/// Says once that a container without a table of contents drops the chapters.
fn report_chapters(_: &gst::Pad, info: &mut gst::PadProbeInfo) -> gst::PadProbeReturn {
    match info.event().map(|event| event.type_()) {
        Some(gst::EventType::Toc) => {
            eprintln!("left out: chapters, which .mp4 and .mov do not hold here; .mkv does");
            gst::PadProbeReturn::Remove
        }
        _ => gst::PadProbeReturn::Ok,
    }
}

/// What a media type is called.
fn named(kind: &str) -> String {
    let name = match kind.split('/').next() {
        Some("text" | "subpicture" | "subtitle") => "subtitles",
        Some("application") if kind.contains("ssa") || kind.contains("ass") || kind.contains("teletext") => "subtitles",
        Some("video" | "image") => "a further video stream",
        Some("audio") => "an audio stream that this container does not hold",
        _ => "a stream",
    };
    format!("{name} ({kind})")
}

/// A progress bar in a terminal, otherwise a line every two seconds.
struct Progress {
    bar: ProgressBar,
    printed: Instant,
}

impl Progress {
    fn show(&mut self, share: f64, frames: u64) {
        let percent = (share * 100.0).clamp(0.0, 100.0) as u64;
        self.bar.set_position(percent);
        self.bar.set_message(format!("{frames} frames"));
        if self.bar.is_hidden() && self.printed.elapsed() > Duration::from_secs(2) {
            println!("{percent:>3} %  {frames} frames");
            self.printed = Instant::now();
        }
    }

    fn note(&self, text: &str) {
        match self.bar.is_hidden() {
            true => eprintln!("warning: {text}"),
            false => self.bar.println(format!("warning: {text}")),
        }
    }
}
