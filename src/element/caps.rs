//! Caps of both pads: every raw format, in the order in which they are preferred.
//!
//! Goes out: the caps of the pad templates.

use gst_video::VideoFormat;

/// Smallest and largest side of a frame.
const SIDES: std::ops::RangeInclusive<i32> = 16..=8192;

/// The formats that convert fastest come first, deep ones last: where both sides take anything, a fast one is negotiated.
/// Interlaced caps are taken too, and refused with a message of our own instead of "not negotiated".
pub fn template() -> gst::Caps {
    let all = |formats: Vec<VideoFormat>, mode: &[&str]| {
        let builder = gst_video::VideoCapsBuilder::new().format_list(formats);
        let builder = builder.width_range(SIDES).height_range(SIDES);
        builder.field("interlace-mode", gst::List::new(mode)).build()
    };
    let is_deep =
        |format: &VideoFormat| gst_video::VideoFormatInfo::from_format(*format).depth().iter().any(|depth| *depth > 8);
    let fast = [VideoFormat::I420, VideoFormat::Nv12, VideoFormat::Yv12, VideoFormat::Yuy2, VideoFormat::Bgrx];
    let others = || gst_video::VIDEO_FORMATS_ALL.iter().copied().filter(|format| !fast.contains(format));
    // Inside one list the order of the other side counts.
    let mut groups: Vec<_> = fast.iter().map(|format| vec![*format]).collect();
    groups.push(others().filter(|format| !is_deep(format)).collect());
    groups.push(others().filter(is_deep).collect());
    let mut caps = gst::Caps::new_empty();
    for mode in [&["progressive", "mixed"][..], &["interleaved", "fields"]] {
        groups.iter().for_each(|formats| caps.get_mut().into_iter().for_each(|c| c.append(all(formats.clone(), mode))));
    }
    caps
}
