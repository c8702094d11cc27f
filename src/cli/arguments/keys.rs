//! `keys …`.

use std::time::Duration;

use clap::{Args, Subcommand};

use crate::cli::duration::{parse_duration, parse_overlap};

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
    /// Show what is known of a key.
    Show {
        /// The key's id or visible prefix.
        key: String,
    },
    /// Change what is given about a key, and nothing else. The key itself stays the same.
    Change(KeyChange),
    /// Make a key in the place of another and show it, once. It lives for as long as the old one was made for.
    Rotate {
        /// The key's id or visible prefix.
        key: String,
        /// How long the old key works beside the new one: up to 30d, or 0.
        #[arg(long, value_name = "TIME", value_parser = parse_overlap, default_value = "1d")]
        overlap: Duration,
    },
    /// Revoke a key, for good.
    Revoke {
        /// The key's id or visible prefix.
        key: String,
        /// Why, for whoever looks later.
        #[arg(long, default_value = "revoked on the command line")]
        reason: String,
    },
}

#[derive(Debug, Args)]
pub struct KeyChange {
    /// The key's id or visible prefix.
    pub key: String,
    /// What the key is for, in a few words.
    #[arg(long)]
    pub name: Option<String>,
    /// The key's scopes, in place of those there were; may be given more than once.
    #[arg(long = "scope", value_name = "SCOPE", conflicts_with = "no_scopes")]
    pub scopes: Vec<String>,
    /// Take all of the key's scopes.
    #[arg(long)]
    pub no_scopes: bool,
    /// How long the key works from now on, for example 90d.
    #[arg(long, value_name = "TIME", value_parser = parse_duration, conflicts_with = "never_expires")]
    pub expires_in: Option<Duration>,
    /// Let the key work until it is revoked.
    #[arg(long)]
    pub never_expires: bool,
}
