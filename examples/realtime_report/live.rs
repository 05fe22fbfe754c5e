//! The clip at 30 fps from a live source into a sink that keeps the clock.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use gst::prelude::*;

use crate::Setup;
use crate::film::Film;

const RATE: u32 = 30;

/// What became of a live run.
pub struct Run {
    governor: &'static str,
    pub fps: f64,
    given: usize,
    shown: u64,
    inferred: u64,
    warped: u64,
    dropped: u64,
    steps: Vec<String>,
    last_step: String,
    latency: [f64; 2],
    reported: f64,
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Run { governor, fps, given, shown, inferred, warped, dropped, latency: [p50, p95], reported, .. } = self;
        write!(
            f,
            "  live, governor {governor:<4} {fps:5.1} fps; {given} given, {shown} shown ({inferred} stylized, {warped} warped), \
             {dropped} dropped; latency p50 {p50:.0} ms, p95 {p95:.0} ms, reported {reported:.0} ms; step {} after {:?}",
            self.last_step, self.steps
        )
    }
}

/// When frames went in, by their time, and how long they were inside.
#[derive(Default)]
struct Watch {
    entered: HashMap<u64, Instant>,
    inside: Vec<f64>,
}

/// Plays for `seconds`; frames that find the queue of two full are not given to the element, as from a camera.
pub fn run(setup: &Setup, film: &Film, governor: &'static str, seconds: f64) -> Result<Run> {
    let line = format!(
        "appsrc name=source is-live=true format=time caps={} ! queue max-size-buffers=2 leaky=downstream ! {} ! \
         queue max-size-buffers=8 ! fakesink name=sink sync=true qos=true",
        film.caps("NV12", RATE),
        setup.line(&format!("governor={governor}"))
    );
    let pipeline = gst::parse::launch(&line)?.downcast::<gst::Pipeline>().ok().context("not a pipeline")?;
    let named = |name: &str| pipeline.by_name(name).context("element of the line");
    let source = named("source")?.downcast::<gst_app::AppSrc>().ok().context("not an appsrc")?;
    let (element, bus) = (named("s")?, pipeline.bus().context("no bus")?);
    let watch = Arc::new(Mutex::new(Watch::default()));
    observe(&element, &watch)?;
    pipeline.set_state(gst::State::Playing)?;
    let base = pipeline.base_time().context("no base time")?;
    let clock = pipeline.clock().context("no clock")?;
    let (count, mut steps) = ((seconds * f64::from(RATE)) as usize, Vec::new());
    let first = clock.time() - base;
    for i in 0..count {
        let time = first + gst::ClockTime::from_nseconds(i as u64 * 1_000_000_000 / u64::from(RATE));
        let ahead = (base + time).saturating_sub(clock.time());
        std::thread::sleep(Duration::from_nanos(ahead.nseconds()));
        let mut frame = film.nv12[film.place(i)].copy();
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
    let mut inside = std::mem::take(&mut watch.lock().map_err(|_| anyhow!("a probe failed"))?.inside);
    inside.sort_by(f64::total_cmp);
    let at = |share: f64| inside.get((inside.len() as f64 * share) as usize).copied().unwrap_or_default();
    let shown = number("frames");
    Ok(Run {
        governor,
        fps: shown as f64 / seconds,
        given: count,
        shown,
        inferred: number("inferred"),
        warped: number("propagated"),
        dropped: count as u64 - shown,
        steps,
        last_step: stats.get("governor-step").unwrap_or_default(),
        latency: [at(0.5), at(0.95)],
        reported: stats.get("latency-ms").unwrap_or_default(),
    })
}

/// The governor's steps; latency messages are answered as an application does.
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

fn observe(element: &gst::Element, watch: &Arc<Mutex<Watch>>) -> Result<()> {
    let pad = |name: &str| element.static_pad(name).context("a pad of the element");
    let theirs = watch.clone();
    pad("sink")?.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        if let (Some(time), Ok(mut watch)) = (info.buffer().and_then(|b| b.pts()), theirs.lock()) {
            watch.entered.insert(time.nseconds(), Instant::now());
        }
        gst::PadProbeReturn::Ok
    });
    let theirs = watch.clone();
    pad("src")?.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        if let (Some(time), Ok(mut watch)) = (info.buffer().and_then(|b| b.pts()), theirs.lock())
            && let Some(entered) = watch.entered.remove(&time.nseconds())
        {
            watch.inside.push(entered.elapsed().as_secs_f64() * 1e3);
        }
        gst::PadProbeReturn::Ok
    });
    Ok(())
}
