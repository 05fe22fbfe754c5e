//! An execution provider that takes minutes to prepare: frames flow meanwhile, progress is posted, nothing waits for it that
//! need not.

mod common;

use gst::prelude::*;
use gst_video::{VideoFormat, VideoInfo};

use gststyletransfer::inference::providers::slow::{self, End};

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
        common::run::init();
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
    assert_eq!(progress[0].1, format!("preparing 'slow'; '{meanwhile}' is in use meanwhile"));
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
    assert_eq!(play.reported().0, [], "nobody is in use meanwhile");
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
fn another_size_and_another_model_are_used_while_the_provider_is_prepared() {
    let folder = tempfile::tempdir().unwrap();
    let model = common::onnx::negative().save(folder.path(), "negative");
    let mut play = Play::new("");
    play.frame();
    play.frames_until(|_| slow::begun() > 0);
    let height = |play: &Play| play.element.property::<gst::Structure>("stats").get::<u32>("inference-height").unwrap();
    play.element.set_property("inference-size", "0.5");
    play.frames_until(|play| height(play) == 24);
    play.element.set_property("model-file", model.to_str().unwrap());
    let mut last = vec![];
    let started = std::time::Instant::now();
    while last.iter().any(|v| *v != 156u8) || last.is_empty() {
        assert!(started.elapsed().as_secs() < 60, "the other model is not used: {:?}", last.first());
        last = play.frame();
    }
    assert_ne!(play.provider(), slow::NAME);
    slow::end(End::Ready);
    play.frames_until(|play| play.provider() == slow::NAME);
    assert!(play.frame().iter().all(|v| *v == 156) && height(&play) == 24, "it runs what was asked for last");
}

#[test]
fn stopping_does_not_wait_for_the_preparation() {
    let mut play = Play::new("");
    play.frame();
    play.frames_until(|_| slow::begun() > 0);
    let started = std::time::Instant::now();
    drop(play.harness);
    play.element.set_state(gst::State::Null).unwrap();
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
    let canceled = |message: gst::Message| match message.view() {
        gst::MessageView::Progress(progress) => progress.get().0 == gst::ProgressType::Canceled,
        _ => false,
    };
    assert!(std::iter::from_fn(|| play.bus.pop()).any(canceled));
}

/// A pipeline whose source is not live.
fn film(properties: &str) -> gst::Pipeline {
    common::run::init();
    let line = format!(
        "videotestsrc num-buffers=5 ! video/x-raw,format=RGB,width=64,height=48 ! \
         styletransfer name=s execution-provider={} {properties} ! fakesink",
        slow::NAME
    );
    gst::parse::launch(&line).unwrap().downcast().unwrap()
}

#[test]
fn where_the_source_is_not_live_the_first_frame_waits() {
    let pipeline = film("");
    pipeline.set_state(gst::State::Playing).unwrap();
    let started = std::time::Instant::now();
    while slow::begun() == 0 && started.elapsed().as_secs() < 60 {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let element = pipeline.by_name("s").unwrap();
    let frames = || element.property::<gst::Structure>("stats").get::<u64>("frames").unwrap();
    std::thread::sleep(std::time::Duration::from_millis(200));
    assert_eq!(frames(), 0);
    slow::end(End::Ready);
    assert!(common::run::wait(pipeline.upcast_ref()).eos);
    let provider: String = element.property("active-provider");
    assert_eq!((frames(), provider.as_str()), (5, slow::NAME));
    pipeline.set_state(gst::State::Null).unwrap();
}

#[test]
fn a_wait_ends_when_the_element_is_stopped() {
    let pipeline = film("");
    pipeline.set_state(gst::State::Playing).unwrap();
    let started = std::time::Instant::now();
    while slow::begun() == 0 && started.elapsed().as_secs() < 60 {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let stopped = std::time::Instant::now();
    pipeline.set_state(gst::State::Null).unwrap();
    assert!(stopped.elapsed().as_secs() < 20, "{:?}", stopped.elapsed());
}
