//! `keys …`.

use std::time::Duration;

use clap::{Args, Subcommand};
use ipnet::IpNet;

use crate::cli::duration::{parse_duration, parse_overlap};
use crate::domain::key_reach::{MethodName, RouteName};
use crate::domain::key_terms::IdleDays;
use crate::domain::labels::Label;
use crate::domain::network_set::parse_network;
use crate::domain::rate::{Quota, Rate};

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
        #[command(flatten)]
        limits: KeyLimits,
    },
    /// List keys, all of them if nothing is said.
    List {
        /// Only keys with this label.
        #[arg(long, value_name = "NAME=VALUE", value_parser = Label::parse)]
        label: Option<Label>,
    },
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
    #[command(flatten)]
    pub limits: KeyLimits,
    /// Let it be used from everywhere.
    #[arg(long, conflicts_with = "networks")]
    pub any_network: bool,
    /// Let it be used on all routes.
    #[arg(long, conflicts_with = "routes")]
    pub any_route: bool,
    /// Let it be used with all methods.
    #[arg(long, conflicts_with = "methods")]
    pub any_method: bool,
    /// Let it lie unused for as long as it will.
    #[arg(long, conflicts_with = "idle_days")]
    pub never_idle: bool,
    /// Let it be used as fast as it will.
    #[arg(long, conflicts_with = "rate")]
    pub no_rate: bool,
    /// Let it be used as often as it will.
    #[arg(long, conflicts_with = "quota")]
    pub no_quota: bool,
    /// Take all of its labels.
    #[arg(long, conflicts_with = "labels")]
    pub no_labels: bool,
}

/// Of a key that is changed, each takes the place of what there was.
#[derive(Debug, Args)]
pub struct KeyLimits {
    /// A network, or an address, that the key may be used from; may be given more than once.
    #[arg(long = "network", value_name = "CIDR", value_parser = parse_network)]
    pub networks: Vec<IpNet>,
    /// The name of a route that it may be used on; may be given more than once.
    #[arg(long = "route", value_name = "NAME", value_parser = RouteName::parse)]
    pub routes: Vec<RouteName>,
    /// A method that it may be used with, such as GET; may be given more than once.
    #[arg(long = "method", value_name = "METHOD", value_parser = MethodName::parse)]
    pub methods: Vec<MethodName>,
    /// After how many days without use it is refused.
    #[arg(long, value_name = "DAYS", value_parser = parse_idle_days)]
    pub idle_days: Option<IdleDays>,
    /// How fast it may be used, for example 100/minute, or "100/minute burst 20".
    #[arg(long, value_name = "RATE", value_parser = Rate::parse)]
    pub rate: Option<Rate>,
    /// How often it may be used, for example 10000/day or 200000/month.
    #[arg(long, value_name = "QUOTA", value_parser = Quota::parse)]
    pub quota: Option<Quota>,
    /// A label to find it again by; may be given more than once.
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = Label::parse)]
    pub labels: Vec<Label>,
}

fn parse_idle_days(text: &str) -> Result<IdleDays, String> {
    let days = text.parse().ok().and_then(IdleDays::new);
    days.ok_or_else(|| format!("write a number of days, 1 to {}", IdleDays::MOST))
}
