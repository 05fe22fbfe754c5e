//! Any bytes edited: an error, or a model that can be read if the first one could.
#![no_main]

use gststyletransfer::model::onnx::editor::{with_constant, with_output};
use gststyletransfer::model::onnx::schema::ModelProto;
use libfuzzer_sys::fuzz_target;
use prost::Message;

fuzz_target!(|bytes: &[u8]| {
    let model = ModelProto::decode(bytes);
    let name = |model: &ModelProto, input: bool| {
        let graph = model.graph.as_ref()?;
        let node = || graph.node.last()?.output.first().cloned();
        if input { graph.input.first().map(|info| info.name().to_owned()) } else { node() }
    };
    let of = |input| model.as_ref().ok().and_then(|model| name(model, input)).unwrap_or_default();
    for edited in [with_constant(bytes, &of(true), &[1], &[0.5]), with_output(bytes, &of(false))].into_iter().flatten() {
        if model.is_ok() {
            ModelProto::decode(edited).expect("an edited model can be read");
        }
    }
});
