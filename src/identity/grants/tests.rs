use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::subsequence;

use super::*;
use crate::domain::api_key::{ApiKeyId, KeyUsage};
use crate::domain::clock::Timestamp;
use crate::domain::digest::Digest;
use crate::domain::key_owner::KeyOwner;
use crate::domain::key_reach::MethodNames;
use crate::domain::key_terms::{IdleDays, KeyTerms};
use crate::domain::network_set::NetworkSet;
use crate::domain::rate::Rate;
use crate::domain::role::{RoleName, RoleSet};
use crate::domain::scope::Scope;
use crate::domain::user::PasswordHash;

fn scopes(text: &str) -> ScopeSet {
    ScopeSet::parse(text).unwrap()
}

fn roles() -> Roles {
    let named = [("support", "users:read users:write"), ("billing", "invoices:read"), ("idle", "")];
    Roles {
        admin: scopes("users:read users:write keys:read keys:write"),
        named: named.map(|(name, text)| (RoleName::parse(name).unwrap(), scopes(text))).into(),
    }
}

fn user(id: &str, own: ScopeSet, names: &str, is_admin: bool) -> User {
    let at = Timestamp::from_secs(0);
    User {
        id: UserId(id.to_owned()),
        username: id.to_owned(),
        email: String::new(),
        first_name: String::new(),
        last_name: String::new(),
        is_active: true,
        is_admin,
        roles: RoleSet::parse(names).unwrap(),
        scopes: own,
        password: PasswordHash::unusable(),
        created_at: at,
        password_changed_at: at,
        tokens_valid_from: None,
        last_sign_in_at: None,
        has_second_factor: false,
    }
}

fn key(owner: KeyOwner, held: ScopeSet) -> ApiKey {
    ApiKey {
        id: ApiKeyId("key".to_owned()),
        prefix: "prefix00".to_owned(),
        digest: Digest([0; 32]),
        name: "key".to_owned(),
        owner,
        scopes: held,
        created_at: Timestamp::from_secs(0),
        expires_at: None,
        revoked: None,
        replaced: None,
        terms: KeyTerms::default(),
        usage: KeyUsage::default(),
    }
}

fn administrator(actor: Actor, held: ScopeSet) -> Administrator {
    Administrator { by: Initiator::without_request(actor), scopes: held, bounds: KeyBounds::default() }
}

#[test]
fn what_counts_is_all_that_the_other_one_holds() {
    let support = administrator(Actor::Service("desk".into()), scopes("users:read users:write"));
    for (own, names, is_admin, reached) in [
        ("", "", false, true),
        ("users:read", "", false, true),
        ("", "support", false, true),
        ("", "idle gone", false, true),
        ("users:*", "", false, false),
        ("", "billing", false, false),
        ("users:read invoices:read", "support", false, false),
        ("", "", true, false),
    ] {
        let other = user("other", scopes(own), names, is_admin);
        assert_eq!(support.reach_user(&other, &roles()).is_ok(), reached, "{own} {names} {is_admin}");
    }
}

#[test]
fn a_key_takes_what_it_holds_and_what_its_owner_holds() {
    let administrator = administrator(Actor::Service("desk".into()), scopes("keys:write orders:read"));
    let (plain, rich) =
        (user("plain", scopes("orders:read"), "", false), user("rich", scopes("orders:write"), "", false));
    let of = |user: &User, text: &str| key(KeyOwner::User(user.id.clone()), scopes(text));
    let service = key(KeyOwner::Service("robot".into()), scopes("orders:read"));
    assert_eq!(administrator.reach_key(&service, None, &roles()), Ok(()));
    assert_eq!(administrator.reach_key(&of(&plain, ""), Some(&plain), &roles()), Ok(()));
    assert_eq!(administrator.reach_key(&of(&plain, "orders:write"), Some(&plain), &roles()), Err(Beyond::default()));
    assert_eq!(administrator.reach_key(&of(&rich, ""), Some(&rich), &roles()), Err(Beyond::default()));
}

#[test]
fn a_key_of_another_user_is_taken_only_by_whoever_could_set_their_password() {
    let plain = user("plain", scopes("orders:read"), "", false);
    let owned = key(KeyOwner::User(plain.id.clone()), scopes("orders:read"));
    for (actor, held, taken) in [
        (Actor::Service("desk".into()), "keys:write orders:read", false),
        (Actor::Service("desk".into()), "keys:write users:write orders:read", true),
        (Actor::Service("desk".into()), "keys:write users:write", false),
        (Actor::User(plain.id.clone()), "keys:write orders:read", true),
    ] {
        let who = administrator(actor, scopes(held));
        assert_eq!(who.take_key(&owned, Some(&plain), &roles()).is_ok(), taken, "{held}");
    }
}

#[test]
fn a_key_that_is_good_somewhere_reaches_no_key_that_is_good_elsewhere() {
    let reach = |networks: &str, methods: &str| KeyReach {
        networks: NetworkSet::parse(networks).unwrap(),
        methods: MethodNames::parse(methods).unwrap(),
        ..KeyReach::default()
    };
    let narrow = Administrator {
        bounds: KeyBounds { reach: reach("10.0.0.0/8", ""), ..KeyBounds::default() },
        ..administrator(Actor::Service("desk".into()), scopes("keys:write"))
    };
    let of = |reach| {
        let plain = key(KeyOwner::Service("robot".into()), ScopeSet::default());
        ApiKey { terms: KeyTerms { reach, ..KeyTerms::default() }, ..plain }
    };
    assert_eq!(narrow.reach_key(&of(reach("10.1.0.0/16", "GET")), None, &roles()), Ok(()));
    for other in [reach("", ""), reach("", "GET"), reach("10.0.0.0/7", ""), reach("10.0.0.0/8 11.0.0.0/8", "")] {
        assert_eq!(narrow.reach_key(&of(other), None, &roles()), Err(Beyond::default()));
    }
    let within = |wanted| narrow.terms_within(KeyTerms { reach: wanted, ..KeyTerms::default() }).reach;
    assert_eq!(within(reach("", "GET")), reach("10.0.0.0/8", "GET"));
    assert_eq!(within(reach("11.0.0.0/8", "")), reach("11.0.0.0/8", ""), "asked for, and then refused");
}

#[test]
fn a_key_is_made_less_by_any_and_more_only_by_one_that_is_as_much() {
    let of = |terms: KeyTerms, held: &str| ApiKey { terms, ..key(KeyOwner::Service("robot".into()), scopes(held)) };
    let idle = |days| KeyTerms { idle: IdleDays::new(days), ..KeyTerms::default() };
    let rate = |text: &str| KeyTerms { rate: Some(Rate::parse(text).unwrap()), ..KeyTerms::default() };
    let by = |terms: KeyTerms| Administrator {
        bounds: KeyBounds::of(&of(terms, "")),
        ..administrator(Actor::Service("desk".into()), scopes("keys:write"))
    };
    let free = || of(KeyTerms::default(), "");
    let fast = by(rate("10/minute"));
    for (before, after, by_rate, by_idle) in [
        (free(), of(rate("1/minute"), ""), true, true),
        (of(rate("1/minute"), ""), free(), false, false),
        (of(rate("1/minute"), ""), of(rate("2/minute"), ""), false, false),
        (of(idle(10), ""), of(idle(9), ""), true, true),
        (of(idle(10), ""), of(idle(30), ""), false, true),
        (of(idle(10), ""), of(idle(31), ""), false, false),
        (of(idle(10), ""), of(idle(10), "keys:write"), false, true),
        (free(), of(KeyTerms::default(), "keys:write"), false, false),
        (of(KeyTerms::default(), "keys:write"), free(), true, true),
    ] {
        assert_eq!(fast.turn(&before, &after).is_ok(), by_rate, "{before:?} {after:?}");
        assert_eq!(by(idle(30)).turn(&before, &after).is_ok(), by_idle, "{before:?} {after:?}");
        assert_eq!(by(KeyTerms::default()).turn(&before, &after), Ok(()));
    }
    assert_eq!(fast.make(&rate("1/hour")), Err(Beyond::default()), "two are twice as much");
    assert_eq!(by(idle(30)).make(&idle(30)), Ok(()));
    for wider in [idle(31), KeyTerms::default()] {
        assert_eq!(by(idle(30)).make(&wider), Err(Beyond::default()));
    }
    assert_eq!(by(idle(30)).terms_within(KeyTerms::default()), idle(30));
}

#[test]
fn a_key_of_a_user_acts_for_that_user_and_for_nobody_else() {
    let own = administrator(Actor::User(UserId("7".into())), ScopeSet::default());
    assert!(own.is(&UserId("7".into())));
    assert!(!own.is(&UserId("77".into())));
    assert!(!administrator(Actor::Service("7".into()), ScopeSet::default()).is(&UserId("7".into())));
}

/// What somebody may try.
#[derive(Clone, Debug)]
enum Attempt {
    Make { name: usize, user: User },
    Change { name: usize, scopes: ScopeSet, names: String, is_admin: bool },
    TakeOver { name: usize },
    MakeKey { owner: Option<usize>, scopes: ScopeSet },
    Rotate { key: usize },
}

const NAMES: usize = 4;

fn some_scopes() -> impl Strategy<Value = ScopeSet> {
    let all = ["users:read", "users:write", "keys:read", "keys:write", "invoices:read", "orders:read"];
    subsequence(all.to_vec(), 0..=all.len())
        .prop_map(|names| names.into_iter().map(|name| Scope::parse(name).unwrap()).collect())
}

fn some_roles() -> impl Strategy<Value = String> {
    subsequence(vec!["support", "billing", "idle", "gone"], 0..=2).prop_map(|names| names.join(" "))
}

fn some_user() -> impl Strategy<Value = User> {
    (some_scopes(), some_roles(), any::<bool>()).prop_map(|(own, names, is_admin)| user("x", own, &names, is_admin))
}

fn some_attempt() -> impl Strategy<Value = Attempt> {
    prop_oneof![
        (0..NAMES, some_user()).prop_map(|(name, user)| Attempt::Make { name, user }),
        (0..NAMES, some_scopes(), some_roles(), any::<bool>())
            .prop_map(|(name, scopes, names, is_admin)| Attempt::Change { name, scopes, names, is_admin }),
        (0..NAMES).prop_map(|name| Attempt::TakeOver { name }),
        (proptest::option::of(0..NAMES), some_scopes()).prop_map(|(owner, scopes)| Attempt::MakeKey { owner, scopes }),
        (0..4_usize).prop_map(|key| Attempt::Rotate { key }),
    ]
}

/// Everybody there is, and what one party has got hold of.
struct Model {
    users: BTreeMap<usize, User>,
    keys: Vec<ApiKey>,
    taken_users: Vec<usize>,
    held_keys: Vec<ApiKey>,
}

impl Model {
    fn owner(&self, key: &ApiKey) -> Option<&User> {
        match &key.owner {
            KeyOwner::User(id) => self.users.values().find(|user| user.id == *id),
            KeyOwner::Service(_) => None,
        }
    }

    fn attempt(&mut self, who: &Administrator, attempt: Attempt) {
        let roles = roles();
        match attempt {
            Attempt::Make { name, user } if !self.users.contains_key(&name) => {
                let user = User { id: UserId(name.to_string()), ..user };
                if who.reach_user(&user, &roles).is_ok() {
                    self.users.insert(name, user);
                    self.taken_users.push(name);
                }
            }
            Attempt::Make { .. } => {}
            Attempt::Change { name, scopes, names, is_admin } => {
                let Some(before) = self.users.get(&name) else { return };
                let after = User { scopes, roles: RoleSet::parse(&names).unwrap(), is_admin, ..before.clone() };
                if who.reach_user(before, &roles).is_ok() && who.reach_user(&after, &roles).is_ok() {
                    self.users.insert(name, after);
                }
            }
            Attempt::TakeOver { name } => {
                if self.users.get(&name).is_some_and(|user| who.reach_user(user, &roles).is_ok()) {
                    self.taken_users.push(name);
                }
            }
            Attempt::MakeKey { owner, scopes } => {
                let owner =
                    owner.map_or(KeyOwner::Service("robot".into()), |name| KeyOwner::User(UserId(name.to_string())));
                let key = key(owner, scopes);
                if who.reach_key(&key, self.owner(&key), &roles).is_ok() {
                    self.held_keys.push(key);
                }
            }
            Attempt::Rotate { key } => {
                if let Some(key) = self.keys.get(key)
                    && who.take_key(key, self.owner(key), &roles).is_ok()
                {
                    self.held_keys.push(key.clone());
                }
            }
        }
    }

    /// All that can be done with what was got hold of: by the accounts, and by the keys, in the names of their owners.
    fn power(&self) -> ScopeSet {
        let roles = roles();
        let taken = self.taken_users.iter().filter_map(|name| self.users.get(name)).map(|user| user.all_scopes(&roles));
        let keys = self.held_keys.iter().map(|key| {
            let owner = self.owner(key).map(|owner| owner.all_scopes(&roles)).unwrap_or_default();
            key.scopes.union(&owner)
        });
        taken.chain(keys).fold(ScopeSet::default(), |all, more| all.union(&more))
    }
}

proptest! {
    #[test]
    fn whatever_is_tried_nobody_gets_more_than_they_had(
        held in some_scopes(),
        others in proptest::collection::vec(some_user(), NAMES),
        keys in proptest::collection::vec((proptest::option::of(0..NAMES), some_scopes()), 4),
        attempts in proptest::collection::vec((any::<bool>(), some_attempt()), 0..40),
    ) {
        let users: BTreeMap<usize, User> =
            others.into_iter().enumerate().map(|(name, user)| (name, User { id: UserId(name.to_string()), ..user })).collect();
        let owner = |name: Option<usize>| name.map_or(KeyOwner::Service("robot".into()), |n| KeyOwner::User(UserId(n.to_string())));
        let keys = keys.into_iter().map(|(name, scopes)| key(owner(name), scopes)).collect();
        let mut model = Model { users, keys, taken_users: Vec::new(), held_keys: Vec::new() };
        // Alone, or through the last one that was taken over.
        let myself = administrator(Actor::User(UserId("me".into())), held.clone());
        for (through_another, attempt) in attempts {
            let other = model.taken_users.last().filter(|_| through_another).and_then(|name| model.users.get(name));
            let other = other.map(|user| administrator(Actor::User(user.id.clone()), user.all_scopes(&roles())));
            model.attempt(other.as_ref().unwrap_or(&myself), attempt);
            prop_assert!(held.contains_all(&model.power()), "{held} became {}", model.power());
        }
    }
}
