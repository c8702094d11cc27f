//! What every command that touches data stands on: the open store, the master key, the clock, randomness.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use super::command_log::CommandLog;
use super::mail;
use super::start_error::StartError;
use crate::backends::sql::{
    self, OpenError, Pool, SqlApiKeys, SqlAuditTrail, SqlChallenges, SqlGuesses, SqlImports, SqlInvalidations,
    SqlOutbox, SqlPasswordResets, SqlQuotas, SqlSecondFactors, SqlSessions, SqlSignIns, SqlSigningKeys, SqlSlowKeys,
    SqlUsers, Version,
};
use crate::config::settings::{MasterKeySource, Passwords as PasswordSettings, Settings};
use crate::crypto::hashing_threads::HashingThreads;
use crate::crypto::master_key::MasterKey;
use crate::crypto::master_keys::MasterKeys;
use crate::crypto::password::Cost;
use crate::crypto::random::OsRandom;
use crate::domain::clock::{Clock, SystemClock};
use crate::domain::random::Random;
use crate::domain::secret::Secret;
use crate::identity::api_keys::KeyAdministration;
use crate::identity::auditor::Auditor;
use crate::identity::lockouts::Lockouts;
use crate::identity::notices::Notices;
use crate::identity::outgoing::SealedMail;
use crate::identity::passwords::Passwords;
use crate::identity::second_factor_reset::SecondFactorReset;
use crate::identity::users::UserAdministration;
use crate::storage::StoreError;
use crate::storage::api_keys::ApiKeys;
use crate::storage::audit::AuditTrail;
use crate::storage::challenges::Challenges;
use crate::storage::guesses::Guesses;
use crate::storage::imports::Imports;
use crate::storage::invalidations::Invalidations;
use crate::storage::outbox::Outbox;
use crate::storage::password_resets::PasswordResets;
use crate::storage::quotas::Quotas;
use crate::storage::second_factors::SecondFactors;
use crate::storage::sessions::Sessions;
use crate::storage::sign_ins::SignIns;
use crate::storage::signing_keys::SigningKeys;
use crate::storage::slow_keys::SlowKeys;
use crate::storage::users::Users;

/// The stores of one database.
#[derive(Clone)]
pub struct Stores {
    pub pool: Pool,
    pub users: Arc<dyn Users>,
    pub sessions: Arc<dyn Sessions>,
    pub api_keys: Arc<dyn ApiKeys>,
    pub slow_keys: Arc<dyn SlowKeys>,
    pub imports: Arc<dyn Imports>,
    pub signing_keys: Arc<dyn SigningKeys>,
    pub invalidations: Arc<dyn Invalidations>,
    pub sign_ins: Arc<dyn SignIns>,
    pub challenges: Arc<dyn Challenges>,
    pub second_factors: Arc<dyn SecondFactors>,
    pub password_resets: Arc<dyn PasswordResets>,
    pub guesses: Arc<dyn Guesses>,
    pub audit: Arc<dyn AuditTrail>,
    pub outbox: Arc<dyn Outbox>,
    pub quotas: Arc<dyn Quotas>,
}

impl Stores {
    /// Opens what is there. Makes nothing, and migrates only if the settings say so.
    pub async fn open(settings: &Settings) -> Result<Self, StartError> {
        let pool = open(settings, false).await?;
        let pending = sql::pending(&pool).await?;
        if pending > 0 && !settings.storage.migrate {
            return Err(StartError::Pending(pending));
        }
        if pending > 0 {
            sql::migrate(&pool).await?;
        }
        Ok(Self::of(pool))
    }

    /// As [`Stores::open`], for an operator's command: a busy disk makes it slow, and does not make it fail.
    pub async fn open_patiently(settings: &Settings) -> Result<Self, StartError> {
        Self::open(settings).await.map(|stores| Self::of(stores.pool.patient()))
    }

    /// Opens the database, or makes it if there is none, and brings its schema up to date. Patient, too.
    pub async fn prepare(settings: &Settings) -> Result<Self, StartError> {
        let pool = open(settings, true).await?;
        sql::migrate(&pool).await?;
        Ok(Self::of(pool.patient()))
    }

    /// Whoever closes a database last leaves one file that is all of it.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    fn of(pool: Pool) -> Self {
        Self {
            users: Arc::new(SqlUsers::new(pool.clone())),
            sessions: Arc::new(SqlSessions::new(pool.clone())),
            api_keys: Arc::new(SqlApiKeys::new(pool.clone())),
            imports: Arc::new(SqlImports::new(pool.clone())),
            slow_keys: Arc::new(SqlSlowKeys::new(pool.clone())),
            signing_keys: Arc::new(SqlSigningKeys::new(pool.clone())),
            invalidations: Arc::new(SqlInvalidations::new(pool.clone())),
            sign_ins: Arc::new(SqlSignIns::new(pool.clone())),
            challenges: Arc::new(SqlChallenges::new(pool.clone())),
            second_factors: Arc::new(SqlSecondFactors::new(pool.clone())),
            password_resets: Arc::new(SqlPasswordResets::new(pool.clone())),
            guesses: Arc::new(SqlGuesses::new(pool.clone())),
            audit: Arc::new(SqlAuditTrail::new(pool.clone())),
            outbox: Arc::new(SqlOutbox::new(pool.clone())),
            quotas: Arc::new(SqlQuotas::new(pool.clone())),
            pool,
        }
    }
}

async fn open(settings: &Settings, create: bool) -> Result<Pool, OpenError> {
    sql::open_with(settings.storage.url.expose(), create, settings.storage.connections).await
}

/// The versions of the schema, and which of them the database has. Changes nothing.
pub async fn schema_versions(settings: &Settings) -> Result<Vec<Version>, StartError> {
    let pool = open(settings, false).await?;
    let versions = sql::versions(&pool).await;
    pool.close().await;
    Ok(versions?)
}

/// Time and randomness, as every part is handed them.
#[derive(Clone)]
pub struct Nature {
    pub clock: Arc<dyn Clock>,
    pub random: Arc<dyn Random>,
}

impl Nature {
    pub fn real() -> Self {
        Self { clock: Arc::new(SystemClock), random: Arc::new(OsRandom::new()) }
    }
}

/// The key that seals and those that only open. Each of them must be there: one that is missing would show only when
/// something is to be opened with it.
pub fn master_keys(settings: &Settings) -> Result<MasterKeys, StartError> {
    let current = master_key(&settings.master_key)?;
    let previous: Result<Vec<_>, _> = settings.previous_master_keys.iter().map(master_key).collect();
    Ok(MasterKeys::new(current, previous?))
}

fn master_key(source: &MasterKeySource) -> Result<MasterKey, StartError> {
    let text = match source {
        MasterKeySource::Value(text) => text.clone(),
        MasterKeySource::File(path) => match fs::read_to_string(path) {
            Ok(text) => Secret::new(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(StartError::NoMasterKey { path: path.clone() });
            }
            Err(error) => {
                return Err(StartError::UnreadableMasterKey { path: path.clone(), cause: error.to_string() });
            }
        },
    };
    MasterKey::parse(&text).map_err(|fault| StartError::BadMasterKey(fault.to_string()))
}

/// Makes a master key file, readable by its owner only, where there is none and nothing was sealed yet. `true` if it did.
/// Never replaces a file, and never makes a key for a database that was sealed under another.
pub async fn make_master_key(settings: &Settings, stores: &Stores, random: &dyn Random) -> Result<bool, StartError> {
    let MasterKeySource::File(path) = &settings.master_key else { return Ok(false) };
    if path.exists() {
        return Ok(false);
    }
    let unreadable = |error: StoreError| StartError::Process(error.to_string());
    let signing_keys = stores.signing_keys.list().await.map_err(unreadable)?;
    let second_factors = stores.second_factors.list(None, 1).await.map_err(unreadable)?;
    if !signing_keys.is_empty() || !second_factors.is_empty() {
        return Err(StartError::NoMasterKey { path: path.clone() });
    }
    let unwritable =
        |error: std::io::Error| StartError::UnreadableMasterKey { path: path.clone(), cause: error.to_string() };
    if let Some(parent) = path.parent().filter(|parent| *parent != Path::new("")) {
        fs::create_dir_all(parent).map_err(unwritable)?;
    }
    let text = Secret::new(format!("{}\n", MasterKey::generate(random).expose()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(unwritable)?;
    file.write_all(text.expose().as_bytes()).and_then(|()| file.sync_all()).map_err(unwritable)?;
    Ok(true)
}

/// Password hashing as the settings want it.
pub fn passwords(settings: &PasswordSettings, nature: &Nature) -> Result<Arc<Passwords>, StartError> {
    let cost =
        Cost { memory_kib: settings.memory_kib, iterations: settings.iterations, parallelism: settings.parallelism };
    let threads = HashingThreads::start(settings.threads, settings.queue);
    let threads = Arc::new(threads.map_err(|error| StartError::Process(error.to_string()))?);
    let passwords = Passwords::new(threads, cost, settings.policy.clone(), Arc::clone(&nature.random));
    passwords.map(Arc::new).map_err(|error| StartError::Process(error.to_string()))
}

/// For the commands. What they do is told where the server tells it, but on standard output, which is their own.
pub fn auditor(settings: &Settings, stores: &Stores, nature: &Nature) -> Auditor {
    let (clock, random) = (Arc::clone(&nature.clock), Arc::clone(&nature.random));
    Auditor::new(Arc::clone(&stores.audit), Arc::new(CommandLog::new(settings.log.audit.clone())), clock, random)
}

/// For the commands that change users and keys, beside a running server or without one.
pub struct Administration {
    pub users: UserAdministration,
    pub keys: KeyAdministration,
    pub second_factors: SecondFactorReset,
    pub lockouts: Lockouts,
    pub auditor: Auditor,
    pub clock: Arc<dyn Clock>,
    /// Why users are not told by mail of what is done to them. It is done all the same: it may be urgent.
    pub not_told: Option<StartError>,
}

impl Administration {
    pub fn new(settings: &Settings, stores: &Stores, nature: &Nature) -> Result<Self, StartError> {
        let passwords = passwords(&settings.passwords, nature)?;
        let auditor = auditor(settings, stores, nature);
        let (notices, not_told) = match notices(settings, stores, nature) {
            Ok(notices) => (notices, None),
            Err(fault) => (Notices::SILENT, Some(fault)),
        };
        let notices = Arc::new(notices);
        Ok(Self {
            users: user_administration(settings, stores, passwords, &notices, auditor.clone(), nature),
            keys: key_administration(stores, auditor.clone(), nature),
            second_factors: second_factor_reset(stores, notices, auditor.clone(), nature),
            lockouts: lockouts(stores, auditor.clone(), nature),
            auditor,
            clock: Arc::clone(&nature.clock),
            not_told,
        })
    }
}

/// On the given stores, whether they remember or not.
pub fn user_administration(
    settings: &Settings,
    stores: &Stores,
    passwords: Arc<Passwords>,
    notices: &Arc<Notices>,
    auditor: Auditor,
    nature: &Nature,
) -> UserAdministration {
    UserAdministration {
        users: Arc::clone(&stores.users),
        sessions: Arc::clone(&stores.sessions),
        passwords,
        roles: settings.roles.clone(),
        notices: Arc::clone(notices),
        auditor,
        clock: Arc::clone(&nature.clock),
        random: Arc::clone(&nature.random),
    }
}

/// On the given stores, likewise.
pub fn key_administration(stores: &Stores, auditor: Auditor, nature: &Nature) -> KeyAdministration {
    let (clock, random) = (Arc::clone(&nature.clock), Arc::clone(&nature.random));
    KeyAdministration::new(Arc::clone(&stores.api_keys), auditor, clock, random)
}

pub fn second_factor_reset(
    stores: &Stores,
    notices: Arc<Notices>,
    auditor: Auditor,
    nature: &Nature,
) -> SecondFactorReset {
    SecondFactorReset {
        factors: Arc::clone(&stores.second_factors),
        notices,
        auditor,
        clock: Arc::clone(&nature.clock),
    }
}

/// For commands: what they say by mail, the server sends.
fn notices(settings: &Settings, stores: &Stores, nature: &Nature) -> Result<Notices, StartError> {
    let sealed = SealedMail::new(Arc::new(master_keys(settings)?), Arc::clone(&nature.random));
    let templates = mail::templates(&settings.mail)?;
    Ok(Notices::new(Arc::clone(&stores.users), Arc::new(templates), Arc::new(sealed), Arc::clone(&nature.clock)))
}

pub fn lockouts(stores: &Stores, auditor: Auditor, nature: &Nature) -> Lockouts {
    Lockouts { guesses: Arc::clone(&stores.guesses), auditor, clock: Arc::clone(&nature.clock) }
}
