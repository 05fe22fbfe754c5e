//! From GStreamer's frames to planar RGB and back: GStreamer's own converter does all colour and size work.
//!
//! Comes in: a frame of any raw format. Goes out: planes of red, green and blue (and alpha, propagated over), 8 bit for
//! 8-bit formats and 12 bit for deeper ones.

use anyhow::{Context, Result, anyhow};
use gst_video::prelude::*;
use gst_video::video_frame::Writable;
use gst_video::{VideoConverter, VideoFormat, VideoFrame, VideoFrameRef, VideoInfo};

use crate::frame::image::{Image, ImageMut, Sample, Shape};
use crate::frame::size::Size;

/// A readable frame of the element's pads.
pub type FrameIn<'a> = VideoFrameRef<&'a gst::BufferRef>;
/// A writable frame of the element's pads.
pub type FrameOut<'a> = VideoFrameRef<&'a mut gst::BufferRef>;

/// A planar RGB frame of our own.
pub struct Work {
    frame: VideoFrame<Writable>,
}

/// Depth of the planes that a format goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// `u8`.
    Eight,
    /// `u16`, 12 bits used.
    Twelve,
}

impl Depth {
    /// The depth for a format: nothing of more than 8 bits is squeezed through 8.
    pub fn of(info: &VideoInfo) -> Self {
        match info.format_info().depth().iter().any(|depth| *depth > 8) {
            true => Depth::Twelve,
            false => Depth::Eight,
        }
    }

    fn format(self, alpha: bool) -> VideoFormat {
        match (self, alpha, cfg!(target_endian = "little")) {
            (Depth::Eight, false, _) => VideoFormat::Gbr,
            (Depth::Eight, true, _) => VideoFormat::Gbra,
            (Depth::Twelve, false, true) => VideoFormat::Gbr12le,
            (Depth::Twelve, false, false) => VideoFormat::Gbr12be,
            (Depth::Twelve, true, true) => VideoFormat::Gbra12le,
            (Depth::Twelve, true, false) => VideoFormat::Gbra12be,
        }
    }

    fn grey(self) -> VideoFormat {
        match (self, cfg!(target_endian = "little")) {
            (Depth::Eight, _) => VideoFormat::Gray8,
            (Depth::Twelve, true) => VideoFormat::Gray16Le,
            (Depth::Twelve, false) => VideoFormat::Gray16Be,
        }
    }
}

/// A sample type and how to see bytes as it.
pub trait Plane: Sample + bytemuck::Pod {}
impl Plane for u8 {}
impl Plane for u16 {}

impl Work {
    /// A frame of `size`, with alpha if `like` has it.
    ///
    /// # Errors
    /// Sizes that GStreamer refuses.
    pub fn new(like: &VideoInfo, size: Size) -> Result<Self> {
        Self::of_format(Depth::of(like).format(like.has_alpha()), like, size)
    }

    /// A frame of luma alone.
    ///
    /// # Errors
    /// As [`Work::new`].
    pub fn grey(like: &VideoInfo, size: Size) -> Result<Self> {
        Self::of_format(Depth::of(like).grey(), like, size)
    }

    fn of_format(format: VideoFormat, like: &VideoInfo, size: Size) -> Result<Self> {
        // A converter takes two formats of the same frame rate only.
        let info = VideoInfo::builder(format, size.0 as u32, size.1 as u32).fps(like.fps()).build()?;
        let buffer = gst::Buffer::with_size(info.size())?;
        let frame = VideoFrame::from_buffer_writable(buffer, &info).map_err(|_| anyhow!("no memory for {size:?}"))?;
        Ok(Self { frame })
    }

    /// Its format and size.
    pub fn info(&self) -> &VideoInfo {
        self.frame.info()
    }

    fn shape(&self) -> Shape {
        let info = self.frame.info();
        let white = ((1u32 << info.comp_depth(0)) - 1) as u16;
        Shape { width: info.width() as usize, height: info.height() as usize, white }
    }

    /// Width and height.
    pub fn size(&self) -> Size {
        (self.shape().width, self.shape().height)
    }

    /// Which planes are red, green and blue.
    fn channels(&self) -> [usize; 3] {
        if self.frame.info().n_components() < 3 { [0; 3] } else { [2, 0, 1] }
    }

    /// In samples.
    fn strides<S>(&self) -> [usize; 3] {
        let strides = self.frame.plane_stride();
        self.channels().map(|plane| strides[plane] as usize / size_of::<S>())
    }

    /// Its red, green and blue planes; for a grey frame they are the same.
    ///
    /// # Errors
    /// `S` is not the sample type of its depth.
    pub fn image<S: Plane>(&self) -> Result<Image<'_, S>> {
        let planes = self.frame.planes_data();
        let [r, g, b] = self.channels().map(|plane| planes[plane]);
        let image = Image::new([samples(r)?, samples(g)?, samples(b)?], self.strides::<S>(), self.shape())?;
        match self.frame.info().has_alpha() {
            true => image.with_alpha(samples(planes[3])?, self.alpha_stride::<S>()),
            false => Ok(image),
        }
    }

    fn alpha_stride<S>(&self) -> usize {
        self.frame.plane_stride()[3] as usize / size_of::<S>()
    }

    /// Sets the colours of its invisible pixels to mid-grey, before it is scaled.
    ///
    /// # Errors
    /// `S` is not the sample type of its depth.
    pub fn hide_invisible<S: Plane>(&mut self) -> Result<()> {
        let (strides, shape, stride) = (self.strides::<S>(), self.shape(), self.alpha_stride::<S>());
        let [g, b, r, alpha] = self.frame.planes_data_mut();
        let mut image = ImageMut::<S>::new([samples_mut(r)?, samples_mut(g)?, samples_mut(b)?], strides, shape)?;
        image.hide_invisible(samples(alpha)?, stride)
    }

    /// The same for a frame of luma alone, where `coloured`, of the same size, is invisible.
    ///
    /// # Errors
    /// As [`Work::hide_invisible`].
    pub fn hide_where_invisible<S: Plane>(&mut self, coloured: &Work) -> Result<()> {
        let (stride, shape) = (self.strides::<S>()[0], self.shape());
        let image = coloured.image::<S>()?;
        let [luma, ..] = self.frame.planes_data_mut();
        let grey = S::from_f32(0.5 * f32::from(shape.white));
        for (y, row) in samples_mut::<S>(luma)?.chunks_mut(stride).take(shape.height).enumerate() {
            let Some(alpha) = image.alpha_row(y) else { return Ok(()) };
            row.iter_mut().zip(alpha).filter(|(_, alpha)| **alpha == S::default()).for_each(|(luma, _)| *luma = grey);
        }
        Ok(())
    }

    /// As [`Work::image`], writable.
    ///
    /// # Errors
    /// `S` is not the sample type of its depth.
    pub fn image_mut<S: Plane>(&mut self) -> Result<ImageMut<'_, S>> {
        let (strides, shape) = (self.strides::<S>(), self.shape());
        let [g, b, r, _] = self.frame.planes_data_mut();
        ImageMut::new([samples_mut(r)?, samples_mut(g)?, samples_mut(b)?], strides, shape)
    }

    /// Takes the alpha of another frame of the same size, if both have one.
    pub fn copy_alpha(&mut self, from: &Work) {
        if self.frame.info().has_alpha() && from.frame.info().has_alpha() {
            let source = from.frame.planes_data();
            let [_, _, _, alpha] = self.frame.planes_data_mut();
            let length = alpha.len().min(source[3].len());
            alpha[..length].copy_from_slice(&source[3][..length]);
        }
    }
}

fn samples<S: Plane>(bytes: &[u8]) -> Result<&[S]> {
    bytemuck::try_cast_slice(bytes).map_err(|error| anyhow!("plane of {} bytes: {error}", bytes.len()))
}

fn samples_mut<S: Plane>(bytes: &mut [u8]) -> Result<&mut [S]> {
    bytemuck::try_cast_slice_mut(bytes).map_err(|error| anyhow!("plane: {error}"))
}

/// A converter between two formats and sizes.
pub struct Converter(VideoConverter);

impl Converter {
    /// A converter that uses up to `threads` threads; more than four have little to do.
    ///
    /// # Errors
    /// A pair of formats that GStreamer cannot convert.
    pub fn new(from: &VideoInfo, to: &VideoInfo, threads: usize) -> Result<Self> {
        let mut config = gst_video::VideoConverterConfig::new();
        config.set_threads(threads.clamp(1, 4) as u32);
        let converter = VideoConverter::new(from, to, Some(config));
        converter
            .map(Self)
            .with_context(|| format!("GStreamer cannot convert {} to {}", from.format().to_str(), to.format().to_str()))
    }

    /// A pad's frame to ours.
    pub fn enter(&self, from: &FrameIn, to: &mut Work) {
        self.0.frame_ref(from, &mut to.frame.as_mut_video_frame_ref());
    }

    /// Ours to a pad's frame.
    pub fn leave(&self, from: &Work, to: &mut FrameOut) {
        self.0.frame_ref(&from.frame.as_video_frame_ref(), to);
    }

    /// Ours to ours: another size.
    pub fn resize(&self, from: &Work, to: &mut Work) {
        self.0.frame_ref(&from.frame.as_video_frame_ref(), &mut to.frame.as_mut_video_frame_ref());
    }
}

/// The luma plane of a frame, without a copy, if its format has one of bytes and no alpha.
pub fn light_plane<'a>(frame: &'a FrameIn) -> Option<Image<'a, u8>> {
    let (info, format) = (frame.info(), frame.format_info());
    let plain = (format.is_yuv() || format.is_gray()) && !format.is_complex() && !format.is_tiled();
    let plain = plain && !info.has_alpha();
    if !plain || info.comp_depth(0) != 8 || info.comp_pstride(0) != 1 {
        return None;
    }
    let (plane, stride) = (frame.comp_data(0).ok()?, usize::try_from(frame.comp_stride(0)).ok()?);
    let shape = Shape { width: info.width() as usize, height: info.height() as usize, white: 255 };
    Image::new([plane; 3], [stride; 3], shape).ok()
}
