//! Temporal stability of every temporal method on the same stylized frames.
//!
//! `cargo run --release --features test-support --example temporal_report -- CLIP [--model FILE] [--size 256x256]
//! [--frames 60] [--smoothing 0.75] [--plot report.svg] [--dump FOLDER]`
//!
//! E_warp is the warping error of Lai et al. 2018, with the motion of the input video; gain is the share of the raw
//! stylized frames' error that a method removes; sharpness is the share of their detail that remains; PSNR is relative
//! to them; colour drift is the largest difference of a frame's mean colour; lag is the number of frames until nine
//! tenths of a step of the stylized frames are shown; e_stab (after Ruder et al. 2018) is the error on a video whose
//! motion is known exactly: the first frame, panned.
//! `--dump` writes all frames as raw RGB for other tools.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use gst::prelude::*;
use gst_video::prelude::*;
use gststyletransfer::flow::Flow;
use gststyletransfer::flow::pyramid::Pyramid;
use gststyletransfer::frame::image::{Image, ImageMut, Shape};
use gststyletransfer::inference::config::{ModelSource, SessionConfig};
use gststyletransfer::inference::session::OrtGenerator;
use gststyletransfer::metrics::lag::lag;
use gststyletransfer::metrics::sharpness::{detail, mean_square, psnr};
use gststyletransfer::metrics::warping_error::Reference;
use gststyletransfer::model::built_in;
use gststyletransfer::stylizer::{Controls, Stylizer};
use gststyletransfer::temporal::stabilizer::{Method, Smoothing, Stabilizer};
use gststyletransfer::tensor::placement::Placement;
use plotters::prelude::*;

#[derive(Parser)]
#[command(about = "Measure the temporal stability of each temporal method")]
struct Arguments {
    /// Video file.
    clip: PathBuf,
    /// ONNX file; without it the embedded style.
    #[arg(long)]
    model: Option<PathBuf>,
    /// Size at which frames are stylized and measured.
    #[arg(long, default_value = "256x256")]
    size: String,
    /// Frames from the beginning.
    #[arg(long, default_value_t = 60)]
    frames: usize,
    /// Property temporal-smoothing.
    #[arg(long, default_value_t = 0.75)]
    smoothing: f32,
    /// SVG file: the warping error of every frame, for the input video and each method.
    #[arg(long)]
    plot: Option<PathBuf>,
    /// Folder for the frames as raw RGB.
    #[arg(long)]
    dump: Option<PathBuf>,
}

const METHODS: [(&str, Method); 3] = [("none", Method::None), ("average", Method::Average), ("motion", Method::Motion)];

type Planar = Vec<f32>;

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    gst::init()?;
    let size = arguments.size.split_once('x').and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
    let size: (usize, usize) = size.context("--size: expected WIDTHxHEIGHT")?;
    let video = read(&arguments.clip, size, arguments.frames)?;
    ensure!(video.len() > 1, "{}: {} frame(s), at least two are needed", arguments.clip.display(), video.len());
    let raw = stylize(&arguments, &video, size)?;
    let references = references(&video, size)?;
    let own: Vec<Planar> = video.iter().map(|f| f.iter().map(|v| f32::from(*v) / 255.0).collect()).collect();
    dump(&arguments, "input", &own, size)?;
    let floor = errors(&references, &own);
    let mut curves = vec![("input", floor.clone())];
    println!("{} frames of {}x{}, smoothing {}", video.len(), size.0, size.1, arguments.smoothing);
    println!("method    E_warp    gain  sharpness  PSNR dB  drift /255  lag frames  ms a frame  e_stab");
    println!("(input)   {:.5}", mean(&floor));
    let base = mean(&errors(&references, &raw));
    let (pan, exact) = pan(&video[0], size);
    let stylized_pan = stylize(&arguments, &pan, size)?;
    for (name, method) in METHODS {
        let (shown, milliseconds) = stabilize(&video, &raw, size, Smoothing { method, amount: arguments.smoothing })?;
        let errors = errors(&references, &shown);
        let sharp = |frames: &[Planar]| frames.iter().map(|f| detail(f, size.0, size.1)).sum::<f32>();
        let squares: f32 = shown.iter().zip(&raw).map(|(a, b)| mean_square(a, b)).sum::<f32>() / raw.len() as f32;
        println!(
            "{name:<8}  {:.5}  {:>5.3}  {:>9.3}  {:>7.1}  {:>10.2}  {:>10}  {milliseconds:>10.2}  {:.5}",
            mean(&errors),
            1.0 - mean(&errors) / base,
            sharp(&shown) / sharp(&raw),
            psnr(squares),
            drift(&shown, &raw) * 255.0,
            step_lag(&video[0], size, Smoothing { method, amount: arguments.smoothing })?,
            mean(&self::errors(
                &exact,
                &stabilize(&pan, &stylized_pan, size, Smoothing { method, amount: arguments.smoothing })?.0
            ))
        );
        dump(&arguments, name, &shown, size)?;
        curves.push((name, errors));
    }
    if let Some(path) = &arguments.plot {
        plot(path, &curves)?;
    }
    Ok(())
}

/// Frames as planar bytes.
fn read(clip: &Path, (width, height): (usize, usize), frames: usize) -> Result<Vec<Vec<u8>>> {
    let line = format!(
        "filesrc name=file ! decodebin ! videoconvert ! videoscale add-borders=false ! \
         video/x-raw,format=GBR,width={width},height={height} ! appsink name=sink sync=false max-buffers=4"
    );
    let pipeline = gst::parse::launch(&line)?.downcast::<gst::Pipeline>().ok().context("no pipeline")?;
    pipeline.by_name("file").context("no source")?.set_property("location", clip.display().to_string());
    let sink = pipeline.by_name("sink").and_then(|s| s.downcast::<gst_app::AppSink>().ok()).context("no sink")?;
    pipeline.set_state(gst::State::Playing)?;
    let mut video = Vec::new();
    while video.len() < frames {
        let Ok(sample) = sink.pull_sample() else { break };
        let info = gst_video::VideoInfo::from_caps(sample.caps().context("no caps")?)?;
        let frame = gst_video::VideoFrameRef::from_buffer_ref_readable(sample.buffer().context("no buffer")?, &info)?;
        let mut planes = Vec::with_capacity(3 * width * height);
        for plane in [2, 0, 1] {
            let stride = frame.plane_stride()[plane] as usize;
            let data = frame.plane_data(plane as u32)?;
            (0..height).for_each(|y| planes.extend_from_slice(&data[y * stride..y * stride + width]));
        }
        video.push(planes);
    }
    pipeline.set_state(gst::State::Null)?;
    Ok(video)
}

fn image(planes: &[u8], (width, height): (usize, usize)) -> Result<Image<'_, u8>> {
    let area = width * height;
    let plane = |i: usize| &planes[i * area..(i + 1) * area];
    Image::new([plane(0), plane(1), plane(2)], [width; 3], Shape { width, height, white: 255 })
}

fn stylize(arguments: &Arguments, video: &[Vec<u8>], size: (usize, usize)) -> Result<Vec<Planar>> {
    let source = match &arguments.model {
        Some(file) => ModelSource::File(file.clone()),
        None => ModelSource::Embedded(&built_in::MODELS[0]),
    };
    let mut stylizer = Stylizer::new(Box::new(OrtGenerator::load(&source, &SessionConfig::default())?));
    let geometry = stylizer.prepare(size)?;
    ensure!(geometry.input == size && geometry.output == size, "the model stylizes at {geometry:?}: take that --size");
    let area = size.0 * size.1;
    let mut stylized = Vec::new();
    for frame in video {
        let mut bytes = [vec![0u8; area], vec![0u8; area], vec![0u8; area]];
        let [r, g, b] = &mut bytes;
        let shape = Shape { width: size.0, height: size.1, white: 255 };
        let mut target = ImageMut::new([r, g, b], [size.0; 3], shape)?;
        stylizer.process(&image(frame, size)?, &mut target, Controls::STILL)?;
        stylized.push(bytes.iter().flatten().map(|v| f32::from(*v) / 255.0).collect());
    }
    Ok(stylized)
}

/// Motion from frame to frame; none across a scene cut.
fn references(video: &[Vec<u8>], size: (usize, usize)) -> Result<Vec<Option<Reference>>> {
    let pyramids: Result<Vec<_>> = video
        .iter()
        .map(|frame| {
            let mut pyramid = Pyramid::default();
            pyramid.take(&image(frame, size)?, 1);
            Ok(pyramid)
        })
        .collect();
    let pairs = pyramids?;
    Ok(pairs.windows(2).map(|p| Some(Reference::between(&p[1], &p[0])).filter(|r| r.visible_share() > 0.5)).collect())
}

/// An image panned by a fractional step a frame, and its exact motion.
fn pan(still: &[u8], (width, height): (usize, usize)) -> (Vec<Vec<u8>>, Vec<Option<Reference>>) {
    const FRAMES: usize = 20;
    const STEP: [f32; 2] = [1.7, 0.9];
    let at = |i: usize| (((i % width) as f32, (i / width % height) as f32), i / (width * height));
    let sample = |x: f32, y: f32, channel: usize| {
        let plane = &still[channel * width * height..(channel + 1) * width * height];
        let (x, y) = (x.min(width as f32 - 1.001), y.min(height as f32 - 1.001));
        let (left, top, fx, fy) = (x as usize, y as usize, x.fract(), y.fract());
        let row =
            |y: usize| f32::from(plane[y * width + left]) * (1.0 - fx) + f32::from(plane[y * width + left + 1]) * fx;
        (row(top) * (1.0 - fy) + row(top + 1) * fy).round() as u8
    };
    let frame = |i: usize| {
        let moved = |p: usize| {
            let ((x, y), channel) = at(p);
            sample(x + i as f32 * STEP[0], y + i as f32 * STEP[1], channel)
        };
        (0..3 * width * height).map(moved).collect()
    };
    let reference = |i: usize| {
        let seen = |p: usize| {
            let ((x, y), _) = at(p);
            let inside =
                x + (i + 1) as f32 * STEP[0] < width as f32 - 2.0 && y + (i + 1) as f32 * STEP[1] < height as f32 - 2.0;
            if inside { 1.0 } else { 0.0 }
        };
        let flow = Flow { width, height, vectors: vec![STEP; width * height] };
        Some(Reference { flow, visible: (0..width * height).map(seen).collect() })
    };
    ((0..FRAMES).map(frame).collect(), (1..FRAMES).map(reference).collect())
}

fn errors(references: &[Option<Reference>], frames: &[Planar]) -> Vec<Option<f32>> {
    let pairs = frames.windows(2).zip(references);
    pairs.map(|(pair, r)| r.as_ref().map(|r| r.warping_error(&pair[1], &pair[0]))).collect()
}

fn mean(errors: &[Option<f32>]) -> f32 {
    errors.iter().flatten().sum::<f32>() / errors.iter().flatten().count().max(1) as f32
}

fn stabilize(video: &[Vec<u8>], raw: &[Planar], size: (usize, usize), how: Smoothing) -> Result<(Vec<Planar>, f64)> {
    let place = Placement::centered(size, size);
    let mut stabilizer = Stabilizer::default();
    let mut shown = Vec::new();
    let started = Instant::now();
    for (frame, stylized) in video.iter().zip(raw) {
        stabilizer.observe(&image(frame, size)?, how);
        shown.push(one(&mut stabilizer, stylized, place, how)?);
    }
    Ok((shown, started.elapsed().as_secs_f64() * 1e3 / video.len() as f64))
}

/// The shown frame of a stylized frame.
fn one(stabilizer: &mut Stabilizer, stylized: &[f32], place: Placement, how: Smoothing) -> Result<Planar> {
    let mut shown = vec![0.0; stylized.len()];
    ensure!(stabilizer.stabilize(stylized, place, how, &mut ImageMut::of_planar(&mut shown, place.picture)?)?);
    Ok(shown)
}

/// Lag of a step from 0.3 to 0.7 on a static video; 200 if it is longer.
fn step_lag(still: &[u8], size: (usize, usize), how: Smoothing) -> Result<usize> {
    let place = Placement::centered(size, size);
    let mut stabilizer = Stabilizer::default();
    let mut means = Vec::new();
    for frame in 0..200 {
        let stylized = vec![if frame < 10 { 0.3 } else { 0.7 }; 3 * size.0 * size.1];
        stabilizer.observe(&image(still, size)?, how);
        let shown = one(&mut stabilizer, &stylized, place, how)?;
        means.push(shown.iter().sum::<f32>() / shown.len() as f32);
    }
    Ok(lag(means.into_iter().skip(10), 0.3, 0.7).unwrap_or(200))
}

fn drift(shown: &[Planar], raw: &[Planar]) -> f32 {
    let mean = |f: &Planar| f.iter().sum::<f32>() / f.len() as f32;
    shown.iter().zip(raw).map(|(a, b)| (mean(a) - mean(b)).abs()).fold(0.0, f32::max)
}

fn dump(arguments: &Arguments, name: &str, frames: &[Planar], (width, height): (usize, usize)) -> Result<()> {
    let Some(folder) = &arguments.dump else { return Ok(()) };
    std::fs::create_dir_all(folder)?;
    let area = width * height;
    let byte = |v: f32| (v.clamp(0.0, 1.0) * 255.0).round() as u8;
    let bytes: Vec<u8> = frames
        .iter()
        .flat_map(|f| (0..area).flat_map(move |i| [f[i], f[area + i], f[2 * area + i]].map(byte)))
        .collect();
    let path = folder.join(format!("{name}.rgb"));
    std::fs::write(&path, bytes).with_context(|| path.display().to_string())
}

/// Warping error of every frame as SVG, one curve for each method, on a square-root scale.
fn plot(path: &Path, curves: &[(&str, Vec<Option<f32>>)]) -> Result<()> {
    let frames = curves.iter().map(|(_, errors)| errors.len()).max().unwrap_or_default();
    let most =
        curves.iter().flat_map(|(_, errors)| errors.iter().flatten()).fold(1e-9f32, |most, error| most.max(*error));
    let area = SVGBackend::new(path, (900, 420)).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .margin(10)
        .x_label_area_size(40)
        .y_label_area_size(60)
        .build_cartesian_2d(0..frames, 0f32..most.sqrt())?;
    chart.configure_mesh().x_desc("frame").y_desc("square root of the warping error").draw()?;
    for (index, (name, errors)) in curves.iter().enumerate() {
        let color = Palette99::pick(index).to_rgba();
        let points = errors.iter().enumerate().filter_map(|(frame, error)| Some((frame, (*error)?.sqrt())));
        chart
            .draw_series([PathElement::new(points.collect::<Vec<_>>(), color)])?
            .label(*name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], color));
    }
    chart.configure_series_labels().background_style(WHITE).border_style(BLACK).draw()?;
    area.present().with_context(|| path.display().to_string())
}
