//! Worlds that many tests start from.

use std::collections::BTreeMap;
use std::sync::Arc;

use portcullis::crypto::password;
use portcullis::crypto::random::OsRandom;
use portcullis::domain::clock::{Clock, ManualClock, Timestamp};
use portcullis::domain::secret::Secret;
use portcullis::domain::user::PasswordHash;
use portcullis::server::ground::Nature;

use super::{PASSWORD, Plan};

/// The signing key of the Django installation whose place [`Plan::django`] takes.
pub const DJANGO_SECRET: &str = "tMq3Zr8vLw5Yx1Kb7Nc2Jd6Fh9Gs4Pa0UeXi-RoQ";

impl Plan {
    /// A gateway in the place of a Django installation; `tokens` are further settings of that section.
    pub fn django(tokens: &str) -> Self {
        let signing = "signing: { algorithm: HS256, secret: \"${DJANGO_SECRET}\" }";
        Self {
            extra: "compatibility: django".to_owned(),
            tokens: Some(format!("{{ {signing}, {tokens} }}")),
            environment: BTreeMap::from([("DJANGO_SECRET".to_owned(), DJANGO_SECRET.to_owned())]),
            ..Self::default()
        }
    }

    /// With a clock that only the test moves. It starts at a whole second.
    pub fn timed(self) -> (Self, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::at(Timestamp::from_secs(1_800_000_000)));
        let nature = Nature { clock: Arc::clone(&clock) as Arc<dyn Clock>, random: Arc::new(OsRandom::new()) };
        (Self { nature: Some(nature), ..self }, clock)
    }
}

/// A hash of [`PASSWORD`] that costs next to nothing, as an old or imported one may.
pub fn cheap_hash() -> PasswordHash {
    let cost = password::Cost { memory_kib: 64, iterations: 1, parallelism: 1 };
    password::hash(&Secret::new(PASSWORD.to_owned()), cost, &OsRandom::new(), &mut password::Memory::default()).unwrap()
}
