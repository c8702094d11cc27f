//! The command line. Secrets never come as arguments: everybody on the machine can read those.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::duration::parse_duration;

#[derive(Debug, Parser)]
#[command(
    name = "portcullis",
    version,
    about = "A reverse-proxy authentication gateway",
    arg_required_else_help = true
)]
pub struct Arguments {
    /// The configuration file.
    #[arg(long, global = true, value_name = "FILE", default_value = "config/portcullis.yaml")]
    pub config: PathBuf,
    /// How results are printed.
    #[arg(long, global = true, value_enum, default_value_t = OutputFormat::Text)]
    pub output: OutputFormat,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start at once, on the embedded database, with an administrator and an API key made for you.
    Quickstart(Quickstart),
    /// Serve as configured, until SIGTERM or SIGINT.
    Serve,
    /// Check the configuration: exit code 0 when it is valid, 1 when it is not.
    Check,
    /// Show which route a request would take, what that demands, and what the upstream would receive.
    Explain {
        /// For example GET.
        method: String,
        /// A path such as /orders/7?x=1, or a whole URL.
        url: String,
    },
    /// Make the database and the master key where there are none, and bring the schema up to date.
    Migrate,
    /// Users: create, list, disable, enable, set-password, reset-2fa.
    #[command(subcommand)]
    Users(Users),
    /// API keys: create, list, revoke.
    #[command(subcommand)]
    Keys(Keys),
    /// Signing keys: list, rotate.
    #[command(subcommand)]
    SigningKeys(SigningKeys),
    /// What is sealed under the master key: rotate.
    #[command(subcommand)]
    Secrets(Secrets),
}

#[derive(Debug, Args)]
pub struct Quickstart {
    /// The backend to protect. Without it, a small echo backend is started.
    #[arg(long, value_name = "URL")]
    pub upstream: Option<String>,
    /// Where requests are taken.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// Where /livez, /readyz and /metrics are served.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9180")]
    pub ops: SocketAddr,
    /// Where the database and the master key are kept.
    #[arg(long, value_name = "DIR", default_value = "data")]
    pub data: PathBuf,
}

#[derive(Debug, Subcommand)]
pub enum Users {
    /// Create a user. The password comes from standard input, or from a prompt.
    Create {
        #[arg(long)]
        username: String,
        #[arg(long)]
        email: Option<String>,
        /// May administer: the user's tokens carry the scopes of the `admin` role.
        #[arg(long)]
        admin: bool,
        /// A scope of the user's tokens; may be given more than once.
        #[arg(long = "scope", value_name = "SCOPE")]
        scopes: Vec<String>,
        /// Read the password from the first line of standard input.
        #[arg(long)]
        password_stdin: bool,
    },
    /// List all users.
    List,
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
}

#[derive(Debug, Subcommand)]
pub enum Keys {
    /// Create a key and show it, once.
    Create {
        /// What the key is for, in a few words.
        #[arg(long)]
        name: String,
        /// Whom the key acts as: `user:<name or id>`, or the name of a service. Without it, a service of the key's name.
        #[arg(long)]
        owner: Option<String>,
        /// A scope of the key; may be given more than once.
        #[arg(long = "scope", value_name = "SCOPE")]
        scopes: Vec<String>,
        /// How long the key works, for example 90d. Without it, until it is revoked.
        #[arg(long, value_name = "TIME", value_parser = parse_duration)]
        expires_in: Option<Duration>,
    },
    /// List all keys.
    List,
    /// Revoke a key, for good.
    Revoke {
        /// The key's id or visible prefix.
        key: String,
        /// Why, for whoever looks later.
        #[arg(long, default_value = "revoked on the command line")]
        reason: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum SigningKeys {
    /// List all signing keys, without their private parts.
    List,
    /// Make new keys for tokens and assertions. The present ones verify on until the last token they signed has expired.
    Rotate,
}

#[derive(Debug, Subcommand)]
pub enum Secrets {
    /// Seal all signing keys and second factors anew under the present master key. Those that are sealed under another one
    /// are opened with the keys under secrets.previous_master_keys. May be repeated, and beside running gateways.
    Rotate,
}
