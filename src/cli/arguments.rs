//! The command line. Secrets never come as arguments: everybody on the machine can read those.

mod import;
mod keys;
mod users;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use self::import::{DjangoImport, Import};
pub use self::keys::{KeyChange, KeyLimits, Keys};
pub use self::users::{NewUser, UserChange, Users};
use super::moment::Moment;
use super::store_address::StoreAddress;

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
    Serve(Serve),
    /// Have the running process read its configuration again: exit code 1 when it refuses it, and goes on with the one before.
    Reload,
    /// Have the running process start its successor, such as a new version, and finish what it has under way: exit code 1
    /// when the successor does not start, and the process goes on.
    Upgrade(Upgrade),
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
    Migrate {
        #[command(subcommand)]
        command: Option<Migrate>,
    },
    /// The database as a whole: copy.
    #[command(subcommand)]
    Store(Store),
    /// Users: create, list, show, change, disable, enable, set-password, reset-2fa, sessions, end-sessions, unlock, delete.
    #[command(subcommand)]
    Users(Users),
    /// API keys: create, list, show, change, rotate, revoke.
    #[command(subcommand)]
    Keys(Keys),
    /// What was done, by whom, to whom: list.
    #[command(subcommand)]
    Audit(Audit),
    /// Who is kept waiting for too many guesses: list, clear.
    #[command(subcommand)]
    Lockouts(Lockouts),
    /// Signing keys: list, rotate.
    #[command(subcommand)]
    SigningKeys(SigningKeys),
    /// Take over another installation: django.
    #[command(subcommand)]
    Import(Import),
    /// What is sealed under the master key: rotate.
    #[command(subcommand)]
    Secrets(Secrets),
}

#[derive(Clone, Copy, Debug, Subcommand)]
pub enum Migrate {
    /// Do it. This is what `migrate` alone does, too.
    Up,
    /// Show the versions of the schema, and which of them the database has. Changes nothing.
    Status,
}

/// A store is named as `config` (storage.url of the configuration file), `env:NAME` (the URL stands in an environment
/// variable), `file:PATH` (in a file), or by a URL without a password: everybody on the machine can read a command line.
#[derive(Debug, Subcommand)]
pub enum Store {
    /// Copy everything from one database into another, SQLite or PostgreSQL, and verify it.
    ///
    /// Stop the gateways first: what they write meanwhile is not copied. The target is brought to the present schema, and is
    /// refused when it holds other data. It is changed as a whole or not at all. A second run verifies that both hold the
    /// same, and copies what is missing; it never overwrites. The master key is not part of a database: the new one needs
    /// the same.
    Copy {
        /// `config`, `env:NAME`, `file:PATH`, or a URL without a password, for example sqlite://data/portcullis.db.
        #[arg(long, value_name = "STORE")]
        from: StoreAddress,
        /// Likewise. A file is made when it is missing; a PostgreSQL database must be there, and empty.
        #[arg(long, value_name = "STORE")]
        to: StoreAddress,
    },
}

#[derive(Debug, Args)]
pub struct Serve {
    /// Take the place of the process that starts this one.
    #[arg(long, hide = true)]
    pub take_over: bool,
}

#[derive(Debug, Args)]
pub struct Upgrade {
    /// The program to start. Without it, what stands where the running one was started from.
    #[arg(long, value_name = "FILE")]
    pub binary: Option<PathBuf>,
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
pub enum Audit {
    /// List what was done and what was refused, the newest first.
    List(AuditFilter),
}

/// All that is given must fit.
#[derive(Debug, Args)]
pub struct AuditFilter {
    /// The name or id of a user who acted or is concerned.
    #[arg(long)]
    pub user: Option<String>,
    /// Who acted: `user:<id>`, `service:<name>`, `anonymous`, `operator` or `gateway`.
    #[arg(long)]
    pub actor: Option<String>,
    /// What was done, for example `sign_in` or `key_rotate`.
    #[arg(long)]
    pub action: Option<String>,
    /// Only what was refused.
    #[arg(long, conflicts_with = "done")]
    pub refused: bool,
    /// Only what was done.
    #[arg(long)]
    pub done: bool,
    /// What else is concerned: `key:<id>` or `session:<id>`.
    #[arg(long)]
    pub object: Option<String>,
    /// The request that it came of.
    #[arg(long, value_name = "ID")]
    pub request: Option<String>,
    /// Not before this time: how long ago, such as 1h, or RFC 3339.
    #[arg(long, value_name = "TIME", value_parser = Moment::parse)]
    pub since: Option<Moment>,
    /// Before this time, likewise.
    #[arg(long, value_name = "TIME", value_parser = Moment::parse)]
    pub until: Option<Moment>,
    /// At most so many.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub limit: u32,
}

#[derive(Debug, Subcommand)]
pub enum Lockouts {
    /// List who is kept waiting for too many guesses, the longest wait first.
    List,
    /// Forget what was counted against one user or network.
    Clear {
        /// As the list names it, for example net:203.0.113.7.
        subject: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum SigningKeys {
    /// List all signing keys, without their private parts.
    List,
    /// Make new keys for tokens and assertions, which sign as soon as all gateways know them. The present ones verify on
    /// until the last token they signed has expired.
    Rotate {
        /// Do not wait for the other gateways, as when a key has leaked; they refuse the new tokens for a moment.
        #[arg(long)]
        at_once: bool,
    },
}

#[derive(Debug, Subcommand)]
pub enum Secrets {
    /// Seal all signing keys and second factors anew under the present master key. Those that are sealed under another one
    /// are opened with the keys under secrets.previous_master_keys. May be repeated, and beside running gateways.
    Rotate,
}
