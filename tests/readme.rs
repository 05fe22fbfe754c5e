//! The documentation tells what the element is: the property table and the style list are compared with the code.

mod common;

use common::run::{init, repo};
use gst::prelude::*;

/// `| name | default | text |` for every property of the element's own class.
fn table() -> Vec<String> {
    init();
    let element = gst::ElementFactory::make("styletransfer").build().unwrap();
    let own = element.type_();
    let specs = element.list_properties().into_iter().filter(|p| p.owner_type() == own);
    let mut rows: Vec<_> =
        specs.map(|spec| format!("| `{}` | {} | {} |", spec.name(), default(&spec), spec.blurb().unwrap())).collect();
    rows.sort();
    rows
}

fn default(spec: &gst::glib::ParamSpec) -> String {
    if !spec.flags().contains(gst::glib::ParamFlags::WRITABLE) {
        return "read-only".into();
    }
    let value = spec.default_value();
    if let Ok(text) = value.get::<Option<String>>() {
        return text.map_or("unset".into(), |t| format!("`{t}`"));
    }
    format!("`{}`", value.serialize().unwrap())
}

#[test]
fn the_property_table_is_the_elements() {
    let readme = std::fs::read_to_string(repo("README.md")).unwrap();
    let section = readme.split("\n## Properties\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let mut found: Vec<_> =
        section.lines().filter(|l| l.starts_with("| `") && l.matches('|').count() == 4).map(str::to_owned).collect();
    found.sort();
    assert_eq!(found.join("\n"), table().join("\n"), "README.md wants this table:\n{}\n", table().join("\n"));
}

#[test]
fn every_embedded_style_has_its_card() {
    let cards = std::fs::read_to_string(repo("models/README.md")).unwrap();
    for style in gststyletransfer::model::built_in::styles() {
        assert!(cards.contains(&format!("## {}", style.name)), "{}", style.name);
        assert!(cards.contains(style.painting), "{}", style.painting);
    }
    let int8 = gststyletransfer::model::built_in::styles().filter_map(|style| style.int8);
    let models = gststyletransfer::model::built_in::MODELS.iter().map(|model| model.onnx);
    let bytes: usize = models.chain(int8).map(<[u8]>::len).sum();
    assert!(bytes < 4_000_000, "{bytes} bytes inside the plugin");
}

#[test]
fn every_provider_stands_in_the_readme() {
    let readme = std::fs::read_to_string(repo("README.md")).unwrap();
    for provider in gststyletransfer::inference::providers::PROVIDERS {
        assert!(readme.contains(&format!("`{}`", provider.name)), "{}", provider.name);
    }
}
