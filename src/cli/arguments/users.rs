//! `users …`.

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub enum Users {
    /// Create a user. The password comes from standard input, or from a prompt.
    Create(NewUser),
    /// List all users.
    List,
    /// Show a user.
    Show {
        /// The user's name or id.
        user: String,
    },
    /// Change what is given about a user, and nothing else.
    Change(UserChange),
    /// Switch a user off: sessions end, tokens and keys stop working at once.
    Disable {
        /// The user's name or id.
        user: String,
    },
    /// Switch a user on again. Ended sessions stay ended.
    Enable {
        /// The user's name or id.
        user: String,
    },
    /// Set a user's password and end the user's sessions.
    SetPassword {
        /// The user's name or id.
        user: String,
        /// Read the password from the first line of standard input.
        #[arg(long)]
        password_stdin: bool,
    },
    /// Take a user's second factor and recovery codes away, and end the user's sessions.
    #[command(name = "reset-2fa")]
    ResetSecondFactor {
        /// The user's name or id.
        user: String,
    },
    /// List where a user is signed in.
    Sessions {
        /// The user's name or id.
        user: String,
    },
    /// End all of a user's sessions: their tokens stop working at once.
    EndSessions {
        /// The user's name or id.
        user: String,
    },
    /// Forget failed guesses at a user's password and codes, so that the user can go on at once.
    Unlock {
        /// The user's name or id.
        user: String,
    },
    /// Delete a user and all that is the user's: sessions, keys, second factors. The audit keeps what it tells.
    Delete {
        /// The user's name or id.
        user: String,
    },
}

#[derive(Debug, Args)]
pub struct NewUser {
    #[arg(long)]
    pub username: String,
    #[arg(long)]
    pub email: Option<String>,
    #[arg(long, default_value = "", hide_default_value = true)]
    pub first_name: String,
    #[arg(long, default_value = "", hide_default_value = true)]
    pub last_name: String,
    /// May administer: the user's tokens carry the scopes of the `admin` role.
    #[arg(long)]
    pub admin: bool,
    /// Another role; may be given more than once.
    #[arg(long = "role", value_name = "ROLE")]
    pub roles: Vec<String>,
    /// A scope of the user's tokens; may be given more than once.
    #[arg(long = "scope", value_name = "SCOPE")]
    pub scopes: Vec<String>,
    /// Read the password from the first line of standard input.
    #[arg(long)]
    pub password_stdin: bool,
    /// Set no password: the user sets one, from a link that `password/reset/` mails.
    #[arg(long, conflicts_with = "password_stdin")]
    pub no_password: bool,
}

#[derive(Debug, Args)]
pub struct UserChange {
    /// The user's name or id.
    pub user: String,
    /// Another name.
    #[arg(long)]
    pub username: Option<String>,
    /// Another address; empty for none.
    #[arg(long)]
    pub email: Option<String>,
    #[arg(long)]
    pub first_name: Option<String>,
    #[arg(long)]
    pub last_name: Option<String>,
    /// Give the user the role `admin`.
    #[arg(long, conflicts_with = "no_admin")]
    pub admin: bool,
    /// Take the role `admin` from the user.
    #[arg(long)]
    pub no_admin: bool,
    /// The user's roles beside `admin`, in place of those there were; may be given more than once.
    #[arg(long = "role", value_name = "ROLE", conflicts_with = "no_roles")]
    pub roles: Vec<String>,
    /// Take all roles but `admin` from the user.
    #[arg(long)]
    pub no_roles: bool,
    /// The user's own scopes, in place of those there were; may be given more than once.
    #[arg(long = "scope", value_name = "SCOPE", conflicts_with = "no_scopes")]
    pub scopes: Vec<String>,
    /// Take all of the user's own scopes.
    #[arg(long)]
    pub no_scopes: bool,
}
