//! Taking over the users, keys, devices and tokens of a Django installation.
//!
//! ```text
//! auth_user                    -> users: their ids stay, so that whatever refers to them still means the same people
//! rest_framework_api_key_*     -> API keys, by their hashes as they are
//! otp_totp_*, otp_static_*     -> second factors and recovery codes
//! token_blacklist_*            -> sessions that are over, each in the place of a token that must stay dead
//! ```
//!
//! Everything is one transaction; a trial run is one that is rolled back. A row that cannot be taken over is reported and
//! keeps nothing else from being. What was taken over is remembered with a digest of what was written, so that the next
//! run tells what has changed there from what has changed here, and leaves the latter alone unless it is told otherwise.

mod api_keys;
mod ended_tokens;
mod merging;
mod recovery_codes;
pub mod report;
mod run;
mod second_factors;
mod users;

use std::collections::BTreeMap;
use std::sync::Arc;

use self::report::Report;
use self::run::Run;
use super::auditor::Auditor;
use crate::crypto::master_keys::MasterKeys;
use crate::domain::audit::{AuditAction, Initiator};
use crate::domain::change::Change;
use crate::domain::clock::Clock;
use crate::domain::random::Random;
use crate::domain::scope::ScopeSet;
use crate::storage::StoreError;
use crate::storage::imports::Imports;
use crate::storage::installation::{Installation, InstallationError};

#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error("{0}")]
    Installation(#[from] InstallationError),
    #[error("there is no table {0} in it: name the table of the users with --user-table")]
    NoUsers(String),
    #[error("nothing was taken over: {0}")]
    Store(#[from] StoreError),
    #[error("nothing was taken over: a second factor could not be sealed")]
    Sealing,
}

/// Where the users are, and what their columns are called there.
#[derive(Clone, Debug)]
pub struct UserTable {
    pub name: String,
    columns: BTreeMap<&'static str, String>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a column is written as OURS=THEIRS, where OURS is one of {}", UserTable::COLUMNS.join(", "))]
pub struct UnknownColumn;

impl UserTable {
    /// As Django's own user model calls them. The first is the primary key.
    pub const COLUMNS: [&'static str; 10] = [
        "id",
        "username",
        "password",
        "email",
        "first_name",
        "last_name",
        "is_active",
        "is_superuser",
        "last_login",
        "date_joined",
    ];

    pub fn named(name: String) -> Self {
        Self { name, columns: Self::COLUMNS.into_iter().map(|column| (column, column.to_owned())).collect() }
    }

    /// Reads `username=email`: the user name is in their column `email`.
    pub fn rename(&mut self, text: &str) -> Result<(), UnknownColumn> {
        let (ours, theirs) = text.split_once('=').ok_or(UnknownColumn)?;
        let ours = Self::COLUMNS.into_iter().find(|column| *column == ours).ok_or(UnknownColumn)?;
        if theirs.is_empty() {
            return Err(UnknownColumn);
        }
        self.columns.insert(ours, theirs.to_owned());
        Ok(())
    }

    fn column(&self, ours: &'static str) -> &str {
        self.columns.get(ours).map_or(ours, String::as_str)
    }
}

#[derive(Clone, Debug)]
pub struct ImportOptions {
    pub users: UserTable,
    /// Of all keys that are taken over: there they have none.
    pub key_scopes: ScopeSet,
    /// Also passwords and keys in formats that Django itself refuses by now.
    pub accept_weak: bool,
    /// Also what was changed here since it was last taken over.
    pub overwrite: bool,
    /// Counts and reports, and leaves nothing behind.
    pub dry_run: bool,
}

pub struct Import {
    pub imports: Arc<dyn Imports>,
    pub master_keys: Arc<MasterKeys>,
    pub auditor: Auditor,
    pub clock: Arc<dyn Clock>,
    pub random: Arc<dyn Random>,
}

impl Import {
    pub async fn run(&self, source: &dyn Installation, options: &ImportOptions) -> Result<Report, ImportError> {
        let mut run = Run {
            importing: self.imports.begin().await?,
            report: Report::new(options.dry_run),
            now: self.clock.now(),
            options,
            master_keys: &self.master_keys,
            random: self.random.as_ref(),
        };
        users::take_over(&mut run, source).await?;
        api_keys::take_over(&mut run, source).await?;
        second_factors::take_over(&mut run, source).await?;
        recovery_codes::take_over(&mut run, source).await?;
        ended_tokens::take_over(&mut run, source).await?;
        let Run { mut importing, report, now, .. } = run;
        importing.note_second_factors(now).await?;
        if options.dry_run {
            importing.roll_back().await?;
            return Ok(report);
        }
        let event = self.auditor.done(&Initiator::operator(), AuditAction::Import).saying(report.in_a_line());
        let change = Change::from(event);
        importing.commit(&change).await?;
        self.auditor.witness(&change);
        Ok(report)
    }
}
