//! Any bytes edited: an error, or a model that can be read if the first one could.
#![no_main]

use gststyletransfer::model::onnx::editor::{Rows, with_constant, with_metadata, with_output, with_rows};
use gststyletransfer::model::onnx::floats::floats;
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
    let tables = model.iter().flat_map(|model| model.graph.iter().flat_map(|graph| &graph.initializer));
    let rows: Rows = tables.filter_map(|table| Some((table.name().to_owned(), floats(table).ok()?))).collect();
    let edited = [
        with_constant(bytes, &of(true), &[1], &[0.5]),
        with_output(bytes, &of(false)),
        with_rows(bytes, &of(true), &[]),
        with_rows(bytes, &of(true), &[rows]),
        with_metadata(bytes, "styletransfer.styles", "a,b"),
    ];
    for edited in edited.into_iter().flatten() {
        if model.is_ok() {
            ModelProto::decode(edited).expect("an edited model can be read");
        }
    }
});
