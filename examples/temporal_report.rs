//! How steady a film becomes: every temporal method on the same stylized frames, in one run.
//!
//! `cargo run --release --features test-support --example temporal_report -- CLIP [--model FILE] [--size 256x256]
//! [--frames 60] [--smoothing 0.75] [--plot report.png] [--dump FOLDER]`
//!
//! E_warp is the warping error of Lai et al. 2018 (its motion is that of the film itself); gain is what a method takes
//! off the raw stylized frames' error; sharpness is their fine detail that is left; PSNR is to the raw stylized frame; colour drift
//! is the largest difference of a frame's mean colour; lag is how long the stylized frame takes to follow a step of its own;
//! e_stab (after Ruder et al. 2018) is the error on a film whose motion is known exactly: the first frame, panned.
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
use gststyletransfer::metrics::{Reference, detail, mean_square, psnr};
use gststyletransfer::model::built_in;
use gststyletransfer::stylizer::{Controls, Stylizer};
use gststyletransfer::temporal::stabilizer::{Method, Smoothing, Stabilizer};
use gststyletransfer::warp::canvas::Canvas;

#[derive(Parser)]
#[command(about = "Measure how steady each temporal method makes a film")]
struct Arguments {
    /// Video file.
    clip: PathBuf,
    /// ONNX file; without it the embedded style.
    #[arg(long)]
    model: Option<PathBuf>,
    /// Size to stylize and measure at.
    #[arg(long, default_value = "256x256")]
    size: String,
    /// Frames from the beginning.
    #[arg(long, default_value_t = 60)]
    frames: usize,
    /// Property temporal-smoothing.
    #[arg(long, default_value_t = 0.75)]
    smoothing: f32,
    /// PNG file: the error of each frame; grey the film, red raw, blue average, green motion.
    #[arg(long)]
    plot: Option<PathBuf>,
    /// Folder for the frames as raw RGB.
    #[arg(long)]
    dump: Option<PathBuf>,
}

const METHODS: [(&str, Method, [u8; 3]); 3] = [
    ("none", Method::None, [200, 30, 30]),
    ("average", Method::Average, [40, 80, 220]),
    ("motion", Method::Motion, [20, 150, 60]),
];

type Planar = Vec<f32>;

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    gst::init()?;
    let size = arguments.size.split_once('x').and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
    let size: (usize, usize) = size.context("--size: expected WIDTHxHEIGHT")?;
    let film = read(&arguments.clip, size, arguments.frames)?;
    ensure!(film.len() > 1, "{}: {} frame(s), at least two are needed", arguments.clip.display(), film.len());
    let raw = stylize(&arguments, &film, size)?;
    let references = references(&film, size)?;
    let own: Vec<Planar> = film.iter().map(|f| f.iter().map(|v| f32::from(*v) / 255.0).collect()).collect();
    dump(&arguments, "input", &own, size)?;
    let floor = errors(&references, &own);
    let mut curves = vec![(floor.clone(), [150; 3])];
    println!("{} frames of {}x{}, smoothing {}", film.len(), size.0, size.1, arguments.smoothing);
    println!("method    E_warp    gain  sharpness  PSNR dB  drift /255  lag frames  ms a frame  e_stab");
    println!("(film)    {:.5}", mean(&floor));
    let base = mean(&errors(&references, &raw));
    let (pan, exact) = pan(&film[0], size);
    let painted_pan = stylize(&arguments, &pan, size)?;
    for (name, method, color) in METHODS {
        let (shown, milliseconds) = stabilize(&film, &raw, size, Smoothing { method, amount: arguments.smoothing })?;
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
            lag(&film[0], size, Smoothing { method, amount: arguments.smoothing })?,
            mean(&self::errors(
                &exact,
                &stabilize(&pan, &painted_pan, size, Smoothing { method, amount: arguments.smoothing })?.0
            ))
        );
        dump(&arguments, name, &shown, size)?;
        curves.push((errors, color));
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
    let mut film = Vec::new();
    while film.len() < frames {
        let Ok(sample) = sink.pull_sample() else { break };
        let info = gst_video::VideoInfo::from_caps(sample.caps().context("no caps")?)?;
        let frame = gst_video::VideoFrameRef::from_buffer_ref_readable(sample.buffer().context("no buffer")?, &info)?;
        let mut planes = Vec::with_capacity(3 * width * height);
        for plane in [2, 0, 1] {
            let stride = frame.plane_stride()[plane] as usize;
            let data = frame.plane_data(plane as u32)?;
            (0..height).for_each(|y| planes.extend_from_slice(&data[y * stride..y * stride + width]));
        }
        film.push(planes);
    }
    pipeline.set_state(gst::State::Null)?;
    Ok(film)
}

fn image(planes: &[u8], (width, height): (usize, usize)) -> Result<Image<'_, u8>> {
    let area = width * height;
    let plane = |i: usize| &planes[i * area..(i + 1) * area];
    Image::new([plane(0), plane(1), plane(2)], [width; 3], Shape { width, height, white: 255 })
}

fn stylize(arguments: &Arguments, film: &[Vec<u8>], size: (usize, usize)) -> Result<Vec<Planar>> {
    let source = match &arguments.model {
        Some(file) => ModelSource::File(file.clone()),
        None => ModelSource::Embedded(&built_in::MODELS[0]),
    };
    let mut stylizer = Stylizer::new(Box::new(OrtGenerator::load(&source, &SessionConfig::default())?));
    let geometry = stylizer.prepare(size)?;
    ensure!(geometry.input == size && geometry.output == size, "the model stylizes at {geometry:?}: take that --size");
    let area = size.0 * size.1;
    let mut stylized = Vec::new();
    for frame in film {
        let mut bytes = [vec![0u8; area], vec![0u8; area], vec![0u8; area]];
        let [r, g, b] = &mut bytes;
        let shape = Shape { width: size.0, height: size.1, white: 255 };
        let mut target = ImageMut::new([r, g, b], [size.0; 3], shape)?;
        stylizer.process(&image(frame, size)?, &mut target, Controls::STILL)?;
        stylized.push(bytes.iter().flatten().map(|v| f32::from(*v) / 255.0).collect());
    }
    Ok(stylized)
}

/// The motion of the film from frame to frame; nothing over a cut.
fn references(film: &[Vec<u8>], size: (usize, usize)) -> Result<Vec<Option<Reference>>> {
    let pyramids: Result<Vec<_>> = film
        .iter()
        .map(|frame| {
            let mut pyramid = Pyramid::default();
            pyramid.take(&image(frame, size)?, 1);
            Ok(pyramid)
        })
        .collect();
    let pairs = pyramids?;
    Ok(pairs.windows(2).map(|p| Some(Reference::between(&p[1], &p[0])).filter(|r| r.seen() > 0.5)).collect())
}

/// The picture panned by a fraction of a pixel a frame, and that motion exactly.
fn pan(still: &[u8], (width, height): (usize, usize)) -> (Vec<Vec<u8>>, Vec<Option<Reference>>) {
    const FRAMES: usize = 20;
    const STEP: [f32; 2] = [1.7, 0.9];
    let at = |i: usize| (((i % width) as f32, (i / width % height) as f32), i / (width * height));
    let look = |x: f32, y: f32, channel: usize| {
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
            look(x + i as f32 * STEP[0], y + i as f32 * STEP[1], channel)
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

fn stabilize(film: &[Vec<u8>], raw: &[Planar], size: (usize, usize), how: Smoothing) -> Result<(Vec<Planar>, f64)> {
    let canvas = Canvas { width: size.0, height: size.1, origin: (0, 0), picture: size };
    let mut stabilizer = Stabilizer::default();
    let mut shown = Vec::new();
    let started = Instant::now();
    for (frame, stylized) in film.iter().zip(raw) {
        stabilizer.observe(&image(frame, size)?, how);
        shown.push(one(&mut stabilizer, stylized, canvas, how)?);
    }
    Ok((shown, started.elapsed().as_secs_f64() * 1e3 / film.len() as f64))
}

/// What is shown of a stylized frame.
fn one(stabilizer: &mut Stabilizer, stylized: &[f32], canvas: Canvas, how: Smoothing) -> Result<Planar> {
    let mut shown = vec![0.0; stylized.len()];
    ensure!(stabilizer.stabilize(stylized, canvas, how, &mut ImageMut::of_planar(&mut shown, canvas.picture)?)?);
    Ok(shown)
}

/// Frames of a still film until nine tenths of a step of the stylized frame from 0.3 to 0.7 are shown.
fn lag(still: &[u8], size: (usize, usize), how: Smoothing) -> Result<usize> {
    let canvas = Canvas { width: size.0, height: size.1, origin: (0, 0), picture: size };
    let mut stabilizer = Stabilizer::default();
    for frame in 0..200 {
        let stylized = vec![if frame < 10 { 0.3 } else { 0.7 }; 3 * size.0 * size.1];
        stabilizer.observe(&image(still, size)?, how);
        let shown = one(&mut stabilizer, &stylized, canvas, how)?;
        if frame >= 10 && shown.iter().sum::<f32>() / shown.len() as f32 >= 0.66 {
            return Ok(frame - 10);
        }
    }
    Ok(200)
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

/// One curve per method over the frames, on a square-root scale from 0 to the largest error.
fn plot(path: &Path, curves: &[(Vec<Option<f32>>, [u8; 3])]) -> Result<()> {
    const SIZE: (u32, u32) = (900, 360);
    let mut canvas = image::RgbImage::from_pixel(SIZE.0, SIZE.1, image::Rgb([255; 3]));
    let most = curves.iter().flat_map(|(e, _)| e.iter().flatten()).fold(1e-9f32, |m, v| m.max(*v));
    for (errors, color) in curves {
        let at = |i: usize, error: f32| {
            let x = 10.0 + (SIZE.0 - 20) as f32 * i as f32 / errors.len().saturating_sub(1).max(1) as f32;
            (x, 10.0 + (SIZE.1 - 20) as f32 * (1.0 - (error / most).sqrt()))
        };
        for (i, pair) in errors.windows(2).enumerate() {
            let [Some(a), Some(b)] = pair else { continue };
            let (from, to) = (at(i, *a), at(i + 1, *b));
            let steps = (to.0 - from.0).abs().max((to.1 - from.1).abs()).ceil().max(1.0);
            for step in 0..=steps as u32 {
                let share = step as f32 / steps;
                let place = (from.0 + (to.0 - from.0) * share, from.1 + (to.1 - from.1) * share);
                for thick in 0..2 {
                    canvas.put_pixel(place.0 as u32, place.1 as u32 + thick, image::Rgb(*color));
                }
            }
        }
    }
    canvas.save(path).with_context(|| path.display().to_string())
}
