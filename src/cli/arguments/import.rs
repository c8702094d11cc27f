//! `import …`.

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub enum Import {
    /// Take over the users, API keys, second factors and ended tokens of a Django installation. May be repeated.
    Django(DjangoImport),
}

#[derive(Debug, Args)]
pub struct DjangoImport {
    /// Where they are: `sqlite:///path/db.sqlite3`, `postgres://…`, or a file that `manage.py dumpdata` has written.
    /// `env:NAME` takes that from the environment, for a URL with a password.
    #[arg(long, value_name = "SOURCE")]
    pub from: String,
    /// Count and report, and change nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Overwrite also what was changed here since it was last taken over.
    #[arg(long)]
    pub overwrite: bool,
    /// Take over passwords and keys also in formats that Django itself refuses by now: SHA-1, and MD5 without salt.
    #[arg(long)]
    pub accept_weak: bool,
    /// The table of the users, where it is a custom one.
    #[arg(long, value_name = "TABLE", default_value = "auth_user")]
    pub user_table: String,
    /// A column of that table that has another name, for example `username=email`; may be given more than once.
    #[arg(long = "user-column", value_name = "OURS=THEIRS")]
    pub user_columns: Vec<String>,
    /// A scope for all API keys that are taken over; may be given more than once.
    #[arg(long = "key-scope", value_name = "SCOPE")]
    pub key_scopes: Vec<String>,
}
