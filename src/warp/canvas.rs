//! Where the picture lies in a stylized frame.

use crate::tensor::placement::Placement;

/// Size of the stylized frame, and where the picture that moved lies in it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Canvas {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// First pixel of the picture, and its size; around it is padding.
    pub origin: (usize, usize),
    /// Size of the picture in the stylized frame.
    pub picture: (usize, usize),
}

impl From<Canvas> for Placement {
    fn from(canvas: Canvas) -> Self {
        let Canvas { width, height, origin, picture } = canvas;
        Placement { tensor: (width, height), origin, picture }
    }
}
