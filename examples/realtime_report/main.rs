//! How fast, how late and how steadily the element works on this machine, and others on the same frames and model.
//!
//! `cargo run --release --features test-support --example realtime_report -- CLIP [--model FILE]
//! [--sizes 640x360,1280x720] [--seconds 10] [--rounds 30] [--python PYTHON] [--plot report.png]`
//!
//! Three tables for every size. *Cost*: the element at full speed, frame by frame, against the bare ONNX Runtime session
//! on the same tensor, in turns. *Live*: the clip at 30 fps from a live source into a sink that keeps the clock, with the
//! governor off and on. *Peers*: a Python loop of OpenCV and onnxruntime, OpenCV's DNN module, and VapourSynth with
//! vs-mlrt, where a Python has them. *Memory*: of 1, 2 and 4 elements with one model.

mod cost;
mod film;
mod live;
mod peers;
mod plot;

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Parser;

use film::Film;

#[derive(Parser)]
#[command(about = "Measure frame times, frame rates and latency, and those of others")]
struct Arguments {
    /// Video file; its first frames are looped.
    clip: PathBuf,
    /// ONNX file of one style, which every peer can read.
    #[arg(long, default_value = "models/van-gogh.onnx")]
    model: PathBuf,
    /// Sizes to measure at.
    #[arg(long, default_value = "640x360,1280x720,1920x1080,3840x2160")]
    sizes: String,
    /// Length of each live run.
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// Frames of each cost.
    #[arg(long, default_value_t = 30)]
    rounds: usize,
    /// Execution provider of the element and the bare session.
    #[arg(long, default_value = "auto")]
    provider: String,
    /// Python with numpy and any of: cv2 and onnxruntime, vapoursynth and vapoursynth-mlrt-ort. May be given again.
    #[arg(long, default_values = ["python3"])]
    python: Vec<String>,
    /// PNG file: frames per second, a group of bars for every size.
    #[arg(long)]
    plot: Option<PathBuf>,
}

/// What a launch line says of the element.
pub struct Setup {
    model: PathBuf,
    provider: String,
}

impl Setup {
    /// The element with more properties.
    pub fn line(&self, properties: &str) -> String {
        let Setup { model, provider } = self;
        format!("styletransfer name=s model-file={} execution-provider={provider} {properties}", model.display())
    }
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    gst::init()?;
    gststyletransfer::plugin_register_static()?;
    let sizes: Result<Vec<(usize, usize)>> = arguments.sizes.split(',').map(parse).collect();
    let setup = Setup { model: arguments.model.clone(), provider: arguments.provider.clone() };
    let mut bars = Vec::new();
    for size in sizes? {
        println!("\n{}x{}", size.0, size.1);
        let film = Film::read(&arguments.clip, size)?;
        let mut group = Vec::new();
        for cost in cost::measure(&setup, &film, arguments.rounds)? {
            println!("{cost}");
            group.push(1e3 / cost.element);
        }
        for governor in ["off", "auto"] {
            let run = live::run(&setup, &film, governor, arguments.seconds)?;
            println!("{run}");
            group.push(run.fps);
        }
        for python in &arguments.python {
            for peer in peers::measure(python, &setup.model, &film, arguments.rounds)? {
                println!("{peer}");
                group.push(peer.fps());
            }
        }
        bars.push(group);
    }
    println!("\n{}", cost::memory(&setup)?);
    if let Some(path) = &arguments.plot {
        plot::bars(path, &bars)?;
        println!("{}: bars from left: smoothing off, on; live with governor off, auto; peers", path.display());
    }
    Ok(())
}

fn parse(text: &str) -> Result<(usize, usize)> {
    let (w, h) = text.split_once('x').with_context(|| format!("'{text}' is no size: expected WIDTHxHEIGHT"))?;
    Ok((w.trim().parse()?, h.trim().parse()?))
}
