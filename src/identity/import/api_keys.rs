//! API keys, by their hashes as they are.

use super::ImportError;
use super::merging::{Verdict, digest_of, judge};
use super::run::{Page, Run, id_in};
use crate::crypto::digest::sha256;
use crate::crypto::django_password::DjangoHash;
use crate::crypto::key_digest::digest_of_stored;
use crate::domain::api_key::{ApiKey, ApiKeyId, KeyUsage};
use crate::domain::digest::Digest;
use crate::domain::foreign_row::{CellFault, ForeignRow};
use crate::domain::key_owner::KeyOwner;
use crate::domain::key_terms::KeyTerms;
use crate::domain::random;
use crate::domain::user::PasswordHash;
use crate::storage::imports::{ImportKind, ImportedKey};
use crate::storage::installation::Installation;

const TABLE: &str = "rest_framework_api_key_apikey";
const COLUMNS: [&str; 7] = ["id", "prefix", "hashed_key", "name", "created", "revoked", "expiry_date"];
const REASON: &str = "revoked before it was taken over";

pub async fn take_over(run: &mut Run<'_>, source: &dyn Installation) -> Result<(), ImportError> {
    let Some(mut rows) = run.open(source, TABLE, &COLUMNS).await? else { return Ok(()) };
    run.report.tally(TABLE);
    // The id is the prefix and the hash as it first was, and is shown to nobody; prefixes are unique.
    while let Some(page) = run.next(&mut rows, TABLE, ImportKind::ApiKey, prefix_of).await? {
        let Page { rows: found, known } = page;
        let (mut new, mut old) = (Vec::new(), Vec::new());
        for (prefix, row) in found {
            let target = known.get(&prefix).map(|known| known.target.clone());
            let id = target.clone().unwrap_or_else(|| random::uuid(run.random));
            match read(run, &prefix, ApiKeyId(id), &row) {
                Err(why) => run.report.left(TABLE, &prefix, why),
                Ok(key) if target.is_none() => new.push(key),
                Ok(key) => old.push(key),
            }
        }
        add(run, new).await?;
        for key in old {
            let remembered = known.get(&key.key.prefix).map_or_else(|| given(&key.key), |row| row.digest);
            merge(run, key, remembered).await?;
        }
    }
    Ok(())
}

/// Before version 1.4 of the library there was only the id: `<prefix>.<hash>`.
fn parts(row: &ForeignRow) -> Result<(&str, &str), String> {
    let text = |column| row.text(column).map_err(|fault: CellFault| fault.to_string());
    let split = text("id")?.and_then(|id| id.split_once('.'));
    let prefix = text("prefix")?.or(split.map(|(prefix, _)| prefix)).unwrap_or_default();
    let hash = text("hashed_key")?.or(split.map(|(_, hash)| hash)).unwrap_or_default();
    Ok((prefix, hash))
}

fn prefix_of(row: &ForeignRow) -> Result<String, String> {
    let (prefix, _) = parts(row).or_else(|fault| match id_in(row, "prefix") {
        Ok(_) => row.text("prefix").map(|prefix| (prefix.unwrap_or_default(), "")).map_err(|_| fault),
        Err(_) => Err(fault),
    })?;
    let fits = (1..=32).contains(&prefix.len()) && prefix.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if fits { Ok(prefix.to_owned()) } else { Err("prefix is no prefix of a key".to_owned()) }
}

fn read(run: &mut Run<'_>, prefix: &str, id: ApiKeyId, row: &ForeignRow) -> Result<ImportedKey, String> {
    let fault = |fault: CellFault| fault.to_string();
    let (_, hash) = parts(row)?;
    let revoked = row.flag("revoked").map_err(fault)?.unwrap_or(false);
    let expires_at = row.time("expiry_date").map_err(fault)?;
    let name = row.text("name").map_err(fault)?.unwrap_or_default().trim().to_owned();
    let name = if name.is_empty() || name.chars().any(char::is_control) { prefix.to_owned() } else { name };
    let (digest, slow_hash) = hash_of(run, hash)?;
    let owner = owner(&name);
    if owner.to_string() != name {
        run.report.noted(TABLE, prefix, format!("its name is no name of a service: it acts as {owner}"));
    }
    let key = ApiKey {
        id,
        prefix: prefix.to_owned(),
        digest,
        owner,
        name,
        scopes: run.options.key_scopes.clone(),
        created_at: run.past(TABLE, prefix, row, "created").unwrap_or(run.now),
        expires_at,
        revoked: revoked.then(|| (run.now, REASON.to_owned())),
        replaced: None,
        terms: KeyTerms::default(),
        usage: KeyUsage::default(),
    };
    Ok(ImportedKey { key, slow_hash })
}

/// What the key is found by: the digest of its fast hash, or of a slow one, which nobody can show.
fn hash_of(run: &mut Run<'_>, hash: &str) -> Result<(Digest, Option<PasswordHash>), String> {
    let mut count = |format: &str| *run.report.key_formats.entry(format.to_owned()).or_default() += 1;
    if let Some(digest) = digest_of_stored(hash) {
        count("sha512");
        return Ok((digest, None));
    }
    if hash.starts_with("sha512$$") {
        count("damaged");
        return Err("hashed_key is no SHA-512 in lower-case hex".to_owned());
    }
    match DjangoHash::read(hash) {
        Ok(slow) if slow.format().is_weak() && !run.options.accept_weak => {
            count(slow.format().as_str());
            Err(format!("it is stored as {}: take it along with --accept-weak", slow.format().as_str()))
        }
        Ok(slow) => {
            count(slow.format().as_str());
            Ok((sha256(hash.as_bytes()), Some(PasswordHash::new(hash.to_owned()))))
        }
        Err(fault) => {
            count("damaged");
            Err(fault.to_string())
        }
    }
}

/// There keys belong to nobody: here to a service of the key's name.
fn owner(name: &str) -> KeyOwner {
    let plain = name.replace(':', "-");
    match KeyOwner::parse(&plain) {
        Ok(owner @ KeyOwner::Service(_)) => owner,
        _ => KeyOwner::Service("imported key".to_owned()),
    }
}

/// What is given of a key, and may be given otherwise. Its scopes and limits are given here alone, and a revocation is
/// for good on either side.
fn given(key: &ApiKey) -> Digest {
    // A dump tells milliseconds.
    let expires = key.expires_at.map(|at| at.as_micros().div_euclid(1000).to_string()).unwrap_or_default();
    digest_of(&[&key.name, &expires])
}

async fn add(run: &mut Run<'_>, new: Vec<ImportedKey>) -> Result<(), ImportError> {
    let inserted = run.importing.insert_api_keys(&new).await?;
    let mut remembered = Vec::new();
    for ImportedKey { key, .. } in &new {
        if inserted.contains(key.id.as_str()) {
            run.report.tally(TABLE).added += 1;
            remembered.push(run.remembered(&key.prefix, key.id.as_str(), given(key)));
        } else {
            run.report.left(TABLE, &key.prefix, "a key here has the same prefix or hash");
        }
    }
    run.importing.remember(ImportKind::ApiKey, &remembered).await?;
    Ok(())
}

async fn merge(run: &mut Run<'_>, there: ImportedKey, remembered: Digest) -> Result<(), ImportError> {
    let prefix = there.key.prefix.clone();
    let Some(here) = run.importing.api_keys(std::slice::from_ref(&there.key.id)).await?.pop() else {
        if run.options.overwrite {
            return add(run, vec![there]).await;
        }
        run.report.tally(TABLE).kept += 1;
        run.report.noted(TABLE, &prefix, "was deleted here, and stays so");
        let row = run.remembered(&prefix, there.key.id.as_str(), remembered);
        run.importing.remember(ImportKind::ApiKey, &[row]).await?;
        return Ok(());
    };
    let verdict = judge(given(&there.key), given(&here.key), remembered, run.options.overwrite);
    let mut after = here.clone();
    if verdict == Verdict::Take {
        after.key.name.clone_from(&there.key.name);
        after.key.expires_at = there.key.expires_at;
        after.key.owner.clone_from(&there.key.owner);
    }
    if here.slow_hash.is_some() || (there.slow_hash.is_none() && run.options.overwrite) {
        after.key.digest = there.key.digest;
        after.slow_hash.clone_from(&there.slow_hash);
    } else if there.slow_hash.is_none() && there.key.digest != here.key.digest {
        run.report.noted(TABLE, &prefix, "another key has the prefix there by now, and does not work here");
    }
    if here.key.revoked.is_none() {
        after.key.revoked.clone_from(&there.key.revoked);
    }
    let changed = after.key != here.key || after.slow_hash != here.slow_hash;
    if changed {
        run.importing.update_api_key(&after, run.now).await?;
    }
    if verdict == Verdict::Conflict {
        run.report.noted(TABLE, &prefix, "was changed there and here, and stays as it is here");
    }
    let tally = run.report.tally(TABLE);
    match verdict {
        _ if changed => tally.updated += 1,
        Verdict::Keep | Verdict::Conflict => tally.kept += 1,
        Verdict::Same | Verdict::Take => tally.unchanged += 1,
    }
    let digest = if verdict == Verdict::Conflict { remembered } else { given(&there.key) };
    let row = run.remembered(&prefix, here.key.id.as_str(), digest);
    run.importing.remember(ImportKind::ApiKey, &[row]).await?;
    Ok(())
}
