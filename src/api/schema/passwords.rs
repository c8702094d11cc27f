//! Bodies of `password/…`.

use utoipa::ToSchema;

/// The present password and the one to come.
#[derive(ToSchema)]
pub struct PasswordChange {
    #[schema(example = "correct horse battery staple", format = Password, min_length = 1)]
    pub old_password: String,
    #[schema(example = "purple monkey dishwasher", format = Password, min_length = 1)]
    pub new_password: String,
}

#[derive(ToSchema)]
pub struct PasswordChanged {
    #[schema(example = "Password changed successfully")]
    pub message: String,
}

/// Who has forgotten a password.
#[derive(ToSchema)]
pub struct PasswordResetRequest {
    /// The address that the account was given. Upper and lower case are the same in ASCII.
    #[schema(example = "anna@example.com", format = Email, min_length = 1)]
    pub email: String,
}

/// The same for every address.
#[derive(ToSchema)]
pub struct PasswordResetRequested {
    #[schema(example = "If this address belongs to an account, a link to set a new password is sent to it.")]
    pub detail: String,
}

/// The token of a mailed link, and the password to come.
#[derive(ToSchema)]
pub struct PasswordResetConfirmation {
    /// What stands in the link in the place of `{token}`.
    #[schema(example = "Zk1v0Qm3nq8y5b7mJm1oY2t9cX4pW6sR3uH8dL0aEfI", min_length = 1)]
    pub token: String,
    #[schema(example = "purple monkey dishwasher", format = Password, min_length = 1)]
    pub new_password: String,
}

#[derive(ToSchema)]
pub struct PasswordReset {
    #[schema(example = "Password reset successfully")]
    pub message: String,
}
