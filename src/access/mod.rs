//! May this request pass? Checks, and writes nothing but the fast digest of a key that was taken over. One function decides, [`gatekeeper::Gatekeeper::admit`], and only it
//! can make a [`permit::Permit`].

pub mod arrival;
pub mod buckets;
pub mod gatekeeper;
pub mod key_check;
pub mod miss_budget;
pub mod permit;
pub mod request_limits;
pub mod serial;
pub mod slow_keys;
pub mod token_check;
pub mod voucher;
