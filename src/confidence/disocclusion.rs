//! The largest connected disoccluded area: what a propagated frame shows wrongly in one place.
//!
//! Input: a motion field. Output: the area of the largest 4-connected component of disoccluded cells, as a share of the
//! visible frame. Cells whose source lies beyond the border do not count: a pan uncovers a strip along the border in
//! every frame.

use crate::confidence::{LOW_CONFIDENCE, MotionField};
use crate::flow::pyramid::Pyramid;

/// Labels components; holds scratch of one size.
#[derive(Debug, Default)]
pub struct DisoccludedArea {
    /// Whether a cell is disoccluded and not yet part of a component.
    open: Vec<bool>,
    /// Cells of the present component whose neighbours are still to be visited.
    stack: Vec<u32>,
}

impl DisoccludedArea {
    /// The largest component of `field`, 0..=1 of the visible area of `new`, the frame that the motion starts from.
    pub fn largest(&mut self, field: &MotionField, new: &Pyramid) -> f32 {
        self.mark(field, new);
        self.stack.clear();
        // Every cell is pushed once at most: nothing is allocated from the second frame on.
        self.stack.reserve(self.open.len());
        let mut largest = 0;
        for cell in 0..self.open.len() {
            if std::mem::take(&mut self.open[cell]) {
                self.stack.push(cell as u32);
                largest = self.fill(field.width).max(largest);
            }
        }
        largest as f32 / new.visible().max(1.0)
    }

    fn mark(&mut self, field: &MotionField, new: &Pyramid) {
        self.open.clear();
        let (right, bottom) = ((field.width - 1) as f32, (field.height - 1) as f32);
        for y in 0..field.height {
            let row = y * field.width..(y + 1) * field.width;
            let motion = field.x[row.clone()].iter().zip(&field.y[row.clone()]);
            let cells = field.confidence[row].iter().zip(motion).zip(new.alpha_row(y)).enumerate();
            self.open.extend(cells.map(|(x, ((confidence, (dx, dy)), alpha))| {
                let (px, py) = (x as f32 + dx, y as f32 + dy);
                let inside = (px >= 0.0) & (px <= right) & (py >= 0.0) & (py <= bottom);
                inside & (*confidence < LOW_CONFIDENCE) & (*alpha > 0.5)
            }));
        }
    }

    /// Cells of the component that is on the stack.
    fn fill(&mut self, width: usize) -> usize {
        let mut area = 0;
        while let Some(cell) = self.stack.pop() {
            area += 1;
            let (cell, x) = (cell as usize, cell as usize % width);
            let neighbours = [
                (x > 0).then(|| cell - 1),
                (x + 1 < width).then(|| cell + 1),
                cell.checked_sub(width),
                Some(cell + width),
            ];
            for neighbour in neighbours.into_iter().flatten() {
                if self.open.get_mut(neighbour).is_some_and(std::mem::take) {
                    self.stack.push(neighbour as u32);
                }
            }
        }
        area
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::image::{Image, Shape};

    /// `.` is a confident cell, `#` a disoccluded one, `>` one whose source is beyond the right border.
    fn largest(rows: [&str; 4]) -> f32 {
        let (width, height, cells) = (rows[0].len(), rows.len(), rows.concat());
        let confidence = cells.chars().map(|c| if c == '.' { 1.0 } else { 0.1 }).collect();
        let x = cells.chars().map(|c| if c == '>' { 99.0 } else { 0.0 }).collect();
        let field = MotionField { width, height, x, y: vec![0.0; width * height], confidence };
        let (plane, mut pyramid) = (vec![0u8; width * height], Pyramid::default());
        let image = Image::new([&plane; 3], [width; 3], Shape { width, height, white: 255 }).unwrap();
        pyramid.take(&image, 1);
        DisoccludedArea::default().largest(&field, &pyramid) * (width * height) as f32
    }

    #[test]
    fn the_largest_component_is_measured_alone() {
        assert_eq!(largest(["......", "......", "......", "......"]), 0.0);
        assert_eq!(largest(["##....", "....##", "....##", "##...#"]), 5.0);
        assert_eq!(largest(["#....#", ".#..#.", "..##..", ".#..#."]), 2.0);
        assert_eq!(largest(["#####.", "#...#.", "#.#.#.", "###.#."]), 14.0);
        assert_eq!(largest(["##..>>", "....>>", "....>>", "....>>"]), 2.0);
    }
}
