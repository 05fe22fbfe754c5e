//! Any bytes as a style picture.
#![no_main]

use gststyletransfer::style::picture::StyleImage;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(picture) = StyleImage::decode(bytes, (None, None)) {
        picture.view().expect("a decoded picture");
    }
});
