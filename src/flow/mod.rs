//! Dense optical flow between two small grey images: where each pixel of a frame was in the previous one.
//!
//! Input: luma pyramids of two frames. Output: one motion vector a pixel of the largest level. The method is dense inverse
//! search, DIS (Kroeger et al. 2016, "Fast Optical Flow using Dense Inverse Search").

pub mod patch;
pub mod pyramid;
pub mod search;

/// A vector in pixels: horizontal, vertical.
pub type Vector = [f32; 2];

/// Dense optical flow: for each pixel of the new frame the vector to its position in the previous one.
#[derive(Debug, Clone, Default)]
pub struct Flow {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Row after row, in pixels.
    pub vectors: Vec<Vector>,
}

impl Flow {
    fn resize(&mut self, width: usize, height: usize) {
        (self.width, self.height) = (width, height);
        self.vectors.clear();
        self.vectors.resize(width * height, [0.0; 2]);
    }

    /// The vectors of row `y`, clamped to the last row, as x, y, x, y...
    #[inline(always)]
    pub fn row(&self, y: usize) -> &[f32] {
        let start = y.min(self.height - 1) * self.width;
        self.vectors[start..start + self.width].as_flattened()
    }

    /// The vector of a pixel; coordinates are clamped to the last column and row.
    #[inline(always)]
    pub fn at(&self, x: usize, y: usize) -> Vector {
        self.vectors[y.min(self.height - 1) * self.width + x.min(self.width - 1)]
    }
}
