//! A QR code (ISO/IEC 18004) of a provisioning URI, for a phone's camera: as SVG, which existing clients are given, and as
//! PNG, which any `<img>` shows. Either holds the secret of a second factor, and is as secret as that.

use std::iter::repeat_n;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use qrcode::render::svg;
use qrcode::{Color, EcLevel};

use crate::domain::secret::Secret;

/// The light margin that a reader needs, in modules (ISO/IEC 18004 6.3.8).
const QUIET_ZONE: usize = 4;
/// The least width and height in pixels, so that a camera tells the modules apart.
const LEAST_SIDE: u16 = 250;

/// A QR code that is not drawn yet.
pub struct QrCode(qrcode::QrCode);

#[derive(Debug, thiserror::Error)]
pub enum NoQrCode {
    #[error("the text is longer than a QR code can hold")]
    TooLong,
    #[error("the picture could not be written: {0}")]
    Picture(#[from] png::EncodingError),
}

impl QrCode {
    /// # Errors
    /// [`NoQrCode::TooLong`] from about 2,900 bytes on. What [`crate::domain::otpauth`] writes for a new device fits, with
    /// any user name that may be stored and any issuer that may be configured.
    pub fn of(uri: &Secret<String>) -> Result<Self, NoQrCode> {
        // Fifteen parts in a hundred may be smudged; seven, where the text leaves no room for more.
        [EcLevel::M, EcLevel::L]
            .into_iter()
            .find_map(|level| qrcode::QrCode::with_error_correction_level(uri.expose(), level).ok())
            .map(Self)
            .ok_or(NoQrCode::TooLong)
    }

    /// A whole SVG document that refers to nothing outside of it.
    pub fn svg(&self) -> Secret<String> {
        Secret::new(self.0.render::<svg::Color<'_>>().min_dimensions(LEAST_SIDE.into(), LEAST_SIDE.into()).build())
    }

    /// A PNG of one bit a pixel, as a `data:` URI (RFC 2397).
    pub fn png_data_uri(&self) -> Result<Secret<String>, NoQrCode> {
        let png = Secret::new(self.png()?);
        let mut uri = "data:image/png;base64,".to_owned();
        STANDARD.encode_string(png.expose(), &mut uri);
        Ok(Secret::new(uri))
    }

    fn png(&self) -> Result<Vec<u8>, png::EncodingError> {
        let modules = self.0.width() + 2 * QUIET_ZONE;
        let scale = usize::from(LEAST_SIDE).div_ceil(modules);
        let side = u32::try_from(modules * scale).unwrap_or(u32::MAX);
        let mut png = Vec::new();
        let mut encoder = png::Encoder::new(&mut png, side, side);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.set_depth(png::BitDepth::One);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&self.pixels(scale))?;
        writer.finish()?;
        Ok(png)
    }

    /// Row by row, a bit for each pixel, light ones set; each row fills its last byte.
    fn pixels(&self, scale: usize) -> Vec<u8> {
        let (colors, width) = (self.0.to_colors(), self.0.width());
        let margin = vec![Color::Light; width];
        let margin = repeat_n(margin.as_slice(), QUIET_ZONE);
        let rows = margin.clone().chain(colors.chunks(width)).chain(margin);
        rows.flat_map(|row| repeat_n(row_of_pixels(row, scale), scale)).flatten().collect()
    }
}

fn row_of_pixels(modules: &[Color], scale: usize) -> Vec<u8> {
    let margin = repeat_n(Color::Light, QUIET_ZONE);
    let modules = margin.clone().chain(modules.iter().copied()).chain(margin);
    let light: Vec<bool> = modules.flat_map(|module| repeat_n(module == Color::Light, scale)).collect();
    let byte = |eight: &[bool]| (0..8).fold(0, |byte, at| byte << 1 | u8::from(eight.get(at) == Some(&true)));
    light.chunks(8).map(byte).collect()
}
