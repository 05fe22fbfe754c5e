//! One picture with every style on a frame of a film, to choose by looking.
//!
//! `cargo run --release --example style_sheet -- FILM SHEET.png [--at SECONDS] [--style-files FOLDER] [--set property=value]...`
//!
//! The frame itself comes first, then every embedded style, then every style file (`*.style`) of the folder.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use gst::prelude::*;
use gststyletransfer::model::{built_in, style_file};
use image::{RgbImage, imageops};

/// Pixels between two pictures.
const GAP: u32 = 6;

#[derive(Parser)]
#[command(about = "Show every style on a frame of a film")]
struct Arguments {
    /// Video or picture file, in any format that GStreamer decodes.
    film: PathBuf,
    /// Picture file to write: .png, .jpg or .webp.
    sheet: PathBuf,
    /// Where in the film the frame is, in seconds.
    #[arg(long, default_value_t = 0.0)]
    at: f64,
    /// Folder of style files to show too.
    #[arg(long)]
    style_files: Option<PathBuf>,
    /// Width of each picture, in pixels.
    #[arg(long, default_value_t = 480, value_parser = clap::value_parser!(u32).range(64..=4096))]
    width: u32,
    /// Pictures beside each other.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=16))]
    columns: u32,
    /// Property of the element, for example --set style-scale=2; may be repeated.
    #[arg(long = "set", value_name = "PROPERTY=VALUE")]
    properties: Vec<String>,
}

/// A picture of the sheet.
struct Tile {
    label: String,
    /// The element's properties; `None` for the frame itself.
    properties: Option<Vec<(String, String)>>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    gst::init()?;
    gststyletransfer::plugin_register_static()?;
    let frame = frame_of(&arguments.film, arguments.at, arguments.width)?;
    let mut pictures = Vec::new();
    for tile in tiles(&arguments)? {
        pictures.push(stylized(&frame, &tile).with_context(|| tile.label.clone())?);
        println!("{}", tile.label);
    }
    let sheet = composed(&pictures, arguments.columns);
    sheet.save(&arguments.sheet).with_context(|| format!("sheet '{}'", arguments.sheet.display()))?;
    println!("{} pictures: {}", pictures.len(), arguments.sheet.display());
    Ok(())
}

fn tiles(arguments: &Arguments) -> Result<Vec<Tile>> {
    let mut common = Vec::new();
    for property in &arguments.properties {
        let (name, value) =
            property.split_once('=').with_context(|| format!("--set {property}: expected name=value"))?;
        common.push((name.to_owned(), value.to_owned()));
    }
    let with = |name: &str, value: &str| Some([&common[..], &[(name.to_owned(), value.to_owned())]].concat());
    let mut tiles = vec![Tile { label: "input".into(), properties: None }];
    tiles.extend(built_in::styles().map(|s| Tile { label: s.name.into(), properties: with("style", s.name) }));
    for file in
        arguments.style_files.iter().map(|folder| style_file::paths(folder)).collect::<Result<Vec<_>>>()?.concat()
    {
        let label = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        tiles.push(Tile { label, properties: with("style-file", &file.to_string_lossy()) });
    }
    Ok(tiles)
}

/// The frame at `seconds`, of square pixels.
fn frame_of(film: &Path, seconds: f64, width: u32) -> Result<gst::Sample> {
    ensure!(seconds >= 0.0, "--at: {seconds} is before the beginning");
    std::fs::File::open(film).with_context(|| format!("film '{}'", film.display()))?;
    let line = format!(
        "filesrc name=source ! decodebin ! videoconvertscale ! videoflip video-direction=auto ! videoconvertscale ! \
         video/x-raw,format=RGB,width={width},pixel-aspect-ratio=1/1 ! appsink name=sink sync=false"
    );
    let pipeline = Running::of(&line)?;
    pipeline.named("source")?.set_property("location", film);
    pipeline.0.set_state(gst::State::Paused)?;
    if pipeline.0.state(gst::ClockTime::from_seconds(60)).0.is_err() {
        return Err(pipeline.problem()).with_context(|| format!("film '{}'", film.display()));
    }
    if seconds > 0.0 {
        let time = gst::ClockTime::from_nseconds((seconds * 1e9) as u64);
        pipeline
            .0
            .seek_simple(gst::SeekFlags::FLUSH | gst::SeekFlags::ACCURATE, time)
            .context("--at: it cannot seek")?;
    }
    let sample = pipeline.named("sink")?.emit_by_name::<Option<gst::Sample>>("pull-preroll", &[]);
    sample.with_context(|| format!("film '{}' has no frame at {seconds} s", film.display()))
}

/// The frame with the tile's label, stylized if the tile has a style.
fn stylized(frame: &gst::Sample, tile: &Tile) -> Result<RgbImage> {
    let style =
        if tile.properties.is_some() { "styletransfer name=style on-error=error temporal-smoothing=0 !" } else { "" };
    let label = match gst::ElementFactory::find("textoverlay") {
        Some(_) => "textoverlay name=label valignment=top halignment=left font-desc=\"Sans Bold 18\" !",
        None => "",
    };
    let line = format!(
        "appsrc name=source format=time ! {style} videoconvert ! {label} video/x-raw,format=RGB ! \
         appsink name=sink sync=false"
    );
    let pipeline = Running::of(&line)?;
    for (name, value) in tile.properties.iter().flatten() {
        let element = pipeline.named("style")?;
        element.find_property(name).with_context(|| format!("--set {name}={value}: no such property"))?;
        element.set_property_from_str(name, value);
    }
    if let Some(element) = pipeline.0.by_name("label") {
        element.set_property("text", &tile.label);
    }
    let source = pipeline.named("source")?;
    if pipeline.0.set_state(gst::State::Playing).is_err() {
        return Err(pipeline.problem());
    }
    // What goes wrong with them stands on the bus.
    let _ = source.emit_by_name::<gst::FlowReturn>("push-sample", &[frame]);
    let _ = source.emit_by_name::<gst::FlowReturn>("end-of-stream", &[]);
    let sample = pipeline.named("sink")?.emit_by_name::<Option<gst::Sample>>("pull-sample", &[]);
    picture(&sample.ok_or_else(|| pipeline.problem())?)
}

fn picture(sample: &gst::Sample) -> Result<RgbImage> {
    let info = gst_video::VideoInfo::from_caps(sample.caps().context("a frame without caps")?)?;
    let buffer = sample.buffer().context("a sample without a frame")?;
    let frame = gst_video::VideoFrameRef::from_buffer_ref_readable(buffer, &info)?;
    let (stride, row) = (info.stride()[0] as usize, 3 * info.width() as usize);
    let rows = frame.plane_data(0)?.chunks(stride).take(info.height() as usize);
    let pixels = rows.flat_map(|line| &line[..row]).copied().collect();
    RgbImage::from_raw(info.width(), info.height(), pixels).context("a frame of another size")
}

fn composed(pictures: &[RgbImage], columns: u32) -> RgbImage {
    let (width, height) = pictures.first().map_or((1, 1), RgbImage::dimensions);
    let rows = (pictures.len() as u32).div_ceil(columns);
    let side = |count: u32, side: u32| count * (side + GAP) - GAP;
    let white = image::Rgb([255; 3]);
    let mut sheet = RgbImage::from_pixel(side(columns, width), side(rows, height), white);
    for (index, picture) in (0..).zip(pictures) {
        let (x, y) = (index % columns * (width + GAP), index / columns * (height + GAP));
        imageops::replace(&mut sheet, picture, x.into(), y.into());
    }
    sheet
}

/// A pipeline that is stopped when it is dropped.
struct Running(gst::Pipeline);

impl Running {
    fn of(line: &str) -> Result<Self> {
        match gst::parse::launch(line)?.downcast() {
            Ok(pipeline) => Ok(Self(pipeline)),
            Err(_) => bail!("'{line}' is no pipeline"),
        }
    }

    fn named(&self, name: &str) -> Result<gst::Element> {
        self.0.by_name(name).with_context(|| format!("no element '{name}'"))
    }

    /// The first error on the bus.
    fn problem(&self) -> anyhow::Error {
        let message =
            self.0.bus().and_then(|bus| bus.timed_pop_filtered(gst::ClockTime::SECOND, &[gst::MessageType::Error]));
        match message.as_ref().map(|message| message.view()) {
            Some(gst::MessageView::Error(error)) => anyhow::anyhow!("{}", error.error()),
            _ => anyhow::anyhow!("no frame came out"),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.set_state(gst::State::Null);
    }
}
