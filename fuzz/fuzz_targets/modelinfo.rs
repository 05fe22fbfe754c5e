//! Any text as a `.modelinfo` file.
#![no_main]

use gststyletransfer::model::modelinfo::parse;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = parse(text);
});
