//! Any text as the value of a property or of a metadata key: an error, or a value with the bounds that it promises.
#![no_main]

use std::collections::BTreeMap;

use gststyletransfer::frame::size::{InferenceSize, SMALLEST};
use gststyletransfer::model::metadata::{Hints, PREFIX, key};
use gststyletransfer::model::sub_pixel::SubPixel;
use gststyletransfer::style::StyleMix;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    for name in key::ALL {
        let mut hints = Hints::default();
        if hints.set(name, text).is_ok() {
            assert!(hints.size_multiple.is_none_or(|n| (1..=512).contains(&n)));
            for range in [hints.input.range, hints.output.range].into_iter().flatten() {
                assert!(range.scale.iter().chain(&range.offset).all(|value| value.is_finite()));
            }
            assert!(hints.scalars.values().all(|value| value.is_finite()));
        }
    }
    let metadata = |name: &str| BTreeMap::from([(format!("{PREFIX}{name}"), text.to_owned())]);
    let _ = Hints::from_metadata(&metadata("input-range"));
    if let Ok(Some(tail)) = SubPixel::of(&metadata("sub-pixel")) {
        let _ = tail.size(&[1, 12, 48, i64::MAX]);
        let _ = tail.size(&[1, 12, 48, 64]);
    }
    if let Ok(mix) = text.parse::<StyleMix>() {
        let names: Vec<_> = mix.names().map(str::to_owned).collect();
        let sum: f32 = mix.weights(&names).expect("its own names").iter().sum();
        assert!(names.is_empty() || (sum - 1.0).abs() < 1e-3, "{sum}");
    }
    if let Ok(size) = text.parse::<InferenceSize>() {
        let (width, height) = size.of((640, 360));
        assert!((SMALLEST..=8192).contains(&width) && (SMALLEST..=8192).contains(&height), "{width}x{height}");
        assert_eq!(size.to_string().parse::<InferenceSize>().expect("its own text"), size);
    }
});
