//! After the first frames of a size the core allocates nothing but what asking other threads for help takes: counted by
//! the allocator itself.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use gststyletransfer::frame::image::{Image, ImageMut, Shape};
use gststyletransfer::frame::mix::{Mix, mix};
use gststyletransfer::stylizer::{Controls, Outcome, Stylizer};
use gststyletransfer::temporal::stabilizer::{Method, Smoothing};
use gststyletransfer::tensor::layout::{Axes, Channels, Format, Range};

#[path = "common/copier.rs"]
mod copier;
use copier::Copier;

struct Counting;

static COUNT: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::Relaxed);
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn nothing_is_allocated_per_frame_after_the_first_ten() {
    let foreign = Format { axes: Axes::Nhwc, channels: Channels::Bgr, range: Range::SIGNED };
    let cases = [
        (Format::CANONICAL, Method::None),
        (Format::CANONICAL, Method::Average),
        (foreign, Method::Average),
        (foreign, Method::Motion),
    ];
    for (format, method) in cases {
        let mut stylizer = Stylizer::new(Box::new(Copier::new(format)));
        let (width, height) = (101, 67);
        stylizer.prepare((width, height)).unwrap();
        let shape = Shape { width, height, white: 255 };
        let plane: Vec<u8> = (0..width * height).map(|i| i as u8).collect();
        let (mut r, mut g, mut b) = (plane.clone(), plane.clone(), plane.clone());
        let mut frame = || {
            let image = Image::new([&plane, &plane, &plane], [width; 3], shape).unwrap();
            let mut stylized = ImageMut::new([&mut r, &mut g, &mut b], [width; 3], shape).unwrap();
            let smoothing = Smoothing { method, amount: 0.5 };
            let outcome = stylizer.process(&image, &mut stylized, Controls::every(smoothing, None)).unwrap();
            assert!(matches!(outcome, Outcome::Stylized(_)));
            mix(&image, &mut stylized, Mix { strength: 0.5, preserve_color: true });
        };
        (0..10).for_each(|_| frame());
        // Three times a frame, on the way in and out and to mix, the thread pool is asked for help with four bands of rows.
        // Each helper takes a few bytes, and the queue memory for 63 of them at a time.
        let helpers = 3 * (rayon::current_num_threads().min(4) - 1);
        let allowed = 100 * helpers + 100 * helpers / 63 + 2;
        let mut hundred = || {
            let before = COUNT.load(Ordering::Relaxed);
            (0..100).for_each(|_| frame());
            COUNT.load(Ordering::Relaxed) - before
        };
        // A thread, the test harness's too, takes some memory once, when it first waits: on a busy machine that may be late.
        let counts = [0; 5].map(|_| hundred());
        let least = counts.iter().min().unwrap();
        assert!(*least <= allowed, "{counts:?} in a hundred frames each, for {format:?}, {method:?}");
        assert!(r.iter().zip(&plane).all(|(a, b)| a.abs_diff(*b) <= 1));
    }
}
