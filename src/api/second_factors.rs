//! `2fa/…`: the caller's own second factor, and the recovery codes beside it.

use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::answer;
use super::body;
use super::context::{RequestContext, Services};
use super::fields::Fields;
use super::qr_code::QrCode;
use super::refusal::{Answer, Refusal, invalid, refuse_as, refuse_change, refuse_throttled};
use super::{factor_fields, schema};
use crate::domain::denial::Denial;
use crate::domain::digest::hex;
use crate::domain::otpauth;
use crate::domain::principal::Subject;
use crate::domain::second_factor::SecondFactor;
use crate::domain::secret::Secret;
use crate::domain::session::Kept;
use crate::domain::user::UserId;
use crate::identity::factor_confirmation::NotShown;
use crate::identity::owner_check::{BothFactors, NotOwner};
use crate::identity::password_confirmation::NotConfirmed;
use crate::identity::second_factors::{ConfirmError, Enrolment, SetUpError};

/// Second factor
///
/// The caller's authenticators, and how many recovery codes are left.
#[utoipa::path(
    get, path = "2fa/", operation_id = "show_second_factor", tag = "Second factor",
    responses((status = 200, description = "What there is", body = schema::second_factors::SecondFactors)),
)]
pub async fn show(State(services): State<Arc<Services>>, Extension(context): Extension<RequestContext>) -> Answer {
    let caller = caller(&context)?;
    let overview = services.second_factors.overview(caller.id).await.map_err(|_| Denial::Unavailable)?;
    let body = json!({
        "enabled": overview.is_enabled(),
        "devices": overview.devices.iter().map(to_json).collect::<Vec<_>>(),
        "recovery_codes_left": overview.recovery_codes_left,
    });
    Ok(answer::secret_json(StatusCode::OK, &body))
}

fn to_json(device: &SecondFactor) -> Value {
    json!({
        "id": device.id.as_str(),
        "name": device.name,
        "confirmed": device.is_confirmed(),
        "created_at": device.created_at.rfc3339(),
        "last_used_at": device.last_used_at.map(|at| at.rfc3339()),
    })
}

/// Set up second factor
///
/// Makes a new authenticator and shows its secret, once. It counts after `2fa/totp/verify/`.
///
/// One that was set up before and not confirmed is gone. While there is a confirmed one, another is set up only with the
/// password and a current code, as `otp` or `recovery_code`; the first one takes no fields, and no body is looked at.
#[utoipa::path(
    post, path = "2fa/totp/setup/", operation_id = "set_up_second_factor", tag = "Second factor",
    request_body = schema::second_factors::EnrolmentProof,
    responses(
        (status = 200, description = "What the authenticator has to know", body = schema::second_factors::Enrolment),
        (status = 400, description = "What is asked for beside a confirmed device is missing or wrong",
            body = schema::refusals::ChangeRefused, example = json!({"password": ["This field is required."]})),
    ),
)]
pub async fn set_up(
    State(services): State<Arc<Services>>,
    Extension(context): Extension<RequestContext>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Answer {
    let caller = caller(&context)?;
    let overview = services.second_factors.overview(caller.id).await.map_err(|_| Denial::Unavailable)?;
    let shown = if overview.is_enabled() { Some(both_factors(&services, &headers, bytes).await?) } else { None };
    let by = context.initiator(&headers);
    enrolled(&services.second_factors.set_up(caller.id, caller.username, shown, &by).await?)
}

impl From<SetUpError> for Refusal {
    fn from(error: SetUpError) -> Self {
        match error {
            SetUpError::ProofMissing => {
                let required = json!(["This field is required."]);
                invalid(json!({ "password": required, "otp": required }))
            }
            SetUpError::NotOwner(why) => why.into(),
            SetUpError::Sealing => Denial::Internal.into(),
        }
    }
}

fn enrolled(enrolment: &Enrolment) -> Answer {
    let pictures = QrCode::of(&enrolment.uri).and_then(|code| Ok((code.svg(), code.png_data_uri()?)));
    let (svg, png) = pictures.map_err(|_| Denial::Internal)?;
    let secret = enrolment.secret.expose();
    let body = json!({
        "secret": hex(secret),
        "qr_url": STANDARD.encode(svg.expose()),
        "provisioning_uri": enrolment.uri.expose(),
        "secret_base32": otpauth::base32(&enrolment.secret).expose(),
        "qr_png": png.expose(),
    });
    Ok(answer::secret_json(StatusCode::OK, &body))
}

/// Verify second factor
///
/// Takes the first code of the newest authenticator that is not confirmed yet. From then on sign-ins ask for it.
///
/// With the first authenticator come ten recovery codes, shown once; with a further one, those that there are go on. The user's
/// other sessions end. This one goes on as it was: for what takes two factors, sign in again.
#[utoipa::path(
    post, path = "2fa/totp/verify/", operation_id = "verify_second_factor", tag = "Second factor",
    request_body = schema::second_factors::FirstCode,
    responses((status = 200, description = "It counts from now on", body = schema::second_factors::Enabled)),
)]
pub async fn verify(
    State(services): State<Arc<Services>>,
    Extension(context): Extension<RequestContext>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Answer {
    let caller = caller(&context)?;
    let mut fields = body::read(&headers, bytes).await?;
    let token = fields.code("token", services.code_form);
    check_length(&mut fields, &token);
    fields.finish().map_err(invalid)?;
    let by = context.initiator(&headers);
    let codes = services.second_factors.confirm(caller.id, &token, &caller.kept, &by).await?;
    let mut body = json!({ "message": "2FA enabled successfully" });
    if let (Some(codes), Some(map)) = (&codes, body.as_object_mut()) {
        map.insert("recovery_codes".to_owned(), texts(codes));
    }
    Ok(answer::secret_json(StatusCode::OK, &body))
}

impl From<ConfirmError> for Refusal {
    fn from(error: ConfirmError) -> Self {
        match error {
            ConfirmError::NothingToConfirm => {
                invalid(json!({ "non_field_errors": ["No unconfirmed TOTP device found."] }))
            }
            ConfirmError::NotShown(NotShown::Wrong) => {
                let body = json!({ "non_field_errors": ["Invalid token."] });
                refuse_as(StatusCode::BAD_REQUEST, Denial::SecondFactorWrong, &body).into()
            }
            ConfirmError::NotShown(why) => why.into(),
        }
    }
}

/// What is set up here has six digits.
fn check_length(fields: &mut Fields, token: &Secret<String>) {
    match token.expose().chars().count() {
        // It has another fault.
        0 => {}
        1..6 => fields.fault("token", "Ensure this field has at least 6 characters."),
        6 => {}
        _ => fields.fault("token", "Ensure this field has no more than 6 characters."),
    }
}

/// Disable second factor
///
/// Deletes the caller's authenticators and recovery codes; sign-ins take the password alone from then on.
///
/// It takes the password and a current code, as `otp` or `recovery_code`; under `compatibility: django` the password alone. The
/// user's other sessions end.
#[utoipa::path(
    post, path = "2fa/totp/disable/", operation_id = "disable_second_factor", tag = "Second factor",
    request_body = schema::second_factors::OwnerProof,
    responses(
        (status = 200, description = "There is none any more", body = schema::second_factors::Disabled),
        (status = 400, description = "What was shown is missing or wrong, or there is no second factor",
            body = schema::refusals::ChangeRefused,
            example = json!({"error": "Invalid password", "code": "password_invalid"})),
    ),
)]
pub async fn disable(
    State(services): State<Arc<Services>>,
    Extension(context): Extension<RequestContext>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Answer {
    let caller = caller(&context)?;
    let mut fields = body::read(&headers, bytes).await?;
    // As it is typed, in either profile: this is the one password that the Django stack does not strip.
    let password = fields.unjudged("password");
    let factor = factor_fields::optional(&mut fields, services.code_form);
    fields.finish().map_err(invalid)?;
    let password = password.ok_or_else(|| refuse_change(Denial::PasswordMissing))?;
    let by = context.initiator(&headers);
    services.second_factors.disable(caller.id, BothFactors { password, factor }, &caller.kept, &by).await?;
    Ok(answer::json(StatusCode::OK, &json!({ "message": "2FA disabled successfully" })))
}

/// New recovery codes
///
/// Makes ten new recovery codes, shown once, instead of all that there are.
///
/// It takes the password and a current code, as `otp` or `recovery_code`.
#[utoipa::path(
    post, path = "2fa/recovery-codes/", operation_id = "make_recovery_codes", tag = "Second factor",
    request_body = schema::second_factors::OwnerProof,
    responses(
        (status = 200, description = "The new codes", body = schema::second_factors::RecoveryCodes),
        (status = 400, description = "What was shown is missing or wrong, or there is no second factor",
            body = schema::refusals::ChangeRefused,
            example = json!({"error": "The code is not valid.", "code": "second_factor_invalid"})),
    ),
)]
pub async fn renew_recovery_codes(
    State(services): State<Arc<Services>>,
    Extension(context): Extension<RequestContext>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Answer {
    let caller = caller(&context)?;
    let shown = both_factors(&services, &headers, bytes).await?;
    let codes = services.recovery_codes.renew(caller.id, shown, &context.initiator(&headers)).await?;
    Ok(answer::secret_json(StatusCode::OK, &json!({ "recovery_codes": texts(&codes) })))
}

/// The user who asks, and what of theirs goes on when other sessions end.
struct Caller<'a> {
    id: &'a UserId,
    username: &'a str,
    kept: Kept,
}

fn caller(context: &RequestContext) -> Result<Caller<'_>, Denial> {
    let principal = context.permit.principal().ok_or(Denial::CredentialKindNotAccepted)?;
    match &principal.subject {
        Subject::User { id, username, .. } => Ok(Caller { id, username, kept: principal.kept() }),
        Subject::Service { .. } => Err(Denial::CredentialKindNotAccepted),
    }
}

/// Password and code, both of which must be there.
async fn both_factors(services: &Services, headers: &HeaderMap, bytes: Bytes) -> Result<BothFactors, Refusal> {
    let mut fields = body::read(headers, bytes).await?;
    let password = fields.password("password", services.strips_passwords);
    let factor = factor_fields::required(&mut fields, services.code_form);
    fields.finish().map_err(invalid)?;
    Ok(BothFactors { password, factor })
}

fn texts(codes: &[Secret<String>]) -> Value {
    codes.iter().map(|code| code.expose().as_str()).collect()
}

impl From<NotOwner> for Refusal {
    fn from(why: NotOwner) -> Self {
        match why {
            // No password is as long, so it is a wrong one.
            NotOwner::Password(NotConfirmed::Wrong | NotConfirmed::Unfit(_)) => {
                refuse_change(Denial::PasswordWrong).into()
            }
            NotOwner::Password(NotConfirmed::Inactive) => Denial::UserInactive.into(),
            NotOwner::Password(NotConfirmed::Blocked(wait)) => refuse_throttled(wait).into(),
            NotOwner::Password(NotConfirmed::Busy) => Denial::Busy.into(),
            NotOwner::NotEnabled => refuse_change(Denial::SecondFactorNotEnabled).into(),
            NotOwner::FactorMissing => refuse_change(Denial::SecondFactorMissing).into(),
            NotOwner::Factor(why) => why.into(),
            NotOwner::Password(NotConfirmed::Store(_)) | NotOwner::Store(_) => Denial::Unavailable.into(),
        }
    }
}

impl From<NotShown> for Refusal {
    fn from(why: NotShown) -> Self {
        match why {
            NotShown::Wrong => refuse_change(Denial::SecondFactorWrong).into(),
            NotShown::Blocked(wait) => refuse_throttled(wait).into(),
            NotShown::Crowded => Denial::Busy.into(),
            NotShown::Store(_) => Denial::Unavailable.into(),
        }
    }
}
