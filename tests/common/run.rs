//! Pipelines that end: a bus loop with a limit, and what came over the bus.

use gst::prelude::*;
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::time::{Duration, Instant};

/// No pipeline of a test takes longer.
const LIMIT: Duration = Duration::from_secs(120);

/// Initialises GStreamer with the element registered.
pub fn init() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        gst::init().unwrap();
        gststyletransfer::plugin_register_static().unwrap();
    });
}

/// A file of the repository.
pub fn repo(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The clip that the demo uses.
pub fn clip() -> PathBuf {
    repo("assets/big_buck_bunny.mp4")
}

/// What a pipeline said before it ended.
#[derive(Debug, Default)]
pub struct Said {
    pub errors: Vec<String>,
    pub warnings: Vec<String>,
    pub eos: bool,
}

/// Runs a launch line to its end.
pub fn launch(line: &str) -> Said {
    init();
    let pipeline = gst::parse::launch(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    play(&pipeline)
}

/// Plays to the end and stops.
pub fn play(pipeline: &gst::Element) -> Said {
    // A refusal is posted on the bus, which is read below.
    let said = play_to_pause(pipeline);
    pipeline.set_state(gst::State::Null).unwrap();
    said
}

/// Plays to the end without stopping, so that pads keep their caps.
pub fn play_to_pause(pipeline: &gst::Element) -> Said {
    let _ = pipeline.set_state(gst::State::Playing);
    wait(pipeline)
}

/// Reads the bus until EOS or an error.
pub fn wait(pipeline: &gst::Element) -> Said {
    let (bus, started) = (pipeline.bus().unwrap(), Instant::now());
    let mut said = Said::default();
    while started.elapsed() < LIMIT {
        let Some(message) = bus.timed_pop(gst::ClockTime::from_mseconds(200)) else { continue };
        match message.view() {
            gst::MessageView::Eos(_) => {
                said.eos = true;
                return said;
            }
            gst::MessageView::Error(error) => {
                said.errors.push(error.error().to_string());
                return said;
            }
            gst::MessageView::Warning(warning) => said.warnings.push(warning.error().to_string()),
            _ => {}
        }
    }
    panic!("no end after {LIMIT:?}: {said:?}");
}

/// KiB of this process in memory.
pub fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse().unwrap()
}
