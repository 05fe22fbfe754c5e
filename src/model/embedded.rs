//! The styles that ship inside the plugin.

use anyhow::{Context, Result};

/// A generator inside the plugin.
pub struct EmbeddedStyle {
    /// What the `style` property takes.
    pub name: &'static str,
    /// The painting it was trained on.
    pub painting: &'static str,
    /// The ONNX file.
    pub onnx: &'static [u8],
}

/// Every embedded style; the first is the default.
pub const STYLES: &[EmbeddedStyle] = &[EmbeddedStyle {
    name: "great-wave",
    painting: "Katsushika Hokusai, The Great Wave off Kanagawa, 1831",
    onnx: include_bytes!("../../models/great-wave.onnx"),
}];

/// The style of a name.
///
/// # Errors
/// An unknown name, with the names there are.
pub fn find(name: &str) -> Result<&'static EmbeddedStyle> {
    let names = || STYLES.iter().map(|s| s.name).collect::<Vec<_>>().join(", ");
    let found = STYLES.iter().find(|s| s.name == name);
    found.with_context(|| format!("no embedded style is named '{name}'; there are: {}", names()))
}
