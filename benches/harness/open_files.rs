use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Lets this process, and all that it starts from now on, have `wanted` files open at a time, or as many as the system
/// allows. How many that are.
pub fn allow(wanted: u64) -> u64 {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // Whoever may raise the most that is allowed is not held to it.
    let most = maximum.map_or(wanted, |maximum| maximum.max(wanted));
    for limit in [Some(most), maximum] {
        if setrlimit(Resource::Nofile, Rlimit { current: limit, maximum: limit }).is_ok() {
            return limit.unwrap_or(u64::MAX);
        }
    }
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}
