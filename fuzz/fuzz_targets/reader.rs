//! Any bytes as an ONNX file: an error or a model, within the memory of the file.
#![no_main]

use gststyletransfer::model::onnx::reader::OnnxFile;
use libfuzzer_sys::fuzz_target;
use prost::bytes::Bytes;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(OnnxFile::Bytes(whole)) = OnnxFile::from_bytes(Bytes::copy_from_slice(bytes)) {
        assert_eq!(whole, bytes);
    }
});
