//! What applications do to a pipeline: the generic scenarios of GStreamer's validation, on a real clip, and the usual
//! elements around.

mod common;

use std::time::{Duration, Instant};

use common::onnx::identity;
use common::run::{clip, init, launch};
use gst::prelude::*;
use gst::{ClockTime, SeekFlags, SeekType, State};

/// A pipeline with the clip, small, and its element.
struct Player {
    pipeline: gst::Pipeline,
    sink: gst_app::AppSink,
}

impl Player {
    fn new(properties: &str) -> Self {
        let clip = clip();
        Self::of(&format!("filesrc location={} ! decodebin", clip.display()), properties)
    }

    fn of(source: &str, properties: &str) -> Self {
        init();
        let line = format!(
            "{source} ! videoconvert ! videoscale ! video/x-raw,width=96,height=54 ! \
             styletransfer name=s {properties} ! appsink name=sink sync=false max-buffers=3"
        );
        let pipeline = gst::parse::launch(&line).unwrap().downcast::<gst::Pipeline>().unwrap();
        let sink = pipeline.by_name("sink").unwrap().downcast::<gst_app::AppSink>().unwrap();
        let player = Self { pipeline, sink };
        player.to(State::Paused);
        player
    }

    /// Changes the state and waits for it.
    fn to(&self, state: State) {
        self.pipeline.set_state(state).unwrap();
        let (reached, now, _) = self.pipeline.state(ClockTime::from_seconds(30));
        assert!(reached.is_ok() && now == state, "{state:?}: {now:?}, {:?}", self.complaint());
    }

    fn complaint(&self) -> Option<gst::Message> {
        self.pipeline.bus().unwrap().pop_filtered(&[gst::MessageType::Error])
    }

    fn frame(&self) -> Option<ClockTime> {
        let sample = self.sink.try_pull_sample(ClockTime::from_seconds(30))?;
        sample.buffer().unwrap().pts()
    }

    /// Times of the next frames, all of them there.
    fn frames(&self, count: usize) -> Vec<u64> {
        (0..count).map(|_| self.frame().expect("a frame").mseconds()).collect()
    }

    fn seek(&self, rate: f64, flags: SeekFlags, start: f64, stop: Option<f64>) {
        let time = |s: f64| ClockTime::from_nseconds((s * 1e9) as u64);
        let (kind, end) = stop.map_or((SeekType::None, ClockTime::NONE), |s| (SeekType::Set, Some(time(s))));
        self.pipeline.seek(rate, SeekFlags::FLUSH | flags, SeekType::Set, time(start), kind, end).unwrap();
        let (reached, ..) = self.pipeline.state(ClockTime::from_seconds(30));
        assert!(reached.is_ok(), "{:?}", self.complaint());
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        let _ = self.pipeline.set_state(State::Null);
    }
}

#[test]
fn pause_and_resume_lose_nothing() {
    let player = Player::new("");
    for _ in 0..4 {
        player.to(State::Playing);
        player.frames(5);
        player.to(State::Paused);
    }
    player.to(State::Playing);
    let mut times = Vec::new();
    while let Some(time) = player.frame() {
        times.push(time.mseconds());
    }
    assert!(times.windows(2).all(|p| p[1] > p[0] && p[1] - p[0] <= 42), "{times:?}");
    assert!(player.complaint().is_none());
}

#[test]
fn seeks_of_every_kind_arrive() {
    for properties in ["", "lookahead=1", "inference-interval=3"] {
        let player = Player::new(properties);
        player.to(State::Playing);
        player.frames(3);
        for (flags, target) in [
            (SeekFlags::ACCURATE, 3.0),
            (SeekFlags::ACCURATE, 1.0),
            (SeekFlags::KEY_UNIT, 4.0),
            (SeekFlags::KEY_UNIT, 0.5),
            (SeekFlags::ACCURATE, 2.0),
        ] {
            player.seek(1.0, flags, target, None);
            let times = player.frames(4);
            let first = times[0] as f64 / 1e3;
            assert!(times.windows(2).all(|p| p[1] > p[0]), "{times:?}");
            if flags.contains(SeekFlags::ACCURATE) {
                assert!((first - target).abs() < 0.045, "{properties}: {first} for {target}");
            }
        }
        assert!(player.complaint().is_none());
    }
}

#[test]
fn fast_forward_and_reverse_play_to_their_end() {
    for properties in ["", "lookahead=1", "inference-interval=2"] {
        let player = Player::new(properties);
        player.seek(2.0, SeekFlags::ACCURATE, 1.0, Some(2.0));
        player.to(State::Playing);
        let forward: Vec<u64> = std::iter::from_fn(|| player.frame()).map(|t| t.mseconds()).collect();
        assert!(forward.len() >= 20 && forward.is_sorted(), "{properties}: {forward:?}");

        let player = Player::new(properties);
        player.seek(-1.0, SeekFlags::ACCURATE, 0.5, Some(1.5));
        player.to(State::Playing);
        let backward: Vec<u64> = std::iter::from_fn(|| player.frame()).map(|t| t.mseconds()).collect();
        assert!(backward.len() >= 20 && backward.is_sorted_by(|a, b| a >= b), "{properties}: {backward:?}");
        assert!(player.complaint().is_none());
    }
}

#[test]
fn states_change_again_and_again() {
    // A launch line's decodebin is linked once: it does not survive NULL.
    let player = Player::of("videotestsrc", "");
    for _ in 0..15 {
        for state in [State::Playing, State::Paused, State::Ready, State::Null, State::Paused] {
            player.to(state);
        }
    }
    player.to(State::Playing);
    player.frames(3);
    // Without waiting for any of them.
    for state in [State::Paused, State::Playing, State::Ready, State::Playing, State::Null, State::Playing] {
        player.pipeline.set_state(state).unwrap();
    }
    player.to(State::Playing);
    player.frames(3);
    assert!(player.complaint().is_none());
}

#[test]
fn the_end_comes_when_it_is_sent() {
    let player = Player::new("lookahead=1");
    player.to(State::Playing);
    player.frames(2);
    player.pipeline.send_event(gst::event::Eos::new());
    let started = Instant::now();
    while player.frame().is_some() {
        assert!(started.elapsed() < Duration::from_secs(30));
    }
    assert!(player.sink.is_eos() && player.complaint().is_none());
}

#[test]
fn caps_change_in_the_middle_of_a_stream() {
    init();
    let folder = tempfile::tempdir().unwrap();
    let model = identity().save(folder.path(), "identity");
    for lookahead in [0, 1] {
        let line = format!(
            "concat name=c ! styletransfer model-file={} lookahead={lookahead} ! appsink name=sink sync=false \
             videotestsrc num-buffers=7 ! video/x-raw,format=NV12,width=64,height=48 ! c. \
             videotestsrc num-buffers=7 ! video/x-raw,format=BGRx,width=96,height=64 ! c. \
             videotestsrc num-buffers=7 ! video/x-raw,format=I420_10LE,width=48,height=48 ! c.",
            model.display()
        );
        let pipeline = gst::parse::launch(&line).unwrap().downcast::<gst::Pipeline>().unwrap();
        let sink = pipeline.by_name("sink").unwrap().downcast::<gst_app::AppSink>().unwrap();
        pipeline.set_state(State::Playing).unwrap();
        let mut sizes = Vec::new();
        while let Some(sample) = sink.try_pull_sample(ClockTime::from_seconds(30)) {
            let info = gst_video::VideoInfo::from_caps(sample.caps().unwrap()).unwrap();
            assert_eq!(sample.buffer().unwrap().size(), info.size());
            sizes.push(info.width());
        }
        pipeline.set_state(State::Null).unwrap();
        assert_eq!(sizes, [[64; 7], [96; 7], [48; 7]].concat(), "lookahead={lookahead}");
    }
}

#[test]
fn compositor_tee_and_the_automatic_players() {
    let small = "videoconvert ! videoscale ! video/x-raw,width=64,height=36,framerate=24/1";
    let clip = clip().display().to_string();
    for line in [
        format!(
            "compositor name=c ! fakesink videotestsrc num-buffers=10 ! {small} ! styletransfer style=udnie ! c. \
             videotestsrc num-buffers=10 ! {small} ! c."
        ),
        format!(
            "videotestsrc num-buffers=10 ! {small} ! tee name=t t. ! queue ! styletransfer ! fakesink \
             t. ! queue ! styletransfer style=van-gogh ! fakesink"
        ),
        format!("filesrc location={clip} ! decodebin3 ! videorate ! {small} ! styletransfer ! fakesink"),
        format!("uridecodebin uri=file://{clip} ! videorate ! {small} ! styletransfer ! fakesink"),
    ] {
        let said = launch(&line);
        assert!(said.eos && said.errors.is_empty() && said.warnings.is_empty(), "{line}: {said:?}");
    }
}

#[test]
fn playbin_takes_it_as_its_video_filter() {
    init();
    let filter = gst::parse::bin_from_description(
        "videoconvert ! videoscale ! video/x-raw,width=64,height=36 ! styletransfer name=s ! videoconvert",
        true,
    )
    .unwrap();
    let sink = gst::ElementFactory::make("fakesink").property("sync", false).build().unwrap();
    let quiet = gst::ElementFactory::make("fakesink").property("sync", false).build().unwrap();
    let playbin = gst::ElementFactory::make("playbin")
        .property("uri", format!("file://{}", clip().display()))
        .property("video-filter", &filter)
        .property("video-sink", &sink)
        .property("audio-sink", &quiet)
        .build()
        .unwrap();
    let said = common::run::play(&playbin);
    assert!(said.eos && said.errors.is_empty(), "{said:?}");
    let stats = filter.by_name("s").unwrap().property::<gst::Structure>("stats");
    assert!(stats.get::<u64>("inferred").unwrap() > 50, "{stats}");
}
