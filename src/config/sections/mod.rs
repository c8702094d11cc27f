//! One file for each part of the configuration. Each states its keys, defaults and bounds in one place.

mod access;
mod api;
mod api_keys;
mod audit;
mod cache;
mod https;
mod identity;
mod limits;
mod listen;
mod lockout;
mod log;
mod mail;
mod master_key;
mod network;
mod passwords;
mod rate_limit;
mod redis;
mod redis_sentinels;
mod redis_url;
mod roles;
mod route_name;
mod routes;
mod second_factor;
mod server_address;
mod signing;
mod storage;
mod tokens;
mod trusted_proxies;
mod upstreams;
mod workers;

use super::section::Section;
use super::settings::{Compatibility, Listen, Settings, Storage};

/// Reads all sections, whatever is wrong with the others. `None` when something required is missing, which is then
/// among the faults.
pub fn read(root: &mut Section<'_>) -> Option<Settings> {
    let compatibility = compatibility(root);
    let keys_in_authorization = api_keys::read(root.section("api_keys"), compatibility);
    let listen = listen::read(root.section("listen"));
    let storage = storage::read(root.section("storage"));
    let cache = cache::read(root.section("cache"));
    let (master_key, previous_master_keys) = master_key::read(root.section("secrets"));
    let tokens = root.section("tokens");
    let second_factor = second_factor::read(root.section("second_factor"), compatibility);
    let tokens = tokens::read(tokens, compatibility, second_factor.required);
    let issuer = tokens.as_ref().and_then(|tokens| tokens.issuer.as_deref());
    let passwords = passwords::read(root.section("passwords"), issuer);
    let lockout = lockout::read(root.section("lockout"));
    let mail = mail::read(root.section("mail"));
    let api = api::read(root.section("api"));
    let identity = identity::read(root.section("identity"), issuer);
    let roles = roles::read(root.section("roles"));
    let trusted_proxies = trusted_proxies::read(root);
    let limits = limits::read(root.section("limits"));
    let log = log::read(root.section("log"));
    let audit = audit::read(root.section("audit"));
    let workers = workers::read(root.section("workers"));
    let upstreams = upstreams::read(root);
    let routes = routes::read(root, &upstreams);
    Some(Settings {
        listen,
        storage: storage?,
        cache,
        master_key: master_key?,
        previous_master_keys,
        compatibility,
        keys_in_authorization,
        tokens: tokens?,
        passwords,
        second_factor,
        lockout,
        mail: mail?,
        api,
        identity,
        roles,
        trusted_proxies,
        limits,
        log,
        audit,
        workers,
        upstreams,
        routes,
        checksum: 0,
        warnings: Vec::new(),
    })
}

/// What can be read of these two, whatever is wrong with the rest.
pub fn read_whereabouts(root: &mut Section<'_>) -> Option<(Listen, Storage)> {
    Some((listen::read(root.section("listen")), storage::read(root.section("storage"))?))
}

fn compatibility(root: &mut Section<'_>) -> Compatibility {
    let words = [("none", Compatibility::None), ("django", Compatibility::Django)];
    let compatibility = root.choice("compatibility", Compatibility::None, &words);
    if compatibility == Compatibility::Django {
        root.warn(
            "compatibility",
            "tokens and credentials are judged as a Django installation judges them, which is less strict",
            "return to none when the last such client is gone",
        );
    }
    compatibility
}
