//! The one code in a body that is shown as the second factor: `otp`, or `recovery_code`.

use super::fields::Fields;
use crate::identity::code_check::{CodeForm, Shown};

/// Notes a fault when there is none, or one of each.
pub fn required(fields: &mut Fields, form: CodeForm) -> Option<Shown> {
    let sent = fields.has("otp") || fields.has("recovery_code");
    if !sent {
        fields.fault("otp", "This field is required.");
    }
    optional(fields, form)
}

/// Notes a fault when there is one of each.
pub fn optional(fields: &mut Fields, form: CodeForm) -> Option<Shown> {
    let otp = fields.optional_code("otp", form);
    let recovery_code = fields.optional_secret("recovery_code");
    match (otp, recovery_code) {
        (Some(otp), None) => Some(Shown::Otp(otp)),
        (None, code) => code.map(Shown::RecoveryCode),
        (Some(_), Some(_)) => {
            fields.fault("recovery_code", "Give either otp or recovery_code.");
            None
        }
    }
}
