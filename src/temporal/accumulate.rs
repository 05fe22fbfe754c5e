//! Temporal accumulation in one pass over the rows: warp, blend and sharpening.
//!
//! Input: the history, the motion field, the new stylized frame. Output: the frame to show and the next history. One
//! pass, because a row of the blend is still in the cache when it is sharpened; bands of rows run on several threads.

use std::iter::Sum;

use fearless_simd::{dispatch, f32x8, prelude::*};

use crate::confidence::MotionField;
use crate::frame::image::{ImageMut, Sample};
use crate::frame::lanes::{LANES, eight, level, load, store, unit};
use crate::frame::threads;
use crate::temporal::blend::{Weights, blend};
use crate::temporal::sharpen::{Line, Scratch, Sharpening, sharpen_row};
use crate::temporal::statistics::ImageStatistics;
use crate::tensor::egress::to_row;
use crate::tensor::placement::Placement;
use crate::warp::pixel::Pixel;
use crate::warp::positions::{Grid, SamplePositions, Sampling};

/// Confidence from which on a propagated pixel keeps its accumulation weight.
const FULL_CONFIDENCE: f32 = 0.8;

/// Accumulates frames; holds tables and scratch of one size.
#[derive(Debug, Default)]
pub struct Accumulator {
    grid: Grid,
    bands: Vec<Band>,
}

/// Scratch for a band of rows.
#[derive(Debug, Clone, Default)]
struct Band {
    positions: SamplePositions,
    /// The last three blended rows: row y in `y % 3`.
    lines: [Line; 3],
    scratch: Scratch,
    statistics: FrameStatistics,
}

/// Statistics of a stylized frame and of its blend with the history, before sharpening.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct FrameStatistics {
    /// The stylized frame.
    pub stylized: ImageStatistics,
    /// The blend.
    pub blend: ImageStatistics,
    /// Whether the stylized frame has NaN or infinite values: then neither output can be used.
    pub not_finite: bool,
}

/// Inputs of one pass.
#[derive(Debug, Clone, Copy)]
struct Pass<'a> {
    place: Placement,
    field: &'a MotionField,
    history: &'a [Pixel],
    /// The stylized frame (planar RGB) and the weights of the history; none for a propagated frame.
    stylized: Option<(&'a [f32], Weights)>,
    sharpening: Sharpening,
}

impl Accumulator {
    /// Blends `stylized` (planar RGB, of the tensor's size) with the warped `history`, and sharpens the blend into the
    /// frame to show and the next history. The frame has the size of the tensor or of the picture in it, the histories
    /// that of the tensor.
    pub fn accumulate<O: Sample>(
        &mut self,
        place: Placement,
        field: &MotionField,
        history: &[Pixel],
        stylized: &[f32],
        (weights, sharpening): (Weights, Sharpening),
        into: (&mut ImageMut<O>, &mut [Pixel]),
    ) -> FrameStatistics {
        self.run(Pass { place, field, history, stylized: Some((stylized, weights)), sharpening }, into)
    }

    /// Propagates the `history` along the motion, whatever the confidence, and sharpens it: for a frame that is not
    /// stylized.
    pub fn propagate<O: Sample>(
        &mut self,
        place: Placement,
        field: &MotionField,
        history: &[Pixel],
        sharpening: Sharpening,
        into: (&mut ImageMut<O>, &mut [Pixel]),
    ) {
        self.run(Pass { place, field, history, stylized: None, sharpening }, into);
    }

    /// Blends every row and sharpens it as soon as the next one is blended.
    fn run<O: Sample>(&mut self, pass: Pass, (shown, next): (&mut ImageMut<O>, &mut [Pixel])) -> FrameStatistics {
        let Placement { tensor: (width, height), origin, .. } = pass.place;
        let (rows, size) = (threads::band(height), shown.shape());
        self.grid.fit(pass.place, pass.field);
        self.bands.resize_with(height.div_ceil(rows), Band::default);
        let (left, top) = if (size.width, size.height) == (width, height) { (0, 0) } else { origin };
        let job = Job { pass, grid: &self.grid, left };
        let pieces = self.bands.iter_mut().zip(shown.bands(height, top, rows)).zip(next.chunks_mut(rows * width));
        threads::share(pieces, |((band, (first, (mut shown, top))), next)| {
            dispatch!(level(), simd => band.run(simd, job, first, (&mut shown, top), next));
        });
        self.bands.iter().map(|band| band.statistics).sum()
    }

    /// Warps the `history` along the motion into planar RGB of the tensor's size, with the confidence in it; both are 0
    /// where the confidence is too low.
    pub fn warp(
        &mut self,
        place: Placement,
        field: &MotionField,
        history: &[Pixel],
        (previous, map): (&mut [f32], &mut [f32]),
    ) {
        self.grid.fit(place, field);
        self.bands.resize_with(self.bands.len().max(1), Band::default);
        let Some(Band { positions, .. }) = self.bands.first_mut() else { return };
        let (width, height) = place.tensor;
        let area = width * height;
        dispatch!(level(), simd => {
            for y in 0..height {
                positions.find(simd, y, place, field, &self.grid, Sampling::Confident);
                for (x, (group, confidence)) in (0..).step_by(LANES).zip(positions.groups()) {
                    let planes = group.sample(simd, history, (width, height));
                    let (confidence, none) = (eight(simd, confidence), f32x8::splat(simd, 0.0));
                    let confident = confidence.simd_gt(0.0);
                    for (c, plane) in planes.into_iter().take(3).enumerate() {
                        let line = &mut previous[c * area + y * width..][..width];
                        store(confident.select(unit(plane), none), line, x);
                    }
                    store(confidence.min(1.0), &mut map[y * width..][..width], x);
                }
            }
        });
    }
}

/// What all bands share.
#[derive(Clone, Copy)]
struct Job<'a> {
    pass: Pass<'a>,
    grid: &'a Grid,
    /// Column of the tensor that is the first one of the frame to show.
    left: usize,
}

impl Band {
    #[inline(always)]
    fn run<O: Sample, S: Simd>(
        &mut self,
        simd: S,
        Job { pass, grid, left }: Job,
        first: usize,
        (shown, top): (&mut ImageMut<O>, usize),
        next: &mut [Pixel],
    ) {
        let (width, height) = pass.place.tensor;
        self.lines.iter_mut().for_each(|line| line.fit(width));
        self.scratch.fit(width);
        self.statistics = FrameStatistics::default();
        let (positions, lines) = (&mut self.positions, &mut self.lines);
        let (mut ready, size) = (first.saturating_sub(1), shown.shape());
        for (y, next) in (first..).zip(next.chunks_mut(width)) {
            while ready < height.min(y + 2) {
                self.statistics.not_finite |= simd.vectorize(
                    #[inline(always)]
                    || pass.blend(simd, grid, ready, positions, &mut lines[ready % 3]),
                );
                ready += 1;
            }
            let around = [y.saturating_sub(1), y, (y + 1).min(height - 1)].map(|y| &lines[y % 3]);
            self.statistics.add_row(simd, pass, y, lines);
            simd.vectorize(
                #[inline(always)]
                || {
                    sharpen_row(simd, around, pass.sharpening, &mut self.scratch, next);
                    let row = y.wrapping_sub(top);
                    for c in (0..3).filter(|_| row < size.height) {
                        let source = &self.scratch.shown(c)[left..left + size.width];
                        to_row(source, shown.row_mut(c, row), size.white);
                    }
                },
            );
        }
    }
}

impl FrameStatistics {
    #[inline(always)]
    fn add_row<S: Simd>(&mut self, simd: S, pass: Pass, y: usize, lines: &[Line; 3]) {
        let (width, height) = pass.place.tensor;
        self.blend.add_row(simd, height, y, |y, c| &lines[y % 3].planes[c].as_flattened()[..width]);
        if let Some((stylized, _)) = pass.stylized {
            self.stylized.add_row(simd, height, y, |y, c| &stylized[(c * height + y) * width..][..width]);
        }
    }
}

impl Sum for FrameStatistics {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |a, b| Self {
            stylized: a.stylized + b.stylized,
            blend: a.blend + b.blend,
            not_finite: a.not_finite || b.not_finite,
        })
    }
}

impl Pass<'_> {
    /// Blends row `y`; returns whether the stylized frame has NaN or infinite values in it.
    #[inline(always)]
    fn blend<S: Simd>(&self, simd: S, grid: &Grid, y: usize, positions: &mut SamplePositions, line: &mut Line) -> bool {
        let (width, height) = self.place.tensor;
        let sampling = if self.stylized.is_some() { Sampling::Confident } else { Sampling::All };
        positions.find(simd, y, self.place, self.field, grid, sampling);
        line.blur.copy_from_slice(positions.blur());
        let stylized = self.stylized.map(|(stylized, weights)| {
            let row = |c: usize| &stylized[(c * height + y) * width..][..width];
            ([row(0), row(1), row(2)], weights)
        });
        let [red, green, blue, weight] = &mut line.planes;
        let into = red.iter_mut().zip(green).zip(blue).zip(weight);
        // 0 * v is 0 for every finite v and NaN for the others.
        let mut zero = f32x8::splat(simd, 0.0);
        for (x, ((group, confidence), (((red, green), blue), weight))) in
            (0..).step_by(LANES).zip(positions.groups().zip(into))
        {
            let old = group.sample(simd, self.history, (width, height));
            let confidence = eight(simd, confidence);
            let blended = match stylized {
                Some(([r, g, b], weights)) => {
                    let new = [load(simd, r, x), load(simd, g, x), load(simd, b, x)];
                    zero = (new[0] + new[1] + new[2]).mul_add(0.0, zero);
                    blend(old, confidence, new, weights)
                }
                None => {
                    // A disoccluded pixel must not survive the next blend.
                    let [red, green, blue, weight] = old;
                    let certainty = (confidence * (1.0 / FULL_CONFIDENCE)).min(1.0);
                    [unit(red), unit(green), unit(blue), unit(weight) * certainty]
                }
            };
            blended[0].store_array(red);
            blended[1].store_array(green);
            blended[2].store_array(blue);
            blended[3].store_array(weight);
        }
        zero.reduce_sum() != 0.0
    }
}
