//! Second factors, with their keys, parameters and the last step that each was used for.

use std::num::NonZeroU32;

use super::ImportError;
use super::merging::digest_of;
use super::run::{Page, Run, id_in, user_reference};
use crate::crypto::totp;
use crate::domain::digest::{Digest, from_hex, hex};
use crate::domain::foreign_row::{CellFault, ForeignRow};
use crate::domain::second_factor::{Digits, SecondFactor, SecondFactorId, Tolerance, TotpAlgorithm, TotpParameters};
use crate::domain::secret::Secret;
use crate::domain::user::UserId;
use crate::storage::imports::ImportKind;
use crate::storage::installation::Installation;

const TABLE: &str = "otp_totp_totpdevice";
const COLUMNS: [&str; 14] = [
    "id",
    "user_id",
    "name",
    "confirmed",
    "key",
    "step",
    "t0",
    "digits",
    "tolerance",
    "drift",
    "last_t",
    "throttling_failure_count",
    "created_at",
    "last_used_at",
];
/// The most that a column of Django holds.
const LONGEST_KEY: usize = 40;

/// A device with its key in the clear, for as long as it takes to seal it.
struct Candidate {
    device: SecondFactor,
    key: Secret<Vec<u8>>,
}

pub async fn take_over(run: &mut Run<'_>, source: &dyn Installation) -> Result<(), ImportError> {
    let Some(mut rows) = run.open(source, TABLE, &COLUMNS).await? else { return Ok(()) };
    run.report.tally(TABLE);
    while let Some(page) = run.next(&mut rows, TABLE, ImportKind::SecondFactor, |row| id_in(row, "id")).await? {
        let Page { rows: found, known } = page;
        let references = found.iter().filter_map(|(_, row)| user_reference(row).ok()).collect();
        let users = run.users(references).await?;
        let (mut new, mut old) = (Vec::new(), Vec::new());
        for (id, row) in found {
            let user = match user_reference(&row) {
                Ok(reference) => users.get(&reference).ok_or_else(|| "its user did not come along".to_owned()),
                Err(fault) => Err(fault),
            };
            match user.and_then(|user| read(run, &id, user, &row)) {
                Err(why) => run.report.left(TABLE, &id, why),
                Ok(device) if known.contains_key(&id) => old.push(device),
                Ok(device) => new.push(device),
            }
        }
        add(run, new).await?;
        for device in old {
            let id = device.device.id.clone();
            let remembered = known.get(id.as_str()).map_or_else(|| given(&device), |row| row.digest);
            merge(run, device, remembered).await?;
        }
    }
    Ok(())
}

fn read(run: &mut Run<'_>, id: &str, user: &UserId, row: &ForeignRow) -> Result<Candidate, String> {
    let fault = |fault: CellFault| fault.to_string();
    let number = |column| row.integer(column).map_err(fault);
    let key = row.text("key").map_err(fault)?.unwrap_or_default();
    let key = from_hex(key).ok_or("key is no hex")?;
    if key.is_empty() || key.len() > LONGEST_KEY {
        return Err("key is empty, or longer than 40 bytes".to_owned());
    }
    let period = number("step")?.unwrap_or(30);
    let period = u32::try_from(period).ok().and_then(NonZeroU32::new).ok_or("step is no number of seconds")?;
    let digits = number("digits")?.unwrap_or(6);
    let digits = u8::try_from(digits).ok().and_then(Digits::new).ok_or("digits is not 6, 7 or 8")?;
    let tolerance = number("tolerance")?.unwrap_or(1);
    let tolerance = u8::try_from(tolerance).ok().and_then(Tolerance::new).ok_or("tolerance is not 0 to 10 steps")?;
    let confirmed = row.flag("confirmed").map_err(fault)?.unwrap_or(true);
    let created_at = run.past(TABLE, id, row, "created_at").unwrap_or(run.now);
    let last_used_at = run.past(TABLE, id, row, "last_used_at");
    let parameters = TotpParameters {
        algorithm: TotpAlgorithm::Sha1,
        digits,
        period,
        t0: number("t0")?.unwrap_or(0),
        tolerance,
        drift: number("drift")?.unwrap_or(0),
    };
    let last_step = number("last_t")?.unwrap_or(SecondFactor::NO_STEP).max(SecondFactor::NO_STEP);
    if parameters.candidate_steps(last_step, run.now).next().is_none() && last_step > SecondFactor::NO_STEP {
        // Also the step of this moment, used a moment ago.
        let ahead = parameters.candidate_steps(last_step, run.now.plus(period_of(period) * 4)).next().is_none();
        if ahead {
            run.report.noted(TABLE, id, "last_t lies in the future: until then no code is accepted");
        }
    }
    if number("throttling_failure_count")?.unwrap_or(0) > 0 {
        run.report.noted(TABLE, id, "it counts wrong codes there; here they are counted anew, under lockout.codes");
    }
    let id = SecondFactorId(id.to_owned());
    let name = row.text("name").map_err(fault)?.unwrap_or_default().to_owned();
    let device = SecondFactor {
        user_id: user.clone(),
        name,
        sealed_secret: Vec::new(),
        parameters,
        last_step,
        confirmed_at: confirmed.then_some(created_at),
        created_at,
        last_used_at,
        id,
    };
    Ok(Candidate { device, key: Secret::new(key) })
}

fn period_of(period: NonZeroU32) -> std::time::Duration {
    std::time::Duration::from_secs(u64::from(period.get()))
}

/// All but what use changes.
fn given(candidate: &Candidate) -> Digest {
    let (device, parameters) = (&candidate.device, &candidate.device.parameters);
    digest_of(&[
        &device.name,
        &hex(candidate.key.expose()),
        &parameters.digits.get().to_string(),
        &parameters.period.to_string(),
        &parameters.t0.to_string(),
        &parameters.tolerance.get().to_string(),
        &parameters.drift.to_string(),
        if device.is_confirmed() { "confirmed" } else { "" },
    ])
}

fn sealed(run: &Run<'_>, candidate: &Candidate) -> Result<SecondFactor, ImportError> {
    let purpose = totp::sealing_purpose(&candidate.device.id);
    let sealed_secret = run.master_keys.seal(&purpose, candidate.key.expose(), run.random);
    let sealed_secret = sealed_secret.map_err(|_| ImportError::Sealing)?;
    Ok(SecondFactor { sealed_secret, ..candidate.device.clone() })
}

async fn add(run: &mut Run<'_>, new: Vec<Candidate>) -> Result<(), ImportError> {
    let devices = new.iter().map(|candidate| sealed(run, candidate)).collect::<Result<Vec<_>, _>>()?;
    let inserted = run.importing.insert_second_factors(&devices).await?;
    let mut remembered = Vec::new();
    for candidate in &new {
        let id = candidate.device.id.as_str();
        if inserted.contains(id) {
            run.report.tally(TABLE).added += 1;
            remembered.push(run.remembered(id, id, given(candidate)));
        } else {
            run.report.left(TABLE, id, "a second factor here has the same id");
        }
    }
    run.importing.remember(ImportKind::SecondFactor, &remembered).await?;
    Ok(())
}

/// Here a device is confirmed, used or deleted, and nothing else is changed about it.
async fn merge(run: &mut Run<'_>, there: Candidate, remembered: Digest) -> Result<(), ImportError> {
    let id = there.device.id.clone();
    let row = run.remembered(id.as_str(), id.as_str(), given(&there));
    let Some(here) = run.importing.second_factors(std::slice::from_ref(&id)).await?.pop() else {
        if run.options.overwrite {
            return add(run, vec![there]).await;
        }
        run.report.tally(TABLE).kept += 1;
        run.report.noted(TABLE, id.as_str(), "was deleted here, and stays so");
        run.importing.remember(ImportKind::SecondFactor, &[row]).await?;
        return Ok(());
    };
    let changed_there = given(&there) != remembered;
    let mut after = if changed_there { sealed(run, &there)? } else { here.clone() };
    after.user_id.clone_from(&here.user_id);
    after.created_at = here.created_at;
    // A code that was used on either side was used.
    after.last_step = here.last_step.max(there.device.last_step);
    after.last_used_at = here.last_used_at.max(there.device.last_used_at);
    after.confirmed_at = here.confirmed_at.or(there.device.confirmed_at);
    let tally = run.report.tally(TABLE);
    if after == here {
        tally.unchanged += 1;
    } else {
        tally.updated += 1;
        run.importing.update_second_factor(&after, run.now).await?;
    }
    run.importing.remember(ImportKind::SecondFactor, &[row]).await?;
    Ok(())
}
