//! Cryptography, all of it from libraries: this floor chooses, pins and bounds, and invents nothing.

pub mod assertion;
pub mod digest;
pub mod django_password;
pub mod hashing_threads;
pub mod jws;
pub mod key_digest;
pub mod key_pair;
pub mod key_set;
pub mod keyed_digest;
pub mod master_key;
pub mod master_keys;
pub mod password;
pub mod random;
pub mod recovery_code;
pub mod shared_seal;
pub mod stored_password;
pub mod tokens;
pub mod totp;
