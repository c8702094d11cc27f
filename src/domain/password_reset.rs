//! A link that was mailed to somebody who has forgotten the password. One at a time for each user: a newer one, a new
//! password, and its use make it void.

use super::clock::Timestamp;
use super::digest::Digest;
use super::secret::Secret;
use super::user::UserId;

/// Base64url of 256 bits, without padding, as [`super::random::token`] makes it.
const TOKEN_LENGTH: usize = 43;

/// What somebody shows as the token of a link, in the form that ours have.
#[derive(Debug)]
pub struct ResetToken(Secret<String>);

impl ResetToken {
    /// `None` for what was certainly never mailed.
    pub fn parse(token: Secret<String>) -> Option<Self> {
        let text = token.expose();
        let base64url = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        (text.len() == TOKEN_LENGTH && text.bytes().all(base64url)).then_some(())?;
        Some(Self(token))
    }

    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

/// As stored; the link's token itself is in the mail and nowhere else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasswordReset {
    pub digest: Digest,
    pub user_id: UserId,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_not_the_form_of_our_tokens_is_none() {
        let parse = |text: &str| ResetToken::parse(Secret::new(text.to_owned()));
        let token = format!("{}-_9", "Zz09-_aB".repeat(5));
        assert_eq!(parse(&token).unwrap().expose(), token);
        let short = "x".repeat(42);
        for text in
            ["", "x", &short, &format!("{short}="), &format!("{short}+"), &format!("{short}/"), &format!("{short} ")]
        {
            assert!(parse(text).is_none(), "{text}");
        }
        assert!(parse(&format!("{token}x")).is_none());
        assert!(parse(&format!("{}\u{e9}", "x".repeat(41))).is_none(), "43 bytes, and no base64url");
    }
}
