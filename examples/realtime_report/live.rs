//! Live: the clip at 30 fps from a live source into a sink that synchronises to the clock.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use gst::prelude::*;

use crate::Setup;
use crate::clip::Clip;

const RATE: u32 = 30;

/// Result of a live run.
pub struct Run {
    governor: &'static str,
    pub fps: f64,
    given: usize,
    shown: u64,
    inferred: u64,
    propagated: u64,
    dropped: u64,
    steps: Vec<String>,
    last_step: String,
    latency: [f64; 2],
    reported: f64,
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Run { governor, fps, given, shown, inferred, propagated, dropped, latency: [p50, p95], reported, .. } =
            self;
        write!(
            f,
            "  live, governor {governor:<4} {fps:5.1} fps; {given} given, {shown} shown ({inferred} stylized, {propagated} propagated), \
             {dropped} dropped; latency p50 {p50:.0} ms, p95 {p95:.0} ms, reported {reported:.0} ms; step {} after {:?}",
            self.last_step, self.steps
        )
    }
}

/// Arrival of frames by timestamp, and their times in the element in milliseconds.
#[derive(Default)]
struct FrameTimes {
    entered: HashMap<u64, Instant>,
    inside: Vec<f64>,
}

/// Plays for `seconds`; the queue of two frames drops the oldest one when it is full, as a camera does.
pub fn run(setup: &Setup, clip: &Clip, governor: &'static str, seconds: f64) -> Result<Run> {
    let line = format!(
        "appsrc name=source is-live=true format=time caps={} ! queue max-size-buffers=2 leaky=downstream ! {} ! \
         queue max-size-buffers=8 ! fakesink name=sink sync=true qos=true",
        clip.caps("NV12", RATE),
        setup.line(&format!("governor={governor}"))
    );
    let pipeline = gst::parse::launch(&line)?.downcast::<gst::Pipeline>().ok().context("not a pipeline")?;
    let named = |name: &str| pipeline.by_name(name).context("element of the line");
    let source = named("source")?.downcast::<gst_app::AppSrc>().ok().context("not an appsrc")?;
    let (element, bus) = (named("s")?, pipeline.bus().context("no bus")?);
    let times = Arc::new(Mutex::new(FrameTimes::default()));
    observe(&element, &times)?;
    pipeline.set_state(gst::State::Playing)?;
    let base = pipeline.base_time().context("no base time")?;
    let clock = pipeline.clock().context("no clock")?;
    let (count, mut steps) = ((seconds * f64::from(RATE)) as usize, Vec::new());
    let first = clock.time() - base;
    for i in 0..count {
        let time = first + gst::ClockTime::from_nseconds(i as u64 * 1_000_000_000 / u64::from(RATE));
        let ahead = (base + time).saturating_sub(clock.time());
        std::thread::sleep(Duration::from_nanos(ahead.nseconds()));
        let mut frame = clip.nv12[clip.index(i)].copy();
        let writable = frame.make_mut();
        writable.set_pts(time);
        writable.set_duration(gst::ClockTime::from_nseconds(1_000_000_000 / u64::from(RATE)));
        source.push_buffer(frame)?;
        steps.extend(messages(&pipeline, &bus)?);
    }
    source.end_of_stream()?;
    bus.timed_pop_filtered(gst::ClockTime::from_seconds(60), &[gst::MessageType::Eos, gst::MessageType::Error]);
    let stats = element.property::<gst::Structure>("stats");
    let number = |name: &str| stats.get::<u64>(name).unwrap_or_default();
    pipeline.set_state(gst::State::Null)?;
    let mut inside = std::mem::take(&mut times.lock().map_err(|_| anyhow!("a probe failed"))?.inside);
    inside.sort_by(f64::total_cmp);
    let at = |share: f64| inside.get((inside.len() as f64 * share) as usize).copied().unwrap_or_default();
    let shown = number("frames");
    Ok(Run {
        governor,
        fps: shown as f64 / seconds,
        given: count,
        shown,
        inferred: number("inferred"),
        propagated: number("propagated"),
        dropped: count as u64 - shown,
        steps,
        last_step: stats.get("governor-step").unwrap_or_default(),
        latency: [at(0.5), at(0.95)],
        reported: stats.get("latency-ms").unwrap_or_default(),
    })
}

/// Returns the governor's steps and recalculates the latency on request, as an application does.
fn messages(pipeline: &gst::Pipeline, bus: &gst::Bus) -> Result<Vec<String>> {
    let mut steps = Vec::new();
    while let Some(message) = bus.pop() {
        match message.view() {
            gst::MessageView::Latency(_) => pipeline.recalculate_latency()?,
            gst::MessageView::Error(error) => return Err(anyhow!("{}", error.error())),
            gst::MessageView::Element(element) => {
                let step = element.structure().filter(|s| s.name() == "styletransfer-governor");
                steps.extend(step.and_then(|s| s.get::<String>("step").ok()));
            }
            _ => {}
        }
    }
    Ok(steps)
}

fn observe(element: &gst::Element, times: &Arc<Mutex<FrameTimes>>) -> Result<()> {
    let pad = |name: &str| element.static_pad(name).context("a pad of the element");
    let shared = times.clone();
    pad("sink")?.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        if let (Some(time), Ok(mut times)) = (info.buffer().and_then(|b| b.pts()), shared.lock()) {
            times.entered.insert(time.nseconds(), Instant::now());
        }
        gst::PadProbeReturn::Ok
    });
    let shared = times.clone();
    pad("src")?.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        if let (Some(time), Ok(mut times)) = (info.buffer().and_then(|b| b.pts()), shared.lock())
            && let Some(entered) = times.entered.remove(&time.nseconds())
        {
            times.inside.push(entered.elapsed().as_secs_f64() * 1e3);
        }
        gst::PadProbeReturn::Ok
    });
    Ok(())
}
