//! The users that sign in, written into the database before the gateway starts.

use std::path::Path;

use portcullis::backends::sql::{self, Pool, SqlSecondFactors, SqlUsers};
use portcullis::crypto::password::{self, Cost, Memory};
use portcullis::crypto::random::OsRandom;
use portcullis::domain::audit::{AuditAction, AuditOutcome, Initiator};
use portcullis::domain::change::Change;
use portcullis::domain::clock::{Clock, SystemClock};
use portcullis::domain::role::RoleSet;
use portcullis::domain::scope::ScopeSet;
use portcullis::domain::second_factor::{SecondFactor, SecondFactorId, TotpParameters};
use portcullis::domain::secret::Secret;
use portcullis::domain::user::{PasswordHash, User, UserId};
use portcullis::storage::second_factors::SecondFactors;
use portcullis::storage::users::Users;

use crate::Result;

pub const PASSWORD: &str = "correct horse battery staple";

/// As the gateway is configured, and as passwords are stored.
pub const COST: Cost = Cost { memory_kib: 19 * 1024, iterations: 2, parallelism: 1 };

/// Makes users, all of them with [`PASSWORD`]. Their ids are their names.
pub struct People {
    pool: Pool,
    password: PasswordHash,
}

/// How users differ.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Active,
    Disabled,
    WithSecondFactor,
}

impl People {
    pub async fn open(database: &Path) -> Result<Self> {
        let pool = sql::open(&format!("sqlite://{}", database.display()), false).await;
        Ok(Self { pool: pool.map_err(|error| error.to_string())?, password: stored_password()? })
    }

    pub async fn make(&self, name: &str, count: usize, kind: Kind) -> Result<()> {
        let now = SystemClock.now();
        let change =
            |action| Change::from(Initiator::operator().did(action, AuditOutcome::Done, now, &OsRandom::new()));
        for number in 0..count {
            let id = UserId(format!("{name}-{number}"));
            let user = User {
                username: id.0.clone(),
                email: String::new(),
                first_name: String::new(),
                last_name: String::new(),
                is_active: kind != Kind::Disabled,
                is_admin: false,
                roles: RoleSet::default(),
                scopes: ScopeSet::default(),
                password: self.password.clone(),
                created_at: now,
                password_changed_at: now,
                tokens_valid_from: None,
                last_sign_in_at: None,
                has_second_factor: false,
                id,
            };
            let made = SqlUsers::new(self.pool.clone()).insert(&user, &change(AuditAction::UserCreate)).await;
            made.map_err(|error| error.to_string())?;
            if kind == Kind::WithSecondFactor {
                let device = SecondFactor {
                    id: SecondFactorId(format!("{}-device", user.id)),
                    user_id: user.id,
                    name: String::new(),
                    // Nobody gets as far as opening it.
                    sealed_secret: Vec::new(),
                    parameters: TotpParameters::default(),
                    last_step: SecondFactor::NO_STEP,
                    confirmed_at: Some(now),
                    created_at: now,
                    last_used_at: None,
                };
                let factors = SqlSecondFactors::new(self.pool.clone());
                let made = factors.begin(&device, None, &change(AuditAction::SecondFactorSetup)).await;
                made.map_err(|error| error.to_string())?;
            }
        }
        Ok(())
    }

    pub async fn close(self) {
        self.pool.close().await;
    }
}

/// A hash of [`PASSWORD`].
pub fn stored_password() -> Result<PasswordHash> {
    password::hash(&Secret::new(PASSWORD.to_owned()), COST, &OsRandom::new(), &mut Memory::default())
        .map_err(|error| error.to_string())
}
