//! `keys`: making, changing and revoking them.

use serde_json::{Value, json};

use super::arguments::{KeyChange, Keys, OutputFormat};
use super::desk::Desk;
use super::failure::Failure;
use super::output::{print, table};
use super::users::read_scopes;
use crate::domain::api_key::{ApiKey, KeyChanges, KeyOwner, KeyTerms, PresentedKey};
use crate::domain::audit::Initiator;
use crate::domain::clock::Timestamp;
use crate::domain::scope::Scope;
use crate::identity::api_keys::{Expiry, NewKey};

pub fn run(desk: &Desk, command: Keys, format: OutputFormat) -> Result<(), Failure> {
    let keys = &desk.administration.keys;
    let wait = &desk.runtime;
    let by = Initiator::operator();
    let find = |key: &str| wait.block_on(keys.find(key));
    match command {
        Keys::Create { name, owner, scopes, expires_in } => {
            let owner = read_owner(desk, owner.as_deref().unwrap_or(&name))?;
            let expiry = expires_in.map_or(Expiry::Never, Expiry::In);
            let new = NewKey { name, owner, scopes: read_scopes(&scopes)?, expiry, terms: KeyTerms::default() };
            let (key, secret) = wait.block_on(keys.create(new, &by))?;
            let text = format!(
                "Created key {} ({}). This is the key; it is not shown again:\n{}\n",
                key.id,
                key.name,
                secret.expose()
            );
            print(format, &text, &with_secret(&key, &secret));
        }
        Keys::List => {
            let all = wait.block_on(keys.list())?;
            let rows: Vec<Vec<String>> = all.iter().map(to_row).collect();
            let text = table(&["ID", "PREFIX", "NAME", "OWNER", "SCOPES", "EXPIRES", "REVOKED"], &rows);
            print(format, &text, &all.iter().map(to_json).collect());
        }
        Keys::Show { key } => {
            let key = find(&key)?;
            print(format, &table(&["FIELD", "VALUE"], &fields(&key)), &to_json(&key));
        }
        Keys::Change(change) => {
            let key = find(&change.key)?;
            let changes = changes(&change, desk.administration.clock.now())?;
            let key = wait.block_on(keys.change(&key, changes, &by))?;
            print(format, &format!("Changed key {} ({}).\n", key.id, key.name), &to_json(&key));
        }
        Keys::Rotate { key, overlap } => {
            let key = find(&key)?;
            let rotated = wait.block_on(keys.rotate(&key, overlap, key.expires_at, &by))?;
            let (old, new, secret) = (&rotated.old, &rotated.new, &rotated.secret);
            let text = format!(
                "Created key {} in the place of {}, which works until {}. This is the key; it is not shown again:\n{}\n",
                new.id,
                old.id,
                expiry_text(old),
                secret.expose()
            );
            print(format, &text, &json!({ "old": to_json(old), "new": with_secret(new, secret) }));
        }
        Keys::Revoke { key, reason } => {
            let key = wait.block_on(keys.revoke(&key, &reason, &by))?;
            print(format, &format!("Revoked key {} ({}).\n", key.id, key.name), &to_json(&key));
        }
    }
    Ok(())
}

/// Users by name or id.
fn read_owner(desk: &Desk, text: &str) -> Result<KeyOwner, Failure> {
    if let Some(user) = text.strip_prefix("user:") {
        let user = desk.runtime.block_on(desk.administration.users.find(user))?;
        return Ok(KeyOwner::User(user.id));
    }
    KeyOwner::parse(text).map_err(|fault| Failure::Input(fault.to_string()))
}

fn changes(change: &KeyChange, now: Timestamp) -> Result<KeyChanges, Failure> {
    let scopes = change.no_scopes || !change.scopes.is_empty();
    Ok(KeyChanges {
        name: change.name.clone(),
        scopes: scopes.then(|| read_scopes(&change.scopes)).transpose()?,
        expires_at: match change.expires_in {
            Some(lifetime) => Some(Some(now.plus(lifetime))),
            None => change.never_expires.then_some(None),
        },
        ..KeyChanges::default()
    })
}

fn expiry_text(key: &ApiKey) -> String {
    key.expires_at.map_or_else(|| "never".to_owned(), |at| at.rfc3339())
}

fn revocation_text(key: &ApiKey) -> String {
    key.revoked.as_ref().map_or_else(|| "no".to_owned(), |(at, reason)| format!("{} {reason}", at.rfc3339()))
}

fn to_row(key: &ApiKey) -> Vec<String> {
    vec![
        key.id.0.clone(),
        key.prefix.clone(),
        key.name.clone(),
        key.owner.to_string(),
        key.scopes.to_string(),
        expiry_text(key),
        revocation_text(key),
    ]
}

fn fields(key: &ApiKey) -> Vec<Vec<String>> {
    let rows = [
        ("id", key.id.to_string()),
        ("prefix", key.prefix.clone()),
        ("name", key.name.clone()),
        ("owner", key.owner.to_string()),
        ("scopes", key.scopes.to_string()),
        ("created", key.created_at.rfc3339()),
        ("expires", expiry_text(key)),
        ("revoked", revocation_text(key)),
        ("replaced by", key.replaced.as_ref().map(|replaced| replaced.by.to_string()).unwrap_or_default()),
    ];
    rows.map(|(name, value)| vec![name.to_owned(), value]).into()
}

/// Without the digest: it would be of no use to anybody, and nothing that need not be shown is.
fn to_json(key: &ApiKey) -> Value {
    json!({
        "id": key.id.as_str(),
        "prefix": key.prefix,
        "name": key.name,
        "owner": key.owner.to_string(),
        "scopes": key.scopes.iter().map(Scope::as_str).collect::<Vec<_>>(),
        "created_at": key.created_at.rfc3339(),
        "expires_at": key.expires_at.map(|at| at.rfc3339()),
        "revoked_at": key.revoked.as_ref().map(|(at, _)| at.rfc3339()),
        "revoked_reason": key.revoked.as_ref().map(|(_, reason)| reason),
        "replaced_by": key.replaced.as_ref().map(|replaced| replaced.by.as_str()),
    })
}

fn with_secret(key: &ApiKey, secret: &PresentedKey) -> Value {
    let mut json = to_json(key);
    if let Some(map) = json.as_object_mut() {
        map.insert("key".to_owned(), json!(secret.expose()));
    }
    json
}
