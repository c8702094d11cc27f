//! Bodies of `2fa/…`.

use utoipa::ToSchema;

/// What the caller has as a second factor.
#[derive(ToSchema)]
pub struct SecondFactors {
    /// Whether a sign-in asks for one: whether there is a confirmed device.
    #[schema(example = true)]
    pub enabled: bool,
    /// The newest first.
    pub devices: Vec<Device>,
    #[schema(example = 10)]
    pub recovery_codes_left: u64,
}

/// An authenticator.
#[derive(ToSchema)]
pub struct Device {
    #[schema(example = "5f0c2b1e-8a57-4f9f-9d0e-3b6f7c1d2e4a")]
    pub id: String,
    #[schema(example = "Default")]
    pub name: String,
    /// Whether it has shown a code, and counts.
    #[schema(example = true)]
    pub confirmed: bool,
    #[schema(example = "2026-01-31T12:00:00.000000Z", format = DateTime)]
    pub created_at: String,
    /// When its last code was accepted.
    #[schema(required, example = "2026-01-31T12:05:00.000000Z", format = DateTime)]
    pub last_used_at: Option<String>,
}

/// For a further device: that the caller is the owner. Nothing of it is asked for with the first one.
#[derive(ToSchema)]
#[schema(example = json!({"password": "correct horse battery staple", "otp": "492039"}))]
pub struct EnrolmentProof {
    #[schema(example = "correct horse battery staple", format = Password, nullable = false)]
    pub password: Option<String>,
    /// The code that a confirmed device shows.
    #[schema(example = "492039", min_length = 1)]
    pub otp: Option<String>,
    /// A recovery code, which then is used up.
    #[schema(example = "abcd-efgh-ijkl-mnop", min_length = 1)]
    pub recovery_code: Option<String>,
}

/// What the authenticator has to know. It is shown once.
#[derive(ToSchema)]
pub struct Enrolment {
    /// In hex.
    #[schema(example = "20e808553d290cb61b9e9c14c32c32cff86cf87c")]
    pub secret: String,
    /// An SVG picture of `provisioning_uri` as a QR code, in base64.
    #[schema(example = "PD94bWwgdmVyc2lvbj0iMS4wIiBzdGFuZGFsb25lPSJ5ZXMiPz4=")]
    pub qr_url: String,
    #[schema(
        example = "otpauth://totp/Portcullis%3Aanna?secret=EDUAQVJ5FEGLMG46TQKMGLBSZ74GZ6D4&algorithm=SHA1&digits=6&period=30&issuer=Portcullis"
    )]
    pub provisioning_uri: String,
    /// The secret as it is typed into an app that cannot scan.
    #[schema(example = "EDUAQVJ5FEGLMG46TQKMGLBSZ74GZ6D4")]
    pub secret_base32: String,
    /// A PNG picture of the same QR code, as a `data:` URI.
    #[schema(example = "data:image/png;base64,iVBORw0KGgo=")]
    pub qr_png: String,
}

/// The first code of a new device.
#[derive(ToSchema)]
pub struct FirstCode {
    #[schema(example = "492039", min_length = 6, max_length = 6)]
    pub token: String,
}

/// The device counts from now on.
#[derive(ToSchema)]
pub struct Enabled {
    #[schema(example = "2FA enabled successfully")]
    pub message: String,
    /// With the first device: codes for when it is lost, each for one use. They are shown once.
    #[schema(example = json!(["abcd-efgh-ijkl-mnop"]), nullable = false)]
    pub recovery_codes: Option<Vec<String>>,
}

/// The password, and one of the two codes.
#[derive(ToSchema)]
#[schema(example = json!({"password": "correct horse battery staple", "otp": "492039"}))]
pub struct OwnerProof {
    #[schema(example = "correct horse battery staple", format = Password, min_length = 1)]
    pub password: String,
    /// The code that the authenticator shows.
    #[schema(example = "492039", min_length = 1)]
    pub otp: Option<String>,
    /// A recovery code, which then is used up.
    #[schema(example = "abcd-efgh-ijkl-mnop", min_length = 1)]
    pub recovery_code: Option<String>,
}

#[derive(ToSchema)]
pub struct Disabled {
    #[schema(example = "2FA disabled successfully")]
    pub message: String,
}

/// A new set. It is shown once.
#[derive(ToSchema)]
pub struct RecoveryCodes {
    #[schema(example = json!(["abcd-efgh-ijkl-mnop", "qrst-uvwx-yz23-4567"]))]
    pub recovery_codes: Vec<String>,
}
