//! Tests of a provider that takes long to prepare: frames flow meanwhile, and the bus is told.

#![cfg(all(test, feature = "test-support"))]

use gst::prelude::*;
use gst_video::{VideoFormat, VideoInfo};

use crate::inference::providers::slow::{self, End};

/// The element in a harness that feeds it grey frames, with a bus.
struct Play {
    element: gst::Element,
    harness: gst_check::Harness,
    bus: gst::Bus,
    frames: u64,
    width: u32,
}

impl Play {
    fn new(line: &str) -> Self {
        gst::init().unwrap();
        crate::plugin_register_static().unwrap();
        let line = format!("styletransfer execution-provider={} governor=off style-fade=0 {line}", slow::NAME);
        let (element, bus) = (gst::parse::launch(&line).unwrap(), gst::Bus::new());
        element.set_bus(Some(&bus));
        let harness = gst_check::Harness::with_element(&element, Some("sink"), Some("src"));
        let mut play = Self { element, harness, bus, frames: 0, width: 0 };
        play.size(64);
        play
    }

    fn size(&mut self, width: u32) {
        let info = VideoInfo::builder(VideoFormat::Rgb, width, 48).fps(gst::Fraction::new(25, 1)).build().unwrap();
        self.harness.set_src_caps(info.to_caps().unwrap());
        self.width = width;
    }

    /// Pushes a frame; it must come out at once, with its time.
    fn frame(&mut self) -> Vec<u8> {
        let time = gst::ClockTime::from_mseconds(40 * self.frames);
        self.frames += 1;
        let mut buffer = gst::Buffer::from_slice(vec![99u8; (self.width * 3 * 48) as usize]);
        buffer.get_mut().unwrap().set_pts(time);
        let stylized = self.harness.push_and_pull(buffer).unwrap();
        assert_eq!(stylized.pts(), Some(time));
        stylized.map_readable().unwrap().to_vec()
    }

    fn provider(&self) -> String {
        self.element.property("active-provider")
    }

    fn frames_until(&mut self, mut what: impl FnMut(&Self) -> bool) {
        let started = std::time::Instant::now();
        while !what(self) {
            assert!(started.elapsed().as_secs() < 60, "nothing happened for a minute");
            self.frame();
        }
    }

    /// What was told of the provider, and the warnings.
    fn reported(&self) -> (Vec<(gst::ProgressType, String)>, Vec<String>) {
        let (mut progress, mut warnings) = (vec![], vec![]);
        while let Some(message) = self.bus.pop() {
            match message.view() {
                gst::MessageView::Progress(message) => {
                    let (kind, code, text) = message.get();
                    assert_eq!(code, "provider");
                    progress.push((kind, text.to_owned()));
                }
                gst::MessageView::Warning(warning) => warnings.push(warning.error().to_string()),
                _ => {}
            }
        }
        (progress, warnings)
    }
}

type Told = [(gst::ProgressType, String)];

fn kinds(reported: &Told) -> Vec<gst::ProgressType> {
    reported.iter().map(|(kind, _)| *kind).collect()
}

#[test]
fn frames_flow_at_once_and_the_provider_takes_over_when_it_is_ready() {
    let mut play = Play::new("");
    let meanwhile = play.provider();
    assert_ne!(meanwhile, slow::NAME);
    let before: Vec<_> = (0..10).map(|_| play.frame()).collect();
    assert!(before[0].iter().any(|v| *v != 99), "it is stylized, not passed through");
    assert_eq!(play.provider(), meanwhile);
    let (progress, _) = play.reported();
    assert_eq!(kinds(&progress), [gst::ProgressType::Start]);
    assert_eq!(progress[0].1, format!("preparing 'slow'; '{meanwhile}' computes meanwhile"));
    slow::end(End::Ready);
    play.frames_until(|play| play.provider() == slow::NAME);
    play.frame();
    let frames = play.frames;
    let stats: gst::Structure = play.element.property("stats");
    assert_eq!((stats.get("frames-in"), stats.get("inferred")), (Ok(frames), Ok(frames)), "none is lost");
    let (progress, warnings) = play.reported();
    assert_eq!(warnings, Vec::<String>::new());
    assert_eq!(kinds(&progress), [gst::ProgressType::Complete], "{progress:?}");
    assert!(progress[0].1.starts_with("'slow' is ready"), "{progress:?}");
}

#[test]
fn a_provider_that_cannot_be_had_after_all_leaves_the_other_at_work() {
    let mut play = Play::new("");
    let meanwhile = play.provider();
    play.frame();
    slow::end(End::Impossible);
    let mut reported = (vec![], vec![]);
    play.frames_until(|play| {
        let (progress, warnings) = play.reported();
        reported.0.extend(progress);
        reported.1.extend(warnings);
        !reported.1.is_empty()
    });
    (0..5).for_each(|_| drop(play.frame()));
    assert_eq!(play.provider(), meanwhile);
    assert_eq!(kinds(&reported.0), [gst::ProgressType::Start, gst::ProgressType::Error], "{reported:?}");
    assert!(reported.1.len() == 1 && reported.1[0].contains("'slow'"), "the warning names it: {reported:?}");
    assert_eq!(slow::begun(), 1, "it is not tried with every frame");
}

#[test]
fn with_provider_wait_the_first_frame_is_its_own() {
    let opener = std::thread::spawn(|| {
        while slow::begun() == 0 {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        slow::end(End::Ready);
    });
    let mut play = Play::new("provider-wait=always");
    opener.join().unwrap();
    play.frame();
    assert_eq!(play.provider(), slow::NAME);
    assert_eq!(play.reported().0, [], "nobody computes meanwhile");
}

#[test]
fn caps_and_style_that_change_meanwhile_do_not_prepare_it_again() {
    let mut play = Play::new("");
    play.frame();
    play.size(96);
    play.element.set_property("style", "udnie");
    let udnie = play.frame();
    assert_eq!(slow::begun(), 1);
    slow::end(End::Ready);
    play.frames_until(|play| play.provider() == slow::NAME);
    let same = play.frame();
    let worst = udnie.iter().zip(&same).map(|(a, b)| a.abs_diff(*b)).max();
    assert!(udnie.len() == same.len() && worst <= Some(8), "the style goes on: {worst:?}");
    assert_eq!(slow::begun(), 1, "the session of the size before is shared");
}

#[test]
fn stopping_meanwhile_tells_what_it_waits_for() {
    let mut play = Play::new("");
    play.frame();
    play.frames_until(|_| slow::begun() > 0);
    let bus = play.bus.clone();
    let opener = std::thread::spawn(move || {
        let limit = gst::ClockTime::from_seconds(60);
        let mut messages = std::iter::from_fn(|| bus.timed_pop_filtered(limit, &[gst::MessageType::Progress]));
        let is_canceled = |message: gst::Message| match message.view() {
            gst::MessageView::Progress(progress) => progress.get().0 == gst::ProgressType::Canceled,
            _ => false,
        };
        let canceled = messages.any(is_canceled);
        slow::end(End::Ready);
        canceled
    });
    drop(play.harness);
    play.element.set_state(gst::State::Null).unwrap();
    assert!(opener.join().unwrap());
}
