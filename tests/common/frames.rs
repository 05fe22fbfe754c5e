//! Frames through an element and back, compared.

use gst::prelude::*;
use gst_video::VideoInfo;

use super::run::init;

/// A picture with gradients, edges and colours, different in every frame: RGB triples.
pub fn picture(width: usize, height: usize, frame: usize) -> Vec<[u8; 3]> {
    let pixel = |i: usize| {
        let (x, y) = (i % width, i / width);
        let edge = if (x / 5 + y / 3 + frame).is_multiple_of(2) { 40 } else { 0 };
        [(x * 255 / width) as u8, (y * 255 / height) as u8, ((x + y + 7 * frame) % 200 + edge) as u8]
    };
    (0..width * height).map(pixel).collect()
}

/// `videotestsrc`-free source: the picture as caps `video/x-raw,format=RGB`.
pub fn rgb_buffer(width: usize, height: usize, frame: usize) -> (gst::Buffer, VideoInfo) {
    init();
    let info = VideoInfo::builder(gst_video::VideoFormat::Rgb, width as u32, height as u32)
        .fps(gst::Fraction::new(25, 1))
        .build()
        .unwrap();
    let mut data = vec![0u8; info.size()];
    let stride = info.stride()[0] as usize;
    for (i, rgb) in picture(width, height, frame).iter().enumerate() {
        let at = (i / width) * stride + (i % width) * 3;
        data[at..at + 3].copy_from_slice(rgb);
    }
    let mut buffer = gst::Buffer::from_slice(data);
    let time = gst::ClockTime::from_mseconds(40 * frame as u64);
    let writable = buffer.get_mut().unwrap();
    writable.set_pts(time);
    writable.set_duration(gst::ClockTime::from_mseconds(40));
    (buffer, info)
}

/// A harness around `styletransfer` with properties as on a launch line, fed with RGB frames of a size.
pub struct Bench {
    pub harness: gst_check::Harness,
    width: usize,
    height: usize,
    next: usize,
}

impl Bench {
    pub fn new(properties: &str, width: usize, height: usize) -> Self {
        init();
        // A harness is live: on a busy machine the governor would stylize smaller.
        let line = format!("styletransfer temporal-smoothing=0 governor=off {properties}");
        let mut harness = gst_check::Harness::new_parse(&line);
        let (_, info) = rgb_buffer(width, height, 0);
        harness.set_src_caps(info.to_caps().unwrap());
        Self { harness, width, height, next: 0 }
    }

    /// The element.
    pub fn element(&self) -> gst::Element {
        let bin = self.harness.element().unwrap();
        match bin.downcast::<gst::Bin>() {
            Ok(bin) => {
                bin.iterate_elements().find(|e| e.factory().is_some_and(|f| f.name() == "styletransfer")).unwrap()
            }
            Err(element) => element,
        }
    }

    /// Pushes the next frame, or the given one again; returns RGB triples.
    pub fn frame(&mut self, picture: usize) -> Vec<[u8; 3]> {
        let (mut buffer, info) = rgb_buffer(self.width, self.height, picture);
        buffer.get_mut().unwrap().set_pts(gst::ClockTime::from_mseconds(40 * self.next as u64));
        self.next += 1;
        let out = self.harness.push_and_pull(buffer).unwrap();
        triples(&out, &info)
    }
}

impl Bench {
    /// Pushes the picture again and again until what comes out is as `wanted`: a change that is made ready beside.
    pub fn frame_until(&mut self, picture: usize, mut wanted: impl FnMut(&[[u8; 3]]) -> bool) -> Vec<[u8; 3]> {
        let started = std::time::Instant::now();
        while started.elapsed() < std::time::Duration::from_secs(60) {
            let shown = self.frame(picture);
            if wanted(&shown) {
                return shown;
            }
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        panic!("nothing changed for a minute");
    }
}

/// The pixels of an RGB buffer.
pub fn triples(buffer: &gst::Buffer, info: &VideoInfo) -> Vec<[u8; 3]> {
    let map = buffer.map_readable().unwrap();
    let (width, stride) = (info.width() as usize, info.stride()[0] as usize);
    let at = |i: usize| (i / width) * stride + (i % width) * 3;
    (0..width * info.height() as usize).map(|i| [map[at(i)], map[at(i) + 1], map[at(i) + 2]]).collect()
}

/// The largest difference of any channel.
pub fn worst(a: &[[u8; 3]], b: &[[u8; 3]]) -> u8 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).flat_map(|(a, b)| (0..3).map(|c| a[c].abs_diff(b[c]))).max().unwrap()
}
