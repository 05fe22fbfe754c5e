//! Frame times, frame rates, latency and memory of the element on this machine, and of other programs on the same
//! frames and model.
//!
//! `cargo run --release --features test-support --example realtime_report -- CLIP [--model FILE]
//! [--sizes 640x360,1280x720] [--seconds 10] [--rounds 30] [--python PYTHON] [--plot report.svg]`
//!
//! For every size: *cost*, the element at full speed, frame by frame, and the bare ONNX Runtime session on the same
//! tensor, alternating;
//! *live*, the clip at 30 fps from a live source into a sink that synchronises to the clock, with the governor off and on; *peers*, a
//! Python loop of OpenCV and onnxruntime, OpenCV's DNN module, and VapourSynth with vs-mlrt, if a Python has them. At
//! the end
//! *memory*, of 1, 2 and 4 elements with one model.

mod clip;
mod cost;
mod live;
mod peers;
mod plot;

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Parser;

use clip::Clip;
use plot::{Bar, Group};

#[derive(Parser)]
#[command(about = "Measure frame times, frame rates and latency of the element and of other programs")]
struct Arguments {
    /// Video file; its first frames are looped.
    clip: PathBuf,
    /// ONNX file of one style that every peer can read.
    #[arg(long, default_value = "models/van-gogh.onnx")]
    model: PathBuf,
    /// Sizes to measure at.
    #[arg(long, default_value = "640x360,1280x720,1920x1080,3840x2160")]
    sizes: String,
    /// Length of each live run.
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// Frames to measure for each cost.
    #[arg(long, default_value_t = 30)]
    rounds: usize,
    /// Execution provider of the element and the bare session.
    #[arg(long, default_value = "auto")]
    provider: String,
    /// Python with numpy and any of: cv2 and onnxruntime, vapoursynth and vapoursynth-mlrt-ort. May be given again.
    #[arg(long, default_values = ["python3"])]
    python: Vec<String>,
    /// SVG file: frames per second, a group of bars for every size.
    #[arg(long)]
    plot: Option<PathBuf>,
}

/// Model and provider of every launch line.
pub struct Setup {
    model: PathBuf,
    provider: String,
}

impl Setup {
    /// The element with further properties, as part of a launch line.
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
    let mut groups = Vec::new();
    for size in sizes? {
        println!("\n{}x{}", size.0, size.1);
        let clip = Clip::read(&arguments.clip, size)?;
        let mut bars = Vec::new();
        for cost in cost::measure(&setup, &clip, arguments.rounds)? {
            println!("{cost}");
            bars.push(Bar { name: cost.name.to_owned(), fps: 1e3 / cost.element });
        }
        for governor in ["off", "auto"] {
            let run = live::run(&setup, &clip, governor, arguments.seconds)?;
            println!("{run}");
            bars.push(Bar { name: format!("live, governor {governor}"), fps: run.fps });
        }
        for python in &arguments.python {
            for peer in peers::measure(python, &setup.model, &clip, arguments.rounds)? {
                println!("{peer}");
                bars.push(Bar { name: peer.name.clone(), fps: peer.fps() });
            }
        }
        groups.push(Group { title: format!("{}x{}", size.0, size.1), bars });
    }
    println!("\n{}", cost::memory(&setup)?);
    if let Some(path) = &arguments.plot {
        plot::bars(path, &groups)?;
        println!("{}", path.display());
    }
    Ok(())
}

fn parse(text: &str) -> Result<(usize, usize)> {
    let (w, h) = text.split_once('x').with_context(|| format!("'{text}' is no size: expected WIDTHxHEIGHT"))?;
    Ok((w.trim().parse()?, h.trim().parse()?))
}
