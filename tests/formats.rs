//! Every raw format, odd sizes, padded strides: with an identity model the element gives what two conversions give.

mod common;

use common::onnx::identity;
use common::run::init;
use gst_video::VideoFrameExt;
use gst_video::{VideoConverter, VideoFormat, VideoFrame, VideoInfo};

/// A frame of a format, filled by converting a test picture; `padding` extra bytes in every stride.
fn frame(format: VideoFormat, width: u32, height: u32, padding: i32) -> (gst::Buffer, VideoInfo) {
    let plain = VideoInfo::builder(format, width, height).fps(gst::Fraction::new(25, 1)).build().unwrap();
    let mut source_info = VideoInfo::builder(VideoFormat::Argb64, width, height);
    source_info = source_info.fps(gst::Fraction::new(25, 1));
    let source_info = source_info.build().unwrap();
    let words = (0..width as usize * height as usize).flat_map(|i| {
        let (x, y) = (i % width as usize, i / width as usize);
        let (x, y) = (x * 65535 / width as usize, y * 65535 / height as usize);
        [65535 - (x + y) / 2, x, y, (x ^ y) & 0xffff].map(|v| v as u16)
    });
    let bytes: Vec<u8> = words.flat_map(u16::to_ne_bytes).collect();
    let source = VideoFrame::from_buffer_readable(gst::Buffer::from_slice(bytes), &source_info).unwrap();
    let info = if padding == 0 { plain } else { padded(&plain, padding) };
    let mut buffer = gst::Buffer::with_size(info.size()).unwrap();
    if padding > 0 {
        let planes = info.n_planes() as usize;
        let writable = buffer.get_mut().unwrap();
        let flags = gst_video::VideoFrameFlags::empty();
        let (offsets, strides) = (&info.offset()[..planes], &info.stride()[..planes]);
        gst_video::VideoMeta::add_full(writable, flags, format, width, height, offsets, strides).unwrap();
    }
    let mut target = VideoFrame::from_buffer_writable(buffer, &info).unwrap();
    VideoConverter::new(&source_info, &info, None).unwrap().frame(&source, &mut target);
    (target.into_buffer(), info)
}

/// The same format with longer rows.
fn padded(info: &VideoInfo, padding: i32) -> VideoInfo {
    let (planes, mut strides, mut offsets, mut at) = (info.n_planes() as usize, vec![], vec![], 0);
    for plane in 0..planes {
        let rows = (0..info.n_components())
            .filter(|c| info.comp_plane(*c as u8) as usize == plane)
            .map(|c| info.comp_height(c as u8) as usize)
            .max()
            .unwrap_or(1);
        strides.push(info.stride()[plane] + padding);
        offsets.push(at);
        at += (info.stride()[plane] + padding) as usize * (rows + 1);
    }
    VideoInfo::builder(info.format(), info.width(), info.height())
        .fps(info.fps())
        .stride(&strides)
        .offset(&offsets)
        .size(at)
        .build()
        .unwrap()
}

/// What the conversion alone does: to planar RGB and back.
fn expected(buffer: &gst::Buffer, info: &VideoInfo, plain: &VideoInfo) -> VideoFrame<gst_video::video_frame::Readable> {
    let deep = info.format_info().depth().iter().any(|d| *d > 8);
    let format = match (deep, info.has_alpha()) {
        (false, false) => VideoFormat::Gbr,
        (false, true) => VideoFormat::Gbra,
        (true, false) => VideoFormat::Gbr12le,
        (true, true) => VideoFormat::Gbra12le,
    };
    let middle_info = VideoInfo::builder(format, info.width(), info.height()).fps(info.fps()).build().unwrap();
    let source = VideoFrame::from_buffer_readable(buffer.clone(), info).unwrap();
    let new = |info: &VideoInfo| {
        VideoFrame::from_buffer_writable(gst::Buffer::with_size(info.size()).unwrap(), info).unwrap()
    };
    let (mut middle, mut last) = (new(&middle_info), new(plain));
    VideoConverter::new(info, &middle_info, None).unwrap().frame(&source, &mut middle);
    let middle = VideoFrame::from_buffer_readable(middle.into_buffer(), &middle_info).unwrap();
    VideoConverter::new(&middle_info, plain, None).unwrap().frame(&middle, &mut last);
    VideoFrame::from_buffer_readable(last.into_buffer(), plain).unwrap()
}

fn check(format: VideoFormat, model: &str, size: (u32, u32), padding: i32) {
    let (buffer, info) = frame(format, size.0, size.1, padding);
    let plain = VideoInfo::builder(format, size.0, size.1).fps(info.fps()).build().unwrap();
    let wanted = expected(&buffer, &info, &plain);
    let mut harness =
        gst_check::Harness::new_parse(&format!("styletransfer execution-provider=cpu model-file={model}"));
    harness.set_src_caps(plain.to_caps().unwrap());
    let out = harness.push_and_pull(buffer).unwrap();
    let shown = VideoFrame::from_buffer_readable(out, &plain).unwrap();
    assert!(visible(&shown) == visible(&wanted), "{format:?} {size:?} padding {padding}");
}

/// The pixels without the padding of the rows, which nobody writes: unpacked to 16 bit ARGB.
fn visible(frame: &VideoFrame<gst_video::video_frame::Readable>) -> Vec<u8> {
    let info = VideoInfo::builder(VideoFormat::Argb64, frame.width(), frame.height());
    let info = info.fps(frame.info().fps()).build().unwrap();
    let buffer = gst::Buffer::with_size(info.size()).unwrap();
    let mut target = VideoFrame::from_buffer_writable(buffer, &info).unwrap();
    VideoConverter::new(frame.info(), &info, None).unwrap().frame(frame, &mut target);
    target.plane_data(0).unwrap().to_vec()
}

#[test]
fn identity_is_the_conversion_alone_for_every_format() {
    init();
    let folder = tempfile::tempdir().unwrap();
    let model = identity().save(folder.path(), "identity");
    let model = model.display().to_string();
    for format in gst_video::VIDEO_FORMATS_ALL.iter().copied() {
        for size in [(64, 48), (37, 21)] {
            check(format, &model, size, 0);
        }
    }
}

#[test]
fn padded_strides_are_honoured() {
    init();
    let folder = tempfile::tempdir().unwrap();
    let model = identity().save(folder.path(), "identity");
    let model = model.display().to_string();
    use VideoFormat::*;
    for format in [
        Rgb, Rgbx, Gray8, I420, Nv12, Yuy2, Uyvy, Y42b, Y444, Ayuv, Argb, I42010le, P01010le, Gbr10le, Argb64, A42010le,
    ] {
        for size in [(64, 48), (37, 21)] {
            check(format, &model, size, 24);
        }
    }
}

#[test]
fn alpha_survives_at_any_inference_size() {
    init();
    let folder = tempfile::tempdir().unwrap();
    let model = common::onnx::negative().save(folder.path(), "negative");
    for size in ["0", "0.5", "32x32"] {
        for properties in ["", "strength=0.5", "preserve-color=true"] {
            let (buffer, info) = frame(VideoFormat::Bgra, 67, 45, 0);
            let line = format!("styletransfer model-file={} inference-size={size} {properties}", model.display());
            let mut harness = gst_check::Harness::new_parse(&line);
            harness.set_src_caps(info.to_caps().unwrap());
            let out = harness.push_and_pull(buffer.clone()).unwrap();
            let (a, b) = (buffer.map_readable().unwrap(), out.map_readable().unwrap());
            assert!(a.chunks(4).zip(b.chunks(4)).all(|(a, b)| a[3] == b[3]), "{size} {properties}");
            assert!(a.chunks(4).zip(b.chunks(4)).any(|(a, b)| a[..3] != b[..3]), "{size} {properties}");
        }
    }
}

/// Noise where nothing is visible: no cut, and what is visible looks as without it.
#[test]
fn colours_under_alpha_zero_do_not_matter() {
    let folder = tempfile::tempdir().unwrap();
    let model = common::onnx::identity().save(folder.path(), "identity").display().to_string();
    let (width, height) = (64usize, 48usize);
    let visible = |i: usize| (i % width).abs_diff(32).pow(2) + (i / width).abs_diff(24).pow(2) < 15 * 15;
    for properties in ["", "inference-size=0.5", "inference-size=0.5 inference-interval=2"] {
        let played = |noise: bool| -> (Vec<Vec<u8>>, u64) {
            let line = format!("model-file={model} temporal-smoothing=0.75 {properties}");
            let mut bench = common::frames::Bench::new(&line, width, height);
            let info = VideoInfo::builder(VideoFormat::Rgba, width as u32, height as u32).build().unwrap();
            bench.harness.set_src_caps(info.to_caps().unwrap());
            let frames = (0..8u64).map(|frame| {
                let pixel = |i: usize| match visible(i) {
                    true => [(3 * i) as u8, (i / width * 5) as u8, 90, 255],
                    false if noise => [(i as u64 * (frame + 3) * 7919 % 251) as u8; 3]
                        .map(|v| v ^ (i % 97) as u8)
                        .into_iter()
                        .chain([0])
                        .collect::<Vec<_>>()
                        .try_into()
                        .unwrap(),
                    false => [20, 30, 40, 0],
                };
                let mut buffer = gst::Buffer::from_slice((0..width * height).flat_map(pixel).collect::<Vec<u8>>());
                buffer.get_mut().unwrap().set_pts(gst::ClockTime::from_mseconds(40 * frame));
                let shown = bench.harness.push_and_pull(buffer).unwrap().map_readable().unwrap().to_vec();
                let seen = shown.chunks(4).enumerate().filter(|(i, _)| visible(*i)).flat_map(|(_, p)| p.to_vec());
                seen.collect()
            });
            let frames = frames.collect();
            (frames, bench.element().property::<gst::Structure>("stats").get("cuts").unwrap())
        };
        let ((plain, _), (noisy, cuts)) = (played(false), played(true));
        assert_eq!(cuts, 1, "{properties}");
        for (i, (a, b)) in plain.iter().zip(&noisy).enumerate() {
            let worst = a.iter().zip(b).map(|(a, b)| a.abs_diff(*b)).max();
            assert!(worst <= Some(2), "{properties}, frame {i}: {worst:?}");
        }
    }
}

#[test]
fn matrix_and_range_are_honoured() {
    init();
    let folder = tempfile::tempdir().unwrap();
    let model = common::onnx::negative().save(folder.path(), "negative");
    // The negative of black is white: luma 16 becomes 235 in video range, 0 becomes 255 in full range.
    for (colorimetry, black, white) in
        [("bt709", 16, 235), ("bt601", 16, 235), ("1:3:5:1", 0, 255), ("1:4:7:1", 0, 255)]
    {
        let colorimetry = colorimetry.parse::<gst_video::VideoColorimetry>().unwrap();
        let info =
            VideoInfo::builder(VideoFormat::I420, 32, 32).fps(gst::Fraction::new(25, 1)).colorimetry(&colorimetry);
        let info = info.build().unwrap();
        let mut data = vec![128u8; info.size()];
        data[..32 * 32].fill(black);
        let mut harness = gst_check::Harness::new_parse(&format!("styletransfer model-file={}", model.display()));
        harness.set_src_caps(info.to_caps().unwrap());
        let out = harness.push_and_pull(gst::Buffer::from_slice(data)).unwrap();
        let map = out.map_readable().unwrap();
        assert!(map[..32 * 32].iter().all(|v| v.abs_diff(white) <= 1), "{colorimetry:?}: {}", map[0]);
        assert!(map[32 * 32..].iter().all(|v| v.abs_diff(128) <= 1), "{colorimetry:?}");
    }
}
