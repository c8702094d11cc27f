//! `keys`: making and revoking them.

use serde_json::{Value, json};

use super::arguments::{Keys, OutputFormat};
use super::desk::Desk;
use super::failure::Failure;
use super::output::{print, table};
use super::users::read_scopes;
use crate::domain::api_key::{ApiKey, KeyOwner};
use crate::domain::audit::Initiator;
use crate::domain::scope::Scope;
use crate::identity::api_keys::{Expiry, NewKey};

pub fn run(desk: &Desk, command: Keys, format: OutputFormat) -> Result<(), Failure> {
    let keys = &desk.administration.keys;
    let wait = &desk.runtime;
    let by = Initiator::operator();
    match command {
        Keys::Create { name, owner, scopes, expires_in } => {
            let owner = read_owner(desk, owner.as_deref().unwrap_or(&name))?;
            let expiry = expires_in.map_or(Expiry::Never, Expiry::In);
            let new = NewKey { name, owner, scopes: read_scopes(&scopes)?, expiry };
            let (key, secret) = wait.block_on(keys.create(new, &by))?;
            let text = format!(
                "Created key {} ({}). This is the key; it is not shown again:\n{}\n",
                key.id,
                key.name,
                secret.expose()
            );
            let mut json = to_json(&key);
            if let Some(map) = json.as_object_mut() {
                map.insert("key".to_owned(), json!(secret.expose()));
            }
            print(format, &text, &json);
        }
        Keys::List => {
            let all = wait.block_on(keys.list())?;
            let rows: Vec<Vec<String>> = all.iter().map(to_row).collect();
            let text = table(&["ID", "PREFIX", "NAME", "OWNER", "SCOPES", "EXPIRES", "REVOKED"], &rows);
            print(format, &text, &all.iter().map(to_json).collect());
        }
        Keys::Revoke { key, reason } => {
            let key = wait.block_on(keys.revoke(&key, &reason, &by))?;
            print(format, &format!("Revoked key {} ({}).\n", key.id, key.name), &to_json(&key));
        }
    }
    Ok(())
}

fn read_owner(desk: &Desk, text: &str) -> Result<KeyOwner, Failure> {
    if let Some(user) = text.strip_prefix("user:") {
        let user = desk.runtime.block_on(desk.administration.users.find(user))?;
        return Ok(KeyOwner::User(user.id));
    }
    let fits = (1..=100).contains(&text.chars().count()) && !text.contains(':') && !text.chars().any(char::is_control);
    if fits && text.trim() == text {
        Ok(KeyOwner::Service(text.to_owned()))
    } else {
        Err(Failure::Input(
            "an owner is user:<name or id>, or a service's name: 1 to 100 characters, without a colon, control \
             characters, or white space at either end"
                .to_owned(),
        ))
    }
}

fn owner_text(owner: &KeyOwner) -> String {
    match owner {
        KeyOwner::User(id) => format!("user:{id}"),
        KeyOwner::Service(name) => name.clone(),
    }
}

fn to_row(key: &ApiKey) -> Vec<String> {
    vec![
        key.id.0.clone(),
        key.prefix.clone(),
        key.name.clone(),
        owner_text(&key.owner),
        key.scopes.to_string(),
        key.expires_at.map_or_else(|| "never".to_owned(), |at| at.rfc3339()),
        key.revoked.as_ref().map_or_else(|| "no".to_owned(), |(at, reason)| format!("{} {reason}", at.rfc3339())),
    ]
}

/// Without the digest: it would be of no use to anybody, and nothing that need not be shown is.
fn to_json(key: &ApiKey) -> Value {
    json!({
        "id": key.id.as_str(),
        "prefix": key.prefix,
        "name": key.name,
        "owner": owner_text(&key.owner),
        "scopes": key.scopes.iter().map(Scope::as_str).collect::<Vec<_>>(),
        "created_at": key.created_at.rfc3339(),
        "expires_at": key.expires_at.map(|at| at.rfc3339()),
        "revoked_at": key.revoked.as_ref().map(|(at, _)| at.rfc3339()),
        "revoked_reason": key.revoked.as_ref().map(|(_, reason)| reason),
    })
}
