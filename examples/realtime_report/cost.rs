//! Cost: frame times of the element at full speed and of the bare session, and the memory of several elements.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use gst::prelude::*;
use gststyletransfer::inference::Generator;
use gststyletransfer::inference::config::{ModelSource, SessionConfig};
use gststyletransfer::inference::session::OrtGenerator;

use crate::Setup;
use crate::clip::Clip;

/// Medians in milliseconds.
pub struct Cost {
    pub name: &'static str,
    pub element: f64,
    /// The model as loaded, and specialised for the frame size as in the element.
    sessions: [f64; 2],
    stages: Vec<(&'static str, f64)>,
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Cost { name, element, sessions: [bare, fitted], .. } = self;
        write!(
            f,
            "  cost, {name:<20} {element:6.1} ms, bare session {bare:6.1} ms, ratio {:.2}, specialised {fitted:6.1} \
             ms, ratio {:.2};",
            element / bare,
            element / fitted
        )?;
        self.stages.iter().try_for_each(|(stage, ms)| write!(f, " {stage} {ms:.1}"))
    }
}

/// Consecutive frames of each: as in a stream, a frame then finds the caches as the previous one has left them.
const BLOCK: usize = 10;

/// Time before the first measurement.
const WARM_UP: Duration = Duration::from_secs(1);

/// Measures the element with smoothing off and on, with BGR frames, alternating with the bare session.
pub fn measure(setup: &Setup, clip: &Clip, rounds: usize) -> Result<Vec<Cost>> {
    let config = SessionConfig { provider: setup.provider.clone(), ..Default::default() };
    let session = || -> Result<_> {
        let mut session = OrtGenerator::load(&ModelSource::File(setup.model.clone()), &config)?;
        session.bind(clip.size.0, clip.size.1)?;
        Ok(session)
    };
    let mut sessions = [(session()?, vec![]), (session()?, vec![])];
    sessions[1].0.fit();
    let mut runs = [("smoothing off", 0.0), ("motion smoothing on", 0.75)]
        .map(|(name, smoothing)| Ok::<_, anyhow::Error>((name, Driven::new(setup, clip, smoothing)?, vec![])));
    for turn in (0..rounds).step_by(BLOCK) {
        let frames = turn..(turn + BLOCK).min(rounds);
        for run in runs.iter_mut().flatten() {
            for i in frames.clone() {
                run.2.push(run.1.frame(&clip.bgr[clip.index(i)])?);
            }
        }
        for (session, times) in &mut sessions {
            for _ in frames.clone() {
                let started = Instant::now();
                session.run()?;
                times.push(started.elapsed().as_secs_f64() * 1e3);
            }
        }
    }
    let sessions = sessions.map(|(_, times)| median(times));
    let cost = |run: Result<(&'static str, Driven, Vec<f64>)>| {
        let (name, driven, times) = run?;
        let stats = driven.element.property::<gst::Structure>("stats");
        let stages = ["convert", "inference", "motion", "temporal"];
        let of =
            |stage: &'static str| (stage, stats.get::<f64>(format!("{stage}-ms-p50").as_str()).unwrap_or_default());
        Ok(Cost { name, element: median(times), sessions, stages: stages.map(of).to_vec() })
    };
    runs.into_iter().map(cost).collect()
}

/// The element between an appsrc and an appsink without a clock.
struct Driven {
    pipeline: gst::Pipeline,
    element: gst::Element,
    source: gst_app::AppSrc,
    sink: gst_app::AppSink,
}

impl Driven {
    fn new(setup: &Setup, clip: &Clip, smoothing: f64) -> Result<Self> {
        let line = format!(
            "appsrc name=source format=time caps={} ! {} ! appsink name=sink sync=false",
            clip.caps("BGR", 30),
            setup.line(&format!("governor=off temporal-smoothing={smoothing}"))
        );
        let pipeline = gst::parse::launch(&line)?.downcast::<gst::Pipeline>().ok().context("not a pipeline")?;
        let named = |name: &str| pipeline.by_name(name).context("element of the line");
        let source = named("source")?.downcast::<gst_app::AppSrc>().ok().context("not an appsrc")?;
        let sink = named("sink")?.downcast::<gst_app::AppSink>().ok().context("not an appsink")?;
        let element = named("s")?;
        pipeline.set_state(gst::State::Playing)?;
        let mut driven = Self { pipeline, element, source, sink };
        // The specialised session is built while the first frames run.
        let started = Instant::now();
        for i in (0..).take_while(|_| started.elapsed() < WARM_UP) {
            driven.frame(&clip.bgr[clip.index(i)])?;
        }
        Ok(driven)
    }

    /// Milliseconds from the push of a frame to its pull.
    fn frame(&mut self, frame: &gst::Buffer) -> Result<f64> {
        let mut frame = frame.copy();
        frame.make_mut().set_pts(gst::ClockTime::NONE);
        let started = Instant::now();
        self.source.push_buffer(frame)?;
        self.sink.pull_sample()?;
        Ok(started.elapsed().as_secs_f64() * 1e3)
    }
}

impl Drop for Driven {
    fn drop(&mut self) {
        // A failure to stop has no consequence at the end of a measurement.
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// Resident memory with 1, 2 and 4 elements of one model at 640x360.
pub fn memory(setup: &Setup) -> Result<String> {
    let mut text = String::from("memory in MiB above the process without elements:");
    let before = resident()?;
    let mut pipelines = Vec::new();
    for wanted in [1, 2, 4] {
        while pipelines.len() < wanted {
            let line = format!(
                "videotestsrc num-buffers=30 ! video/x-raw,width=640,height=360 ! {} ! fakesink",
                setup.line("")
            );
            let pipeline = gst::parse::launch(&line)?;
            pipeline.set_state(gst::State::Playing)?;
            let bus = pipeline.bus().context("no bus")?;
            bus.timed_pop_filtered(gst::ClockTime::NONE, &[gst::MessageType::Eos, gst::MessageType::Error]);
            pipelines.push(pipeline);
        }
        text += &format!(" {wanted} element(s) {:.0}", (resident()? - before) as f64 / 1024.0);
    }
    for pipeline in pipelines {
        pipeline.set_state(gst::State::Null)?;
    }
    Ok(text)
}

/// Resident memory in KiB (Linux).
fn resident() -> Result<i64> {
    let status = std::fs::read_to_string("/proc/self/status").context("/proc/self/status")?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).context("VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").trim().parse()?)
}
