//! Backup codes, which become recovery codes: each for one use, as there.

use super::ImportError;
use super::merging::digest_of;
use super::run::{GONE, Page, Run, id_in, user_reference};
use crate::crypto::recovery_code;
use crate::domain::factor_proof::RecoveryCodeId;
use crate::domain::user::UserId;
use crate::storage::imports::ImportKind;
use crate::storage::installation::Installation;
use crate::storage::second_factors::RecoveryCode;

const DEVICES: &str = "otp_static_staticdevice";
const CODES: &str = "otp_static_statictoken";
/// Read and written at a time.
const PAGE: u32 = 500;
/// Stands for a device that does not count.
const UNCONFIRMED: &str = "-";

pub async fn take_over(run: &mut Run<'_>, source: &dyn Installation) -> Result<(), ImportError> {
    let devices = take_devices(run, source).await?;
    let there = take_codes(run, source).await?;
    // A dump without these tables does not mean that all codes were used.
    if devices && there {
        spend(run).await?;
    }
    run.importing.forget(ImportKind::StaticDevice).await?;
    Ok(())
}

/// Whose codes they hold is remembered until the codes are read: those name nobody else. `true` when there is any.
async fn take_devices(run: &mut Run<'_>, source: &dyn Installation) -> Result<bool, ImportError> {
    let Some(mut rows) = run.open(source, DEVICES, &["id", "user_id", "confirmed"]).await? else { return Ok(false) };
    run.report.tally(DEVICES);
    while let Some(page) = run.next(&mut rows, DEVICES, ImportKind::StaticDevice, |row| id_in(row, "id")).await? {
        let references = page.rows.iter().filter_map(|(_, row)| user_reference(row).ok()).collect();
        let users = run.users(references).await?;
        let mut remembered = Vec::new();
        for (id, row) in page.rows {
            let user = user_reference(&row).map(|reference| users.get(&reference).cloned());
            let target = match (user, row.flag("confirmed")) {
                (Err(fault), _) => Err(fault),
                (_, Err(fault)) => Err(fault.to_string()),
                (Ok(None), _) => Err("its user did not come along".to_owned()),
                (Ok(Some(_)), Ok(Some(false))) => {
                    run.report.left(DEVICES, &id, "it is not confirmed, and counts as none there too");
                    Ok(UNCONFIRMED.to_owned())
                }
                (Ok(Some(user)), Ok(_)) => Ok(user.0),
            };
            let target = target.unwrap_or_else(|why| {
                run.report.left(DEVICES, &id, why);
                GONE.to_owned()
            });
            remembered.push(run.remembered(&id, &target, digest_of(&[])));
        }
        run.importing.remember(ImportKind::StaticDevice, &remembered).await?;
    }
    Ok(run.report.tally(DEVICES).read > 0)
}

async fn take_codes(run: &mut Run<'_>, source: &dyn Installation) -> Result<bool, ImportError> {
    let Some(mut rows) = run.open(source, CODES, &["id", "device_id", "token"]).await? else { return Ok(false) };
    run.report.tally(CODES);
    let digests = recovery_code::imported_digests(run.master_keys);
    while let Some(page) = run.next(&mut rows, CODES, ImportKind::RecoveryCode, |row| id_in(row, "id")).await? {
        let Page { rows: found, known } = page;
        let ids: Vec<String> = found.iter().filter_map(|(_, row)| id_in(row, "device_id").ok()).collect();
        let devices = run.importing.known(ImportKind::StaticDevice, &ids).await?;
        let (mut new, mut remembered) = (Vec::new(), Vec::new());
        for (id, row) in found {
            let device = id_in(&row, "device_id").ok().and_then(|device| devices.get(&device));
            let user = match device.map(|device| device.target.as_str()) {
                Some(UNCONFIRMED) => Err("its device is not confirmed".to_owned()),
                None | Some(GONE) => Err("its device did not come along".to_owned()),
                Some(user) => Ok(UserId(user.to_owned())),
            };
            let token = row.text("token").map_err(|fault| fault.to_string());
            let code = user.and_then(|user| Ok((user, token?.unwrap_or_default().to_owned())));
            let digest = code.and_then(|(user, token)| {
                let digest = recovery_code::imported_digest(digests.first(), &user, &token);
                digest.map(|digest| (user, digest)).ok_or_else(|| "token is no code of 1 to 16 characters".to_owned())
            });
            let (user, digest) = match digest {
                Ok(found) => found,
                Err(why) => {
                    run.report.left(CODES, &id, why);
                    // It is still there, so it was not used.
                    remembered.extend(known.get(&id).map(|row| run.remembered(&id, &row.target, row.digest)));
                    continue;
                }
            };
            if let Some(known) = known.get(&id) {
                // Used here, or replaced by others: it does not come back.
                run.report.tally(CODES).unchanged += 1;
                remembered.push(run.remembered(&id, &known.target, known.digest));
                continue;
            }
            let stored = RecoveryCodeId(format!("django:{id}"));
            remembered.push(run.remembered(&id, &stored.0, digest));
            new.push((user, RecoveryCode { id: stored, digest }));
        }
        let inserted = run.importing.insert_recovery_codes(&new).await?;
        run.report.tally(CODES).added += u64::try_from(inserted.len()).unwrap_or(u64::MAX);
        for (_, code) in new.iter().filter(|(_, code)| !inserted.contains(&code.id.0)) {
            run.report.left(CODES, &code.id.0, "a recovery code here has the same id");
        }
        run.importing.remember(ImportKind::RecoveryCode, &remembered).await?;
    }
    Ok(true)
}

/// There a code is deleted by its use: one that is gone by now was used.
async fn spend(run: &mut Run<'_>) -> Result<(), ImportError> {
    let (mut after, mut spent) = (String::new(), 0);
    loop {
        let gone = run.importing.unseen(ImportKind::RecoveryCode, run.now, &after, PAGE).await?;
        let Some(last) = gone.last() else { break };
        after.clone_from(&last.original);
        let ids: Vec<String> = gone.iter().map(|code| code.target.clone()).collect();
        spent += run.importing.spend_recovery_codes(&ids, run.now).await?;
    }
    if spent > 0 {
        run.report.tally(CODES).updated += spent;
        run.report
            .remark(format!("{spent} backup codes were used there since they were taken over, and work here no more"));
    }
    Ok(())
}
