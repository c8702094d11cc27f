//! `keys`: making, changing and revoking them.

use serde_json::{Value, json};

use super::arguments::{KeyChange, KeyLimits, Keys, OutputFormat};
use super::desk::Desk;
use super::failure::Failure;
use super::output::{print, table};
use super::users::read_scopes;
use crate::domain::api_key::{ApiKey, KeyChanges};
use crate::domain::audit::Initiator;
use crate::domain::clock::Timestamp;
use crate::domain::key_owner::KeyOwner;
use crate::domain::key_reach::{KeyReach, MOST_METHODS, MOST_ROUTES};
use crate::domain::key_terms::KeyTerms;
use crate::domain::labels::{Label, Labels};
use crate::domain::network_set::MOST_NETWORKS;
use crate::domain::presented_key::PresentedKey;
use crate::identity::api_keys::{Expiry, NewKey};
use crate::identity::key_view::KeyView;

pub fn run(desk: &Desk, command: Keys, format: OutputFormat) -> Result<(), Failure> {
    let keys = &desk.administration.keys;
    let wait = &desk.runtime;
    let by = Initiator::operator();
    let find = |key: &str| wait.block_on(keys.find(key));
    match command {
        Keys::Create { name, owner, scopes, expires_in, limits } => {
            let owner = read_owner(desk, owner.as_deref().unwrap_or(&name))?;
            let expiry = expires_in.map_or(Expiry::Never, Expiry::In);
            let new = NewKey { name, owner, scopes: read_scopes(&scopes)?, expiry, terms: terms(&limits)? };
            let (key, secret) = wait.block_on(keys.create(new, &by))?;
            let text = format!(
                "Created key {} ({}). This is the key; it is not shown again:\n{}\n",
                key.id,
                key.name,
                secret.expose()
            );
            print(format, &text, &with_secret(&key, &secret));
        }
        Keys::List { label } => {
            let mut all = wait.block_on(keys.list())?;
            let fits =
                |key: &ApiKey, label: &Label| key.terms.labels.iter().any(|pair| pair == (&label.name, &label.value));
            all.retain(|key| label.as_ref().is_none_or(|label| fits(key, label)));
            let rows: Vec<Vec<String>> = all.iter().map(to_row).collect();
            let text = table(
                &["ID", "PREFIX", "NAME", "OWNER", "SCOPES", "EXPIRES", "LAST USED", "USES", "REVOKED", "REPLACED BY"],
                &rows,
            );
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

fn terms(limits: &KeyLimits) -> Result<KeyTerms, Failure> {
    let KeyLimits { networks, routes, methods, idle_days, rate, quota, labels } = limits;
    for (count, most, what) in [
        (networks.len(), MOST_NETWORKS, "networks"),
        (routes.len(), MOST_ROUTES, "routes"),
        (methods.len(), MOST_METHODS, "methods"),
    ] {
        if count > most {
            return Err(Failure::Input(format!("a key has at most {most} {what}")));
        }
    }
    let pairs = labels.iter().map(|label| (label.name.as_str(), label.value.as_str()));
    Ok(KeyTerms {
        reach: KeyReach {
            networks: networks.iter().copied().collect(),
            routes: routes.iter().cloned().collect(),
            methods: methods.iter().cloned().collect(),
        },
        idle: *idle_days,
        rate: *rate,
        quota: *quota,
        labels: Labels::new(pairs).map_err(|fault| Failure::Input(fault.to_string()))?,
    })
}

fn changes(change: &KeyChange, now: Timestamp) -> Result<KeyChanges, Failure> {
    let scopes = change.no_scopes || !change.scopes.is_empty();
    let limits = &change.limits;
    let KeyTerms { reach, idle, rate, quota, labels } = terms(limits)?;
    Ok(KeyChanges {
        name: change.name.clone(),
        scopes: scopes.then(|| read_scopes(&change.scopes)).transpose()?,
        expires_at: match change.expires_in {
            Some(lifetime) => Some(Some(now.plus(lifetime))),
            None => change.never_expires.then_some(None),
        },
        networks: (change.any_network || !limits.networks.is_empty()).then_some(reach.networks),
        routes: (change.any_route || !limits.routes.is_empty()).then_some(reach.routes),
        methods: (change.any_method || !limits.methods.is_empty()).then_some(reach.methods),
        idle: (change.never_idle || idle.is_some()).then_some(idle),
        rate: (change.no_rate || rate.is_some()).then_some(rate),
        quota: (change.no_quota || quota.is_some()).then_some(quota),
        labels: (change.no_labels || !limits.labels.is_empty()).then_some(labels),
    })
}

fn expiry_text(key: &ApiKey) -> String {
    key.expires_at.map_or_else(|| "never".to_owned(), |at| at.rfc3339())
}

fn revocation_text(key: &ApiKey) -> String {
    key.revoked.as_ref().map_or_else(|| "no".to_owned(), |(at, reason)| format!("{} {reason}", at.rfc3339()))
}

fn last_use_text(key: &ApiKey) -> String {
    key.usage.last_at.map_or_else(|| "never".to_owned(), Timestamp::rfc3339)
}

fn successor_text(key: &ApiKey) -> String {
    key.replaced.as_ref().map(|replaced| replaced.by.to_string()).unwrap_or_default()
}

/// When it was replaced, and whether it is used still.
fn replacement_text(key: &ApiKey) -> String {
    let Some((at, uses)) = key.replaced.as_ref().and_then(|replaced| replaced.at) else { return String::new() };
    format!("{}, used {} times since then", at.rfc3339(), key.usage.count.saturating_sub(uses))
}

fn to_row(key: &ApiKey) -> Vec<String> {
    vec![
        key.id.0.clone(),
        key.prefix.clone(),
        key.name.clone(),
        key.owner.to_string(),
        key.scopes.to_string(),
        expiry_text(key),
        last_use_text(key),
        key.usage.count.to_string(),
        revocation_text(key),
        successor_text(key),
    ]
}

fn fields(key: &ApiKey) -> Vec<Vec<String>> {
    let KeyTerms { reach, idle, rate, quota, labels } = &key.terms;
    let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let rows = [
        ("id", key.id.to_string()),
        ("prefix", key.prefix.clone()),
        ("name", key.name.clone()),
        ("owner", key.owner.to_string()),
        ("scopes", key.scopes.to_string()),
        ("networks", reach.networks.to_string()),
        ("routes", reach.routes.to_string().replace('\n', "; ")),
        ("methods", reach.methods.to_string()),
        ("rate", rate.map(|rate| rate.to_string()).unwrap_or_default()),
        ("quota", quota.map(|quota| quota.to_string()).unwrap_or_default()),
        ("labels", labels.join("; ")),
        ("created", key.created_at.rfc3339()),
        ("expires", expiry_text(key)),
        ("idle days", idle.map(|days| days.to_string()).unwrap_or_default()),
        ("last used", last_use_text(key)),
        ("uses", key.usage.count.to_string()),
        ("revoked", revocation_text(key)),
        ("replaced by", successor_text(key)),
        ("replaced", replacement_text(key)),
    ];
    rows.map(|(name, value)| vec![name.to_owned(), value]).into()
}

fn to_json(key: &ApiKey) -> Value {
    json!(KeyView::from(key))
}

fn with_secret(key: &ApiKey, secret: &PresentedKey) -> Value {
    let mut json = to_json(key);
    if let Some(map) = json.as_object_mut() {
        map.insert("key".to_owned(), json!(secret.expose()));
    }
    json
}
