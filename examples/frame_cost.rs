//! What a frame costs: the whole element, the bare ONNX Runtime session on the same tensor, and their ratio.
//!
//! `cargo run --release --example frame_cost -- [--rounds N] [--model FILE] [--threads N]`
//!
//! Both are measured in turns in one run, so that a busy machine slows both; the best and the median of the rounds
//! are printed. The element is driven by buffers that are ready, and its output is thrown away.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};
use clap::Parser;
use gst::prelude::*;
use gststyletransfer::inference::Generator;
use gststyletransfer::inference::config::{ModelSource, SessionConfig};
use gststyletransfer::inference::session::OrtGenerator;
use gststyletransfer::model::embedded;

#[derive(Parser)]
#[command(about = "Time a frame: the whole element against the bare session")]
struct Arguments {
    /// Rounds per size; in each round both are measured.
    #[arg(long, default_value_t = 40)]
    rounds: usize,
    /// ONNX file; without it the embedded style.
    #[arg(long)]
    model: Option<PathBuf>,
    /// Threads of the inference; 0: as many as cores.
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// Execution provider.
    #[arg(long, default_value = "cpu")]
    provider: String,
}

const SIZES: [(usize, usize); 3] = [(640, 360), (1280, 720), (1920, 1080)];
const FORMATS: [&str; 4] = ["RGB", "RGBx", "NV12", "I420"];

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    gst::init()?;
    gststyletransfer::plugin_register_static()?;
    println!("size       format  element ms (best / median)  session ms (best / median)  ratio of medians");
    for (width, height) in SIZES {
        let mut bare = bare_session(&arguments)?;
        bare.bind(width, height)?;
        for format in FORMATS {
            let mut element = Element::new(&arguments, format, width, height)?;
            let (mut whole, mut session) = (Vec::new(), Vec::new());
            for _ in 0..arguments.rounds {
                whole.push(element.frame()?);
                let started = Instant::now();
                bare.run()?;
                session.push(started.elapsed().as_secs_f64() * 1e3);
            }
            let (a, b) = (Times::of(whole), Times::of(session));
            let size = format!("{width}x{height}");
            let ratio = a.median / b.median;
            println!(
                "{size:<10} {format:<7} {:>11.2} / {:<11.2}  {:>11.2} / {:<11.2}  {ratio:.3}",
                a.best, a.median, b.best, b.median
            );
        }
    }
    Ok(())
}

fn bare_session(arguments: &Arguments) -> Result<OrtGenerator> {
    let source = match &arguments.model {
        Some(file) => ModelSource::File(file.clone()),
        None => ModelSource::Embedded(&embedded::MODELS[0]),
    };
    let config =
        SessionConfig { provider: arguments.provider.clone(), threads: arguments.threads, ..Default::default() };
    OrtGenerator::load(&source, &config)
}

/// The element between an appsrc and an appsink that hand over without waiting.
struct Element {
    pipeline: gst::Pipeline,
    source: gst_app::AppSrc,
    sink: gst_app::AppSink,
    frame: gst::Buffer,
}

impl Element {
    fn new(arguments: &Arguments, format: &str, width: usize, height: usize) -> Result<Self> {
        let model = arguments.model.as_ref().map_or(String::new(), |m| format!("model-file={}", m.display()));
        let line = format!(
            "appsrc name=source format=time caps=video/x-raw,format={format},width={width},height={height},framerate=25/1 ! \
             styletransfer execution-provider={} threads={} {model} ! appsink name=sink sync=false",
            arguments.provider, arguments.threads
        );
        let pipeline = gst::parse::launch(&line)?.downcast::<gst::Pipeline>().ok().context("not a pipeline")?;
        let named = |name: &str| pipeline.by_name(name).context("element of the line");
        let source = named("source")?.downcast::<gst_app::AppSrc>().ok().context("not an appsrc")?;
        let sink = named("sink")?.downcast::<gst_app::AppSink>().ok().context("not an appsink")?;
        pipeline.set_state(gst::State::Playing)?;
        let info =
            gst_video::VideoInfo::builder(gst_video::VideoFormat::from_string(format), width as u32, height as u32)
                .build()?;
        let data = (0..info.size()).map(|i| (i * 31 % 223) as u8).collect::<Vec<_>>();
        let mut element = Self { pipeline, source, sink, frame: gst::Buffer::from_slice(data) };
        (0..3).try_for_each(|_| element.frame().map(drop))?;
        Ok(element)
    }

    /// Milliseconds from handing a frame in until it is back.
    fn frame(&mut self) -> Result<f64> {
        let started = Instant::now();
        self.source.push_buffer(self.frame.clone())?;
        self.sink.pull_sample()?;
        Ok(started.elapsed().as_secs_f64() * 1e3)
    }
}

impl Drop for Element {
    fn drop(&mut self) {
        // Nothing is left to do if stopping fails at the end of a measurement.
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

struct Times {
    best: f64,
    median: f64,
}

impl Times {
    fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        Self { best: values[0], median: values[values.len() / 2] }
    }
}
