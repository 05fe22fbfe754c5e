//! The element as a citizen of a pipeline: caps, time, events, metas, controls, cycles.

mod common;

use common::frames::{Bench, picture, rgb_buffer, triples, worst};
use common::onnx::{identity, negative};
use common::run::{init, launch};
use gst::prelude::*;
use gst_controller::prelude::*;

/// A model file that lives as long as the folder.
fn negative_model() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = negative().save(folder.path(), "negative").display().to_string();
    (folder, path)
}

fn inverted(picture: &[[u8; 3]]) -> Vec<[u8; 3]> {
    picture.iter().map(|p| p.map(|v| 255 - v)).collect()
}

#[test]
fn time_and_metas_pass_unchanged() {
    let (_folder, model) = negative_model();
    let mut bench = Bench::new(&format!("model-file={model}"), 32, 24);
    let (mut buffer, _) = rgb_buffer(32, 24, 3);
    let reference = gst::Caps::new_empty_simple("timestamp/x-test");
    {
        let writable = buffer.get_mut().unwrap();
        writable.set_pts(gst::ClockTime::from_mseconds(1234));
        writable.set_dts(gst::ClockTime::from_mseconds(1200));
        writable.set_duration(gst::ClockTime::from_mseconds(33));
        writable.set_offset(7);
        gst::ReferenceTimestampMeta::add(writable, &reference, gst::ClockTime::from_seconds(5), None);
        gst_video::VideoRegionOfInterestMeta::add(writable, "face", (1, 2, 3, 4));
        gst_video::VideoTimeCodeMeta::add(
            writable,
            &gst_video::VideoTimeCode::new(
                gst::Fraction::new(25, 1),
                None,
                gst_video::VideoTimeCodeFlags::empty(),
                1,
                2,
                3,
                4,
                0,
            )
            .try_into()
            .unwrap(),
        );
    }
    let out = bench.harness.push_and_pull(buffer.clone()).unwrap();
    assert_eq!((out.pts(), out.dts(), out.duration()), (buffer.pts(), buffer.dts(), buffer.duration()));
    assert_eq!(out.offset(), 7);
    assert!(out.meta::<gst::ReferenceTimestampMeta>().is_some());
    assert_eq!(out.meta::<gst_video::VideoRegionOfInterestMeta>().unwrap().rect(), (1, 2, 3, 4));
    assert!(out.meta::<gst_video::VideoTimeCodeMeta>().is_some());
}

#[test]
fn strength_moves_from_original_to_painting() {
    let (_folder, model) = negative_model();
    let original = picture(40, 30, 0);
    let shown = |properties: &str| Bench::new(&format!("model-file={model} {properties}"), 40, 30).frame(0);
    assert_eq!(shown("strength=0"), original);
    assert_eq!(shown("strength=1"), inverted(&original));
    let half = shown("strength=0.5");
    assert!(half.iter().all(|p| p.iter().all(|v| v.abs_diff(128) <= 1)), "{:?}", half[0]);
    // The mix happens at the frame's own size, so that a weak stylized frame at a small size blurs nothing.
    let small = shown("strength=0.01 inference-size=0.5");
    assert!(worst(&small, &original) <= 4);
}

#[test]
fn strength_zero_runs_no_inference() {
    let (_folder, model) = negative_model();
    let mut bench = Bench::new(&format!("model-file={model} strength=0"), 40, 30);
    (0..3).for_each(|i| drop(bench.frame(i)));
    let stats = bench.element().property::<gst::Structure>("stats");
    assert_eq!((stats.get::<u64>("frames").unwrap(), stats.get::<u64>("inferred").unwrap()), (3, 0));
}

#[test]
fn preserve_color_keeps_the_chroma_of_the_original() {
    let (_folder, model) = negative_model();
    let shown = Bench::new(&format!("model-file={model} preserve-color=true"), 40, 30).frame(0);
    let mut compared = 0;
    for (a, b) in shown.iter().zip(picture(40, 30, 0)) {
        if a.iter().all(|v| (1..255).contains(v)) {
            let chroma = |p: [u8; 3]| (i16::from(p[0]) - i16::from(p[1]), i16::from(p[2]) - i16::from(p[1]));
            let (x, y) = (chroma(*a), chroma(b));
            assert!((x.0 - y.0).abs() <= 1 && (x.1 - y.1).abs() <= 1, "{a:?} {b:?}");
            compared += 1;
        }
    }
    assert!(compared > 300, "{compared}");
}

#[test]
fn average_smoothing_blends_and_breaks_reset_it() {
    let folder = tempfile::tempdir().unwrap();
    let model = identity().save(folder.path(), "identity");
    let mut bench =
        Bench::new(&format!("model-file={} temporal-method=average temporal-smoothing=0.5", model.display()), 40, 30);
    let (first, second) = (picture(40, 30, 0), picture(40, 30, 5));
    assert_eq!(bench.frame(0), first);
    let blended = bench.frame(5);
    let mean: Vec<_> = first.iter().zip(&second).map(|(a, b)| [0, 1, 2].map(|c| (a[c] / 2) + (b[c] / 2))).collect();
    assert!(worst(&blended, &mean) <= 2);
    let flush = |bench: &mut Bench| {
        assert!(bench.harness.push_event(gst::event::FlushStart::new()));
        assert!(bench.harness.push_event(gst::event::FlushStop::new(true)));
        let segment = gst::FormattedSegment::<gst::ClockTime>::new();
        assert!(bench.harness.push_event(gst::event::Segment::new(&segment)));
    };
    flush(&mut bench);
    assert_eq!(bench.frame(0), first);
    let broken = |bench: &mut Bench, milliseconds: u64| {
        let (mut buffer, info) = rgb_buffer(40, 30, 5);
        let writable = buffer.get_mut().unwrap();
        writable.set_flags(gst::BufferFlags::DISCONT);
        writable.set_pts(gst::ClockTime::from_mseconds(milliseconds));
        triples(&bench.harness.push_and_pull(buffer).unwrap(), &info)
    };
    assert_eq!(broken(&mut bench, 10_000), second, "the stream goes on elsewhere");
    flush(&mut bench);
    assert_eq!(bench.frame(0), first);
    assert!(worst(&broken(&mut bench, 300), &mean) <= 2, "a frame or two were left out: the scene goes on");
}

#[test]
fn sizes_change_in_mid_stream() {
    let (_folder, model) = negative_model();
    let mut bench = Bench::new(&format!("model-file={model}"), 40, 30);
    bench.frame(0);
    for (width, height) in [(64, 48), (16, 16), (37, 19), (640, 360), (40, 30)] {
        let (buffer, info) = rgb_buffer(width, height, 1);
        bench.harness.set_src_caps(info.to_caps().unwrap());
        let out = bench.harness.push_and_pull(buffer).unwrap();
        assert_eq!(triples(&out, &info), inverted(&picture(width, height, 1)));
    }
}

#[test]
fn eight_k_and_tiny_frames() {
    init();
    let folder = tempfile::tempdir().unwrap();
    let model = identity().save(folder.path(), "identity");
    for size in ["width=7680,height=4320", "width=16,height=16", "width=8191,height=17"] {
        let said = launch(&format!(
            "videotestsrc num-buffers=2 ! video/x-raw,format=I420,{size} ! styletransfer model-file={} ! fakesink",
            model.display()
        ));
        assert!(said.eos && said.errors.is_empty(), "{size}: {said:?}");
    }
}

#[test]
fn still_pictures_and_variable_rate_pass() {
    let (_folder, model) = negative_model();
    for rate in ["0/1", "1/1", "30000/1001"] {
        let line = format!(
            "videotestsrc num-buffers=3 ! video/x-raw,width=32,height=24,framerate=25/1 ! \
             capssetter caps=video/x-raw,framerate={rate} ! styletransfer model-file={model} ! \
             video/x-raw,framerate={rate} ! fakesink"
        );
        let said = launch(&line);
        assert!(said.eos && said.errors.is_empty(), "{rate}: {said:?}");
    }
}

#[test]
fn interlaced_video_is_refused_by_name_and_other_caps_pass() {
    let (_folder, model) = negative_model();
    let line = |mode: &str| {
        format!(
            "videotestsrc num-buffers=3 ! video/x-raw,format=I420,width=32,height=24,framerate=25/1 ! \
             capssetter join=false replace=true caps=video/x-raw,format=I420,width=32,height=24,framerate=25/1{mode} ! \
             styletransfer model-file={model} ! fakesink"
        )
    };
    for mode in ["", ",interlace-mode=progressive"] {
        let said = launch(&line(mode));
        assert!(said.eos && said.errors.is_empty(), "'{mode}': {said:?}");
    }
    let said = launch(&line(",interlace-mode=mixed"));
    assert!(said.eos && said.errors.is_empty(), "mixed caps, progressive frames: {said:?}");
    let said = launch(&line(",interlace-mode=interleaved"));
    assert!(said.errors.len() == 1 && said.errors[0].contains("deinterlace"), "{said:?}");
}

#[test]
fn an_interlaced_frame_in_mixed_caps_is_refused_with_what_helps() {
    let (_folder, model) = negative_model();
    let mut bench = Bench::new(&format!("model-file={model}"), 32, 24);
    let bus = gst::Bus::new();
    bench.element().set_bus(Some(&bus));
    let (mut buffer, info) = rgb_buffer(32, 24, 0);
    let mut caps = info.to_caps().unwrap();
    caps.get_mut().unwrap().set("interlace-mode", "mixed");
    bench.harness.set_src_caps(caps);
    assert!(bench.harness.push_and_pull(buffer.copy()).is_ok());
    let flags = gst_video::VideoBufferFlags::INTERLACED;
    buffer.get_mut().unwrap().set_flags(gst::BufferFlags::from_bits_retain(flags.bits()));
    assert_eq!(bench.harness.push(buffer), Err(gst::FlowError::Error));
    let message = bus.pop_filtered(&[gst::MessageType::Error]).unwrap();
    let gst::MessageView::Error(error) = message.view() else { panic!() };
    assert!(error.error().to_string().contains("deinterlace"), "{}", error.error());
}

#[test]
fn caps_are_refused_once_and_without_a_stack_trace() {
    let (_folder, model) = negative_model();
    let line = format!(
        "videotestsrc num-buffers=3 ! video/x-raw,format=I420,width=32,height=24,interlace-mode=interleaved ! \
         styletransfer name=s model-file={model} ! fakesink"
    );
    init();
    let pipeline = gst::parse::launch(&line).unwrap();
    let _ = pipeline.set_state(gst::State::Playing);
    let bus = pipeline.bus().unwrap();
    let limit = gst::ClockTime::from_seconds(5);
    let mut own = vec![];
    while let Some(message) = bus.timed_pop_filtered(limit, &[gst::MessageType::Error]) {
        let gst::MessageView::Error(error) = message.view() else { panic!() };
        if message.src().is_some_and(|src| src.name() == "s") {
            own.push(format!("{} {:?}", error.error(), error.debug()));
        } else {
            break;
        }
    }
    pipeline.set_state(gst::State::Null).unwrap();
    assert!(own.len() == 1 && !own[0].contains("backtrace") && !own[0].contains("Stack"), "{own:?}");
}

#[test]
fn other_colorimetry_or_rate_keeps_the_history() {
    let (_folder, model) = negative_model();
    let mut bench = Bench::new(&format!("model-file={model} temporal-smoothing=0.75"), 64, 48);
    let element = bench.element();
    let stats = |name: &str| element.property::<gst::Structure>("stats").get::<u64>(name).unwrap();
    let info = rgb_buffer(64, 48, 0).1;
    (0..3).for_each(|_| drop(bench.frame(0)));
    for (field, value) in [("framerate", "50/1"), ("pixel-aspect-ratio", "4/3"), ("colorimetry", "bt601")] {
        let caps = format!("{},{field}=(string){value}", info.to_caps().unwrap());
        let mut caps = caps.replace("(string)50/1", "50/1").replace("(string)4/3", "4/3").parse::<gst::Caps>().unwrap();
        caps.make_mut();
        bench.harness.set_src_caps(caps);
        (0..3).for_each(|_| drop(bench.frame(0)));
        assert_eq!(stats("cuts"), 1, "{field}: the history goes on");
    }
    let other = gst_video::VideoInfo::builder(gst_video::VideoFormat::Rgb, 32, 48).build().unwrap();
    bench.harness.set_src_caps(other.to_caps().unwrap());
    bench.harness.push(gst::Buffer::from_slice(vec![7u8; other.size()])).unwrap();
    assert_eq!(stats("cuts"), 2, "another size does not");
}

#[test]
fn a_fast_format_is_negotiated_where_nobody_asks_for_one() {
    let (_folder, model) = negative_model();
    init();
    let line = format!(
        "videotestsrc num-buffers=2 ! video/x-raw,width=64,height=48 ! styletransfer name=s model-file={model} ! fakesink"
    );
    let pipeline = gst::parse::launch(&line).unwrap();
    let said = common::run::play_to_pause(&pipeline);
    let caps = pipeline.downcast_ref::<gst::Bin>().unwrap().by_name("s").unwrap().static_pad("sink").unwrap();
    let caps = caps.current_caps().unwrap();
    pipeline.set_state(gst::State::Null).unwrap();
    assert!(said.errors.is_empty(), "{said:?}");
    let format: String = caps.structure(0).unwrap().get("format").unwrap();
    assert_eq!(format, "I420", "{caps}");
}

#[test]
fn controlled_properties_follow_their_curve() {
    let (_folder, model) = negative_model();
    let mut bench = Bench::new(&format!("model-file={model}"), 40, 30);
    let element = bench.element();
    let source = gst_controller::InterpolationControlSource::new();
    source.set_mode(gst_controller::InterpolationMode::Linear);
    source.set(gst::ClockTime::ZERO, 0.0);
    source.set(gst::ClockTime::from_mseconds(80), 1.0);
    element.add_control_binding(&gst_controller::DirectControlBinding::new(&element, "strength", &source)).unwrap();
    let original = picture(40, 30, 0);
    assert_eq!(bench.frame(0), original);
    assert!(bench.frame(0).iter().all(|p| p.iter().all(|v| v.abs_diff(128) <= 1)));
    assert_eq!(bench.frame(0), inverted(&original));
}

#[test]
fn models_change_while_playing_and_a_bad_one_keeps_the_old() {
    let (folder, model) = negative_model();
    let same = identity().save(folder.path(), "identity").display().to_string();
    let mut bench = Bench::new(&format!("model-file={model}"), 40, 30);
    let original = picture(40, 30, 0);
    assert_eq!(bench.frame(0), inverted(&original));
    let element = bench.element();
    element.set_property("model-file", &same);
    assert_eq!(bench.frame(0), inverted(&original), "the old model stylizes until the new one is ready");
    bench.frame_until(0, |shown| *shown == original);
    let bus = gst::Bus::new();
    element.set_bus(Some(&bus));
    element.set_property("model-file", "/nowhere/else.onnx");
    let warning = std::cell::OnceCell::new();
    bench.frame_until(0, |shown| {
        assert_eq!(*shown, original);
        bus.pop_filtered(&[gst::MessageType::Warning]).is_some_and(|message| warning.set(message).is_ok())
    });
    let message = warning.into_inner().expect("a warning");
    let gst::MessageView::Warning(warning) = message.view() else { panic!() };
    assert!(warning.error().to_string().contains("/nowhere/else.onnx"), "{}", warning.error());
    let width =
        |element: &gst::Element| element.property::<gst::Structure>("stats").get::<u32>("inference-width").unwrap();
    assert_eq!(width(&element), 40, "statistics tell of the model that stylizes, not of the one refused");
    element.set_property("inference-size", "0.5");
    bench.frame_until(0, |_| width(&element) != 40);
    assert_eq!(width(&element), 20);
}

#[test]
fn strokes_change_their_size_while_playing() {
    let (_folder, model) = negative_model();
    let mut bench = Bench::new(&format!("model-file={model} style-scale=2"), 80, 60);
    let element = bench.element();
    let sized = |bench: &mut Bench, wanted: (u32, u32)| {
        let side = |name: &str| bench.element().property::<gst::Structure>("stats").get::<u32>(name).unwrap();
        (side("inference-width"), side("inference-height")) == wanted
    };
    assert!(sized(&mut bench, (40, 30)), "strokes are twice as large where a picture of half the size is enlarged");
    for (properties, wanted) in [
        ([("style-scale", "1"), ("inference-size", "0")], (80, 60)),
        ([("style-scale", "0.5"), ("inference-size", "0.5")], (80, 60)),
        ([("style-scale", "0.5"), ("inference-size", "0")], (160, 120)),
        ([("style-scale", "1.25"), ("inference-size", "0")], (64, 48)),
    ] {
        properties.iter().for_each(|(name, value)| element.set_property_from_str(name, value));
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while !sized(&mut bench, wanted) {
            assert!(std::time::Instant::now() < deadline, "{properties:?}");
            assert_eq!(bench.frame(0).len(), 80 * 60, "no frame is lost meanwhile");
        }
    }
}

#[test]
fn statistics_tell_what_happened() {
    let (_folder, model) = negative_model();
    let mut bench = Bench::new(&format!("model-file={model} execution-provider=cpu"), 40, 30);
    (0..5).for_each(|i| drop(bench.frame(i)));
    let element = bench.element();
    assert_eq!(element.property::<String>("active-provider"), "cpu");
    let stats = element.property::<gst::Structure>("stats");
    assert_eq!(stats.get::<u64>("inferred").unwrap(), 5);
    let mean = stats.get::<f64>("inference-ms-mean").unwrap();
    assert!(mean > 0.0 && stats.get::<f64>("inference-ms-p95").unwrap() >= mean * 0.5);
    assert!(stats.get::<f64>("convert-ms-mean").unwrap() > 0.0);
}

#[test]
fn the_default_smooths_along_the_motion_and_counts_cuts() {
    let folder = tempfile::tempdir().unwrap();
    let model = identity().save(folder.path(), "identity");
    let mut bench = Bench::new(&format!("model-file={} temporal-smoothing=0.75", model.display()), 64, 48);
    let element = bench.element();
    assert!(element.property_value("temporal-method").serialize().unwrap().contains("motion"));
    let stats = |element: &gst::Element| element.property::<gst::Structure>("stats");
    assert_eq!(bench.frame(3), picture(64, 48, 3), "the first frame is shown as it is");
    (0..5).for_each(|_| drop(bench.frame(3)));
    assert_eq!(stats(&element).get::<u64>("cuts").unwrap(), 1);
    assert!(stats(&element).get::<f64>("motion-ms-mean").unwrap() > 0.0);
    assert!(stats(&element).get::<f64>("temporal-confidence").unwrap() > 0.1);
}

#[test]
fn two_elements_share_a_process() {
    let (_folder, model) = negative_model();
    let said = launch(&format!(
        "videotestsrc num-buffers=20 ! video/x-raw,width=64,height=48 ! tee name=t \
         t. ! queue ! styletransfer model-file={model} ! fakesink \
         t. ! queue ! styletransfer ! styletransfer model-file={model} ! fakesink"
    ));
    assert!(said.eos && said.errors.is_empty(), "{said:?}");
}

#[test]
fn seeks_flush_and_every_frame_after_comes_out() {
    init();
    let clip = common::run::clip();
    let line = format!(
        "filesrc location={} ! decodebin ! videoconvert ! videoscale ! video/x-raw,width=64,height=36 ! \
         styletransfer name=s ! appsink name=sink sync=false",
        clip.display()
    );
    let pipeline = gst::parse::launch(&line).unwrap().downcast::<gst::Pipeline>().unwrap();
    pipeline.set_state(gst::State::Paused).unwrap();
    pipeline.state(gst::ClockTime::from_seconds(20)).0.unwrap();
    for seconds in [3, 1, 4] {
        let target = gst::ClockTime::from_seconds(seconds);
        pipeline.seek_simple(gst::SeekFlags::FLUSH | gst::SeekFlags::ACCURATE, target).unwrap();
        pipeline.state(gst::ClockTime::from_seconds(20)).0.unwrap();
        let sink = pipeline.by_name("sink").unwrap().downcast::<gst_app::AppSink>().unwrap();
        let sample = sink.try_pull_preroll(gst::ClockTime::from_seconds(20)).expect("a frame after the seek");
        assert_eq!(sample.buffer().unwrap().pts().unwrap().mseconds() / 40, target.mseconds() / 40);
    }
    pipeline.set_state(gst::State::Null).unwrap();
}

#[test]
fn two_hundred_cycles_leave_nothing() {
    // SAFETY: nextest runs every test in a process of its own, and nothing was started yet.
    unsafe {
        std::env::set_var("GST_TRACERS", "leaks(filters=\"GstElement,GstPad,GstBuffer,GstCaps\",check-refs=true)")
    };
    init();
    let (_folder, model) = negative_model();
    let cycle = |frames: usize| {
        let said = launch(&format!(
            "videotestsrc num-buffers={frames} ! video/x-raw,width=32,height=24 ! styletransfer model-file={model} ! fakesink"
        ));
        assert!(said.eos, "{said:?}");
    };
    let alive = || {
        let tracer = gst::active_tracers().into_iter().find(|t| t.type_().name() == "GstLeaksTracer").unwrap();
        let objects = tracer.emit_by_name::<gst::Structure>("get-live-objects", &[]);
        objects.get::<gst::List>("live-objects-list").unwrap().len()
    };
    (0..10).for_each(|_| cycle(2));
    let before = alive();
    (0..190).for_each(|_| cycle(1));
    assert_eq!(alive(), before);
}
