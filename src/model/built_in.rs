//! The models and styles that ship inside the plugin.
//!
//! Comes in: names of styles. Goes out: the model that has them.

use anyhow::{Context, Result, bail};

/// A style of an embedded model.
pub struct EmbeddedStyle {
    /// Name: a value of property `style`.
    pub name: &'static str,
    /// The painting it was trained on.
    pub painting: &'static str,
    /// This style alone in int8, an ONNX file too, where the picture holds in it.
    pub int8: Option<&'static [u8]>,
}

/// A model inside the plugin.
pub struct EmbeddedModel {
    /// Its styles, in the order of its weights.
    pub styles: &'static [EmbeddedStyle],
    /// The ONNX file.
    pub onnx: &'static [u8],
}

/// Every embedded model; the first style of the first one is the default.
pub static MODELS: &[EmbeddedModel] = &[LIVE, VAN_GOGH];

/// Styles of one painting each.
const LIVE: EmbeddedModel = EmbeddedModel {
    styles: &[
        style("great-wave", "Katsushika Hokusai, The Great Wave off Kanagawa, 1831"),
        style("starry-night", "Vincent van Gogh, The Starry Night, 1889"),
        style("the-scream", "Edvard Munch, The Scream, 1893"),
        style("composition-vii", "Wassily Kandinsky, Composition VII, 1913"),
        style("udnie", "Francis Picabia, Udnie, 1913"),
        style("the-kiss", "Gustav Klimt, The Kiss, 1908"),
        style("grande-jatte", "Georges Seurat, A Sunday on La Grande Jatte, 1886"),
        style("water-lilies", "Claude Monet, Water Lilies, 1919"),
        style("contrast-of-forms", "Fernand Léger, Contrast of Forms, 1913"),
        style("metzinger", "Robert Delaunay, Portrait of Jean Metzinger, 1906"),
        style("mondrian", "Piet Mondrian, a composition in yellow and grey of his cubist years"),
        style("woman-with-hat", "Henri Matisse, Woman with a Hat, 1905"),
        style("red-chalk", "Woman in Peasant Dress, an old master's drawing in red chalk"),
    ],
    onnx: include_bytes!("../../models/live.onnx"),
};

/// One style of a set of paintings.
const VAN_GOGH: EmbeddedModel = EmbeddedModel {
    styles: &[EmbeddedStyle {
        int8: Some(include_bytes!("../../models/int8/van-gogh.onnx")),
        ..style("van-gogh", "Vincent van Gogh, eight paintings of 1887 to 1890")
    }],
    onnx: include_bytes!("../../models/van-gogh.onnx"),
};

const fn style(name: &'static str, painting: &'static str) -> EmbeddedStyle {
    EmbeddedStyle { name, painting, int8: None }
}

/// Every embedded style.
pub fn styles() -> impl Iterator<Item = &'static EmbeddedStyle> {
    MODELS.iter().flat_map(|model| model.styles)
}

/// Whether there is an embedded style of this name.
pub fn has(name: &str) -> bool {
    styles().any(|style| style.name == name)
}

/// The model that has all the styles of `names`; the first one for none.
///
/// # Errors
/// An unknown name, with a list of the known ones; styles of several models, which cannot be mixed.
pub fn find<'a>(names: impl Iterator<Item = &'a str>) -> Result<&'static EmbeddedModel> {
    let mut found: Option<(&str, &'static EmbeddedModel)> = None;
    for name in names {
        let model = MODELS.iter().find(|m| m.styles.iter().any(|s| s.name == name)).with_context(|| {
            let known: Vec<_> = styles().map(|s| s.name).collect();
            format!("no embedded style is named '{name}', expected one of: {}", known.join(", "))
        })?;
        match found {
            Some((other, first)) if !std::ptr::eq(first, model) => {
                bail!("styles '{other}' and '{name}' are of different models and cannot be mixed")
            }
            _ => found = Some((name, model)),
        }
    }
    Ok(found.map_or(&MODELS[0], |(_, model)| model))
}
