use std::ops::RangeInclusive;
use std::time::Duration;

use super::roles::scopes;
use crate::config::section::Section;
use crate::config::value::Value;
use crate::domain::access_policy::{AccessPolicy, CredentialKind, Kinds, Requirement, SecondFactorDemand};
use crate::domain::scope::ScopeSet;

/// Between a moment and the longest that a session lives.
const AUTH_AGES: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(400 * 86_400);

const FORMS: &str = "write public, { any: [jwt, api_key] } or { all: [jwt, api_key] }, with scopes: [NAME] if need be";

/// `access` of one route. It has no default: whoever leaves it out has not decided yet.
pub fn read(route: &mut Section<'_>) -> Option<AccessPolicy> {
    let value = route.required("access", FORMS)?;
    if value.is_mapping() {
        return requirement(&value).map(AccessPolicy::Requires);
    }
    if value.text()? == "public" {
        return Some(AccessPolicy::Public);
    }
    value.fault(format!("{} is no access rule", value.written()), FORMS);
    None
}

fn requirement(value: &Value<'_>) -> Option<Requirement> {
    let mut section = Section::of(value);
    let (any, all) = (section.optional("any"), section.optional("all"));
    let scopes = section.optional("scopes").map_or_else(ScopeSet::default, |value| scopes(&value));
    let kinds = match (any, all) {
        (Some(any), None) => {
            let (jwt, api_key) = listed(&any)?;
            Kinds::Any { jwt, api_key }
        }
        // All of one kind is that kind.
        (None, Some(all)) => match listed(&all)? {
            (true, true) => Kinds::All,
            (jwt, api_key) => Kinds::Any { jwt, api_key },
        },
        (Some(_), Some(_)) => {
            value.fault("`any` and `all` contradict each other", "keep one of them");
            return None;
        }
        (None, None) => {
            value.fault("it does not say which credentials are accepted", FORMS);
            return None;
        }
    };
    let assurance = [("one_factor", SecondFactorDemand::Nobody), ("two_factors", SecondFactorDemand::Everybody)];
    let second_factor = section.choice("assurance", SecondFactorDemand::Nobody, &assurance);
    let max_auth_age = section.optional("max_auth_age").and_then(|value| value.duration(&AUTH_AGES));
    if kinds == Kinds::API_KEY && (second_factor != SecondFactorDemand::Nobody || max_auth_age.is_some()) {
        value
            .fault("a key alone has no second factor and no sign-in, so nobody passes", "accept jwt too, or remove it");
    }
    Some(Requirement { kinds, scopes, second_factor, open_to_unenrolled: false, max_auth_age })
}

/// Whether tokens and whether keys are in the list.
fn listed(value: &Value<'_>) -> Option<(bool, bool)> {
    let words = CredentialKind::ALL.map(|kind| (kind.as_str(), kind));
    let items = value.list();
    if value.is_empty_list() {
        value.fault("no credential is accepted, so nobody passes", "list jwt, api_key or both");
    }
    let kinds: Vec<CredentialKind> = items.iter().filter_map(|item| item.choice(&words)).collect();
    let has = |kind| kinds.contains(&kind);
    (!kinds.is_empty()).then(|| (has(CredentialKind::Jwt), has(CredentialKind::ApiKey)))
}
