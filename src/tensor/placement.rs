//! Placement of a picture in a tensor that is at least as large, and padding by reflection.
//!
//! Input: sizes of picture and tensor. Output: the placement, and the reflected index of a position outside the picture.

use anyhow::{Result, ensure};

/// Position of a picture in a tensor at least as large; the padding is filled by reflection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placement {
    /// Width and height of the tensor.
    pub tensor: (usize, usize),
    /// Column and row of the picture's first pixel.
    pub origin: (usize, usize),
    /// Width and height of the picture.
    pub picture: (usize, usize),
}

impl Placement {
    /// A picture in the middle of a tensor at least as large.
    pub fn centered(picture: (usize, usize), tensor: (usize, usize)) -> Self {
        let middle = |p: usize, t: usize| t.saturating_sub(p) / 2;
        Self { tensor, origin: (middle(picture.0, tensor.0), middle(picture.1, tensor.1)), picture }
    }

    /// The same placement in a tensor of another size (a generator that enlarges its input).
    ///
    /// # Errors
    /// Sizes whose ratio is not the same whole number, or its inverse, in both dimensions.
    pub fn scaled_to(&self, tensor: (usize, usize)) -> Result<Self> {
        let same_factor = tensor.0 * self.tensor.1 == tensor.1 * self.tensor.0;
        let whole = |a: usize, b: usize| a > 0 && b > 0 && (a.is_multiple_of(b) || b.is_multiple_of(a));
        ensure!(
            same_factor && whole(tensor.0, self.tensor.0),
            "the model turned {}x{} into {}x{}, which is no whole multiple of it",
            self.tensor.0,
            self.tensor.1,
            tensor.0,
            tensor.1
        );
        // Where the model makes the picture smaller, it takes the pixels at its edges whole.
        let side = |origin: usize, picture: usize, from: usize, to: usize| {
            let first = origin * to / from.max(1);
            (first, ((origin + picture) * to).div_ceil(from.max(1)) - first)
        };
        let (x, width) = side(self.origin.0, self.picture.0, self.tensor.0, tensor.0);
        let (y, height) = side(self.origin.1, self.picture.1, self.tensor.1, tensor.1);
        Ok(Self { tensor, origin: (x, y), picture: (width, height) })
    }
}

/// Index in 0..n of position `i`, reflected at both ends without repeating the border, as often as needed.
pub fn reflect(i: isize, n: usize) -> usize {
    if n == 1 {
        return 0;
    }
    let period = 2 * (n as isize - 1);
    let i = i.rem_euclid(period);
    (if i < n as isize { i } else { period - i }) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reflection_does_not_repeat_the_border() {
        let row: Vec<_> = (-4..7).map(|i| reflect(i, 3)).collect();
        assert_eq!(row, [0, 1, 2, 1, 0, 1, 2, 1, 0, 1, 2]);
        assert_eq!(reflect(-5, 1), 0);
    }

    #[test]
    fn placements_scale_with_the_model() {
        let small = Placement::centered((30, 10), (32, 16));
        assert_eq!(small.origin, (1, 3));
        let large = small.scaled_to((64, 32)).unwrap();
        assert_eq!((large.origin, large.picture), ((2, 6), (60, 20)));
        assert!(small.scaled_to((64, 16)).is_err());
        assert!(small.scaled_to((48, 24)).is_err());
    }

    proptest::proptest! {
        #[test]
        fn a_centered_picture_lies_inside_and_in_the_middle(
            picture in (1usize..3000, 1usize..3000), more in (0usize..200, 0usize..200),
        ) {
            let tensor = (picture.0 + more.0, picture.1 + more.1);
            let Placement { origin, .. } = Placement::centered(picture, tensor);
            let sides = |picture, tensor, origin| (origin, tensor - picture - origin);
            for (before, after) in [sides(picture.0, tensor.0, origin.0), sides(picture.1, tensor.1, origin.1)] {
                proptest::prop_assert!(after == before || after == before + 1);
            }
        }

        #[test]
        fn a_scaled_placement_lies_inside(
            picture in (1usize..500, 1usize..500), more in (0usize..70, 0usize..70), factor in 1usize..5, down in proptest::bool::ANY,
        ) {
            let tensor = ((picture.0 + more.0).next_multiple_of(factor), (picture.1 + more.1).next_multiple_of(factor));
            let place = Placement::centered(picture, tensor);
            let by = |side: usize| if down { side / factor } else { side * factor };
            let other = place.scaled_to((by(tensor.0), by(tensor.1))).unwrap();
            let inside = |origin, picture, tensor| picture > 0 && origin + picture <= tensor;
            proptest::prop_assert!(inside(other.origin.0, other.picture.0, other.tensor.0), "{:?}", other);
            proptest::prop_assert!(inside(other.origin.1, other.picture.1, other.tensor.1), "{:?}", other);
        }

        #[test]
        fn reflection_stays_inside_and_its_own_picture_is_unchanged(i in -5000isize..5000, n in 1usize..500) {
            let index = reflect(i, n);
            proptest::prop_assert!(index < n);
            proptest::prop_assert!(!(0..n as isize).contains(&i) || index == i as usize);
            let period = 2 * (n as isize - 1);
            proptest::prop_assert_eq!(index, reflect(i + period, n));
            proptest::prop_assert_eq!(index, reflect(-i, n));
        }
    }
}
