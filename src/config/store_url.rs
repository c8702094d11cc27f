//! What can be told from the URL of a store without opening it.

use crate::domain::secret::Secret;

/// TLS that is only preferred is given up to whoever stands between and says so.
pub fn is_unprotected(url: &Secret<String>) -> bool {
    let Some((_, rest)) = url.expose().split_once("://").filter(|(scheme, _)| scheme.starts_with("postgres")) else {
        return false;
    };
    let (place, options) = rest.split_once('?').unwrap_or((rest, ""));
    let authority = place.split('/').next().unwrap_or_default();
    let address = authority.rsplit_once('@').map_or(authority, |(_, address)| address);
    let option = |name: &str| options.split('&').filter_map(|one| one.split_once('=')).find(|(key, _)| *key == name);
    let host = option("host").map_or(address, |(_, host)| host);
    let here = ["localhost", "127.", "[::1]", "::1", "/", "%2F", "%2f"].iter().any(|one| host.starts_with(one));
    let checked = option("sslmode").is_some_and(|(_, mode)| matches!(mode, "verify-full" | "verify-ca"));
    !here && !host.is_empty() && !checked
}

/// Whether whoever reads the URL can sign in with it.
pub fn has_password(url: &Secret<String>) -> bool {
    let Some((_, rest)) = url.expose().split_once("://") else { return false };
    let (place, options) = rest.split_once('?').unwrap_or((rest, ""));
    let user = place.split('/').next().and_then(|authority| authority.rsplit_once('@')).map(|(user, _)| user);
    user.is_some_and(|user| user.contains(':')) || options.split('&').any(|option| option.starts_with("password="))
}
