//! A second factor's row: its columns, how it is read, and how it is written.

use std::num::NonZeroU32;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::backends::sql::answer::corrupt;
use crate::backends::sql::insertion::{Insertable, Statement};
use crate::domain::clock::Timestamp;
use crate::domain::second_factor::{Digits, SecondFactor, SecondFactorId, Tolerance, TotpAlgorithm, TotpParameters};
use crate::domain::user::UserId;
use crate::storage::{Result, StoreError};

pub const TABLE: &str = "second_factors";

macro_rules! select {
    (columns) => {
        concat!(
            "id, user_id, name, sealed_secret, algorithm, digits, period, t0, tolerance, drift, last_step, ",
            "created_at, confirmed_at, last_used_at"
        )
    };
    ($rest:literal) => {
        concat!("SELECT ", select!(columns), " FROM second_factors ", $rest)
    };
}
pub(super) use select;

#[derive(sqlx::FromRow)]
pub struct Row {
    id: String,
    user_id: String,
    name: String,
    sealed_secret: String,
    algorithm: String,
    digits: i64,
    period: i64,
    t0: i64,
    tolerance: i64,
    drift: i64,
    last_step: i64,
    created_at: i64,
    confirmed_at: Option<i64>,
    last_used_at: Option<i64>,
}

impl TryFrom<Row> for SecondFactor {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self> {
        let foreign = |what| corrupt(TABLE, &row.id, what);
        Ok(Self {
            sealed_secret: STANDARD.decode(&row.sealed_secret).map_err(|_| foreign("sealed_secret is no base64"))?,
            parameters: TotpParameters {
                algorithm: TotpAlgorithm::parse(&row.algorithm).ok_or_else(|| foreign("unknown algorithm"))?,
                digits: u8::try_from(row.digits)
                    .ok()
                    .and_then(Digits::new)
                    .ok_or_else(|| foreign("digits is out of range"))?,
                period: u32::try_from(row.period)
                    .ok()
                    .and_then(NonZeroU32::new)
                    .ok_or_else(|| foreign("period is out of range"))?,
                t0: row.t0,
                tolerance: u8::try_from(row.tolerance)
                    .ok()
                    .and_then(Tolerance::new)
                    .ok_or_else(|| foreign("tolerance is out of range"))?,
                drift: row.drift,
            },
            last_step: row.last_step,
            confirmed_at: row.confirmed_at.map(Timestamp::from_micros),
            created_at: Timestamp::from_micros(row.created_at),
            last_used_at: row.last_used_at.map(Timestamp::from_micros),
            user_id: UserId(row.user_id),
            name: row.name,
            id: SecondFactorId(row.id),
        })
    }
}

impl<'q> Insertable<'q> for &'q SecondFactor {
    const TABLE: &'static str = TABLE;
    const COLUMNS: &'static str = select!(columns);

    fn bind(self, statement: Statement<'q>) -> Statement<'q> {
        let statement = statement.bind(self.id.as_str()).bind(self.user_id.as_str());
        bind_device(self, statement)
            .bind(self.created_at.as_micros())
            .bind(self.confirmed_at.map(Timestamp::as_micros))
            .bind(self.last_used_at.map(Timestamp::as_micros))
    }
}

/// What it is called, and what its codes are made of: the columns from `name` to `last_step`.
pub fn bind_device<'q>(device: &'q SecondFactor, statement: Statement<'q>) -> Statement<'q> {
    let parameters = &device.parameters;
    statement
        .bind(device.name.as_str())
        .bind(STANDARD.encode(&device.sealed_secret))
        .bind(parameters.algorithm.as_str())
        .bind(i64::from(parameters.digits.get()))
        .bind(i64::from(parameters.period.get()))
        .bind(parameters.t0)
        .bind(i64::from(parameters.tolerance.get()))
        .bind(parameters.drift)
        .bind(device.last_step)
}
