//! Hours in short: one element through swaps of model and style, seeks and changes of caps, whose memory stays what it was.
//! `STYLETRANSFER_SOAK=20000 cargo nextest run --test soak` plays so many frames; without it some hundred.

mod common;

use std::time::{Duration, Instant};

use common::run::{clip, init, resident};
use gst::prelude::*;
use gst::{ClockTime, SeekFlags};

/// Frames between two changes.
const TURN: u64 = 20;
/// Share by which memory may be larger at the end than after the first quarter, when every change has been made often.
const GROWTH: f64 = 0.05;

const CAPS: [&str; 3] = [
    "video/x-raw,format=NV12,width=96,height=54",
    "video/x-raw,format=BGRx,width=128,height=72",
    "video/x-raw,format=I420_10LE,width=64,height=64",
];

/// Properties of one turn each.
const CHANGES: [&[(&str, &str)]; 8] = [
    &[("style", "the-scream"), ("style-fade", "100")],
    &[("style", "great-wave:0.5,udnie:0.5")],
    &[("style", "van-gogh"), ("style-fade", "0")],
    &[("style-scale", "2"), ("inference-interval", "2")],
    &[("style", "the-kiss"), ("strength", "0.5")],
    &[("lookahead", "1"), ("style-scale", "1")],
    &[("lookahead", "0"), ("temporal-method", "average")],
    &[("temporal-method", "motion"), ("inference-interval", "1"), ("strength", "1")],
];

#[test]
fn swaps_seeks_and_new_caps_keep_no_memory() {
    init();
    let wanted = std::env::var("STYLETRANSFER_SOAK").map_or(600, |count| count.parse().expect("a number of frames"));
    let line = format!(
        "filesrc location={} ! decodebin ! videoconvertscale ! capsfilter name=caps ! \
         styletransfer name=s ! appsink name=sink sync=false max-buffers=2",
        clip().display()
    );
    let pipeline = gst::parse::launch(&line).unwrap().downcast::<gst::Pipeline>().unwrap();
    let named = |name: &str| pipeline.by_name(name).unwrap();
    let (sink, element, filter) = (named("sink").downcast::<gst_app::AppSink>().unwrap(), named("s"), named("caps"));
    let bus = pipeline.bus().unwrap();
    filter.set_property("caps", CAPS[0].parse::<gst::Caps>().unwrap());
    pipeline.set_state(gst::State::Playing).unwrap();
    let (mut frames, mut turns, mut early) = (0, 0, 0);
    let mut progress = Instant::now();
    while frames < wanted {
        let message = bus.pop_filtered(&[gst::MessageType::Error, gst::MessageType::Warning]);
        assert!(message.is_none(), "after {frames} frames: {message:?}");
        match sink.try_pull_sample(ClockTime::from_seconds(1)) {
            Some(_) => {
                frames += 1;
                progress = Instant::now();
            }
            None if sink.is_eos() => rewind(&pipeline),
            None => assert!(progress.elapsed() < Duration::from_secs(60), "no frame for a minute after {frames}"),
        }
        if frames < (turns + 1) * TURN {
            continue;
        }
        turns += 1;
        let turn = turns as usize;
        CHANGES[turn % CHANGES.len()].iter().for_each(|(name, value)| element.set_property_from_str(name, value));
        // Not at once: a converter that is asked for other caps while it is flushed says "not negotiated".
        if turn.is_multiple_of(5) {
            rewind(&pipeline);
        } else if turn.is_multiple_of(3) {
            filter.set_property("caps", CAPS[turn / 3 % CAPS.len()].parse::<gst::Caps>().unwrap());
        }
        early = if frames <= wanted / 4 { resident() } else { early };
        if turn.is_multiple_of(50) {
            println!("{frames} frames, {turns} changes: {} KiB", resident());
        }
    }
    let stats = element.property::<gst::Structure>("stats");
    assert_eq!(stats.get::<u64>("passthrough").unwrap(), 0, "{stats}");
    pipeline.set_state(gst::State::Null).unwrap();
    let late = resident();
    println!("{frames} frames, {turns} changes: {early} KiB after a quarter, {late} at the end");
    let allowed = early as f64 * (1.0 + GROWTH) + if wanted < 20_000 { 32_768.0 } else { 0.0 };
    assert!((late as f64) < allowed, "{early} KiB after a quarter of {frames} frames, {late} at the end");
}

fn rewind(pipeline: &gst::Pipeline) {
    pipeline.seek_simple(SeekFlags::FLUSH | SeekFlags::KEY_UNIT, ClockTime::ZERO).unwrap();
}
