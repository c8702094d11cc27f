//! Replacing the master key under running gateways.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use portcullis::config::settings::{MasterKeySource, Settings};
use portcullis::crypto::master_key::MasterKey;
use portcullis::crypto::random::OsRandom;
use portcullis::domain::audit::{AuditAction, AuditQuery, StoredOutcome};
use portcullis::domain::clock::{Clock, ManualClock};
use portcullis::identity::resealing::{Resealed, Tally};
use portcullis::server::ground::{Nature, master_keys};
use portcullis::server::rotation::{reseal, rotate};
use portcullis::server::run::Running;
use portcullis::server::start_error::StartError;

use crate::harness::authenticator::Authenticator;
use crate::harness::{Plan, World};

const STEP: Duration = Duration::from_secs(30);

struct Place {
    world: World,
    clock: Arc<ManualClock>,
    phone: Authenticator,
    access: String,
}

impl Place {
    /// `anna` has enrolled under the first master key.
    fn open() -> Self {
        let (plan, clock) = Plan { tokens: Some("{ access_lifetime: 1d }".to_owned()), ..Plan::default() }.timed();
        let world = World::plan(plan);
        world.user("anna");
        let (access, _) = world.sign_in("anna");
        let phone = world.enrol(&access, &clock).authenticator;
        Self { world, clock, phone, access }
    }

    fn nature(&self) -> Nature {
        Nature { clock: Arc::clone(&self.clock) as Arc<dyn Clock>, random: Arc::new(OsRandom::new()) }
    }

    fn file(&self, name: &str) -> MasterKeySource {
        let path = self.world.directory.path().join(name);
        if !path.exists() {
            std::fs::write(&path, MasterKey::generate(&OsRandom::new()).expose()).unwrap();
        }
        MasterKeySource::File(path)
    }

    fn settings(&self, current: &str, previous: &[&str]) -> Settings {
        Settings {
            master_key: self.file(current),
            previous_master_keys: previous.iter().map(|name| self.file(name)).collect(),
            ..self.world.settings.clone()
        }
    }

    fn start(&mut self, settings: &Settings) {
        self.world.gateway = None;
        self.world.gateway = Some(Running::start_with(settings, &self.nature()).unwrap());
        self.world.settings = settings.clone();
    }

    fn reseal(&self, settings: &Settings) -> Result<Resealed, StartError> {
        self.world.wait(reseal(settings, &self.world.stores, &self.nature()))
    }

    /// Tokens from before hold, and signing in by two factors works.
    fn works(&mut self) {
        assert_eq!(self.world.get_as("/", &self.access).status, 200);
        self.clock.advance(STEP);
        let (access, _) = self.world.sign_in_with("anna", &self.phone.now(&self.clock));
        assert_eq!(self.world.get_as("/", &access).status, 200);
        assert!(self.world.get_as("/", &access).seen().header("x-auth-assertion").is_some());
    }
}

#[test]
fn a_new_master_key_takes_over_and_the_old_one_goes() {
    let mut place = Place::open();
    place.works();
    let (old, both, new) =
        (place.world.settings.clone(), place.settings("new.key", &["master.key"]), place.settings("new.key", &[]));
    place.start(&both);
    place.works();
    // What is made from here on is sealed under the new one.
    let user = place.world.user("bert");
    let (access, _) = place.world.sign_in("bert");
    place.world.enrol(&access, &place.clock);

    // Notices of what was done here may still wait, or be on their way: they are another test's matter.
    let done = place.reseal(&both).unwrap();
    assert_eq!(done.master_key_id, master_keys(&new).unwrap().current_id());
    assert_eq!(done.signing_keys, Tally { resealed: 2, current: 0 });
    assert_eq!(done.second_factors, Tally { resealed: 1, current: 1 });
    place.works();
    let again = place.reseal(&both).unwrap();
    let all = |current| Tally { resealed: 0, current };
    assert_eq!((again.signing_keys, again.second_factors), (all(2), all(2)), "repeating it changes nothing");

    place.start(&new);
    place.works();
    place.world.wait(rotate(&new, &place.world.stores, &place.nature())).unwrap();
    place.works();
    let lost = Running::start_with(&old, &place.nature()).err().unwrap().to_string();
    assert!(lost.contains("sealed under another master key"), "{lost}");
    assert!(user.is_active);

    let query = AuditQuery { action: Some(AuditAction::SecretsRotate), limit: 9, ..AuditQuery::default() };
    let told = place.world.wait(place.world.stores.audit.list(&query)).unwrap();
    assert_eq!(told.len(), 2);
    let is_told = |detail: &str| {
        detail.starts_with("2 signing keys, 1 second factors, ")
            && detail.ends_with(&format!(" 0 unopened, master key {}", done.master_key_id))
    };
    assert!(told.iter().any(|event| is_told(&event.detail)), "{told:?}");
}

/// As a restart one by one has it: each gateway can open what the others seal.
#[test]
fn gateways_that_know_both_keys_work_side_by_side() {
    let mut place = Place::open();
    let (behind, ahead) = (place.settings("master.key", &["new.key"]), place.settings("new.key", &["master.key"]));
    place.start(&behind);
    let mut other = Some(Running::start_with(&ahead, &place.nature()).unwrap());
    for _ in 0..4 {
        place.works();
        std::mem::swap(&mut place.world.gateway, &mut other);
    }
    place.reseal(&ahead).unwrap();
    place.works();
    place.start(&behind);
    place.works();
    // And back again.
    let back = place.reseal(&behind).unwrap();
    assert_eq!((back.signing_keys.resealed, back.second_factors.resealed), (2, 1));
    place.start(&place.settings("master.key", &[]));
    place.works();
}

#[test]
fn what_cannot_be_opened_is_named_and_stays_as_it_is() {
    let mut place = Place::open();
    let stranger = place.settings("stranger.key", &[]);
    let failure = place.reseal(&stranger).unwrap_err().to_string();
    let keys = place.world.wait(place.world.stores.signing_keys.list()).unwrap();
    let anna = place.world.wait(place.world.administration.users.find("anna")).unwrap();
    let device = place.world.wait(place.world.stores.second_factors.of_user(&anna.id)).unwrap().remove(0);
    let mut parts: Vec<String> = keys.iter().map(|key| format!("signing key {}", key.kid)).collect();
    parts.push(format!("second factor {} of user {}", device.id, anna.id));
    parts.push("secrets.previous_master_keys".to_owned());
    for part in &parts {
        assert!(failure.contains(part.as_str()), "{part}: {failure}");
    }
    assert!(!failure.contains('\n'), "one sentence: {failure}");
    place.works();

    // One that is damaged does not keep the others from being moved.
    let damaged = [&device.sealed_secret[..device.sealed_secret.len() - 1], &[0]].concat();
    let factors = &place.world.stores.second_factors;
    assert!(place.world.wait(factors.reseal(&device.id, &device.sealed_secret, &damaged)).unwrap());
    let both = place.settings("new.key", &["master.key"]);
    let failure = place.reseal(&both).unwrap_err().to_string();
    assert!(failure.contains(&parts[2]) && failure.contains("damaged"), "{failure}");
    assert!(!failure.contains("signing key"), "{failure}");
    let query = AuditQuery { action: Some(AuditAction::SecretsRotate), limit: 9, ..AuditQuery::default() };
    let told = place.world.wait(place.world.stores.audit.list(&query)).unwrap();
    assert!(told.iter().all(|event| event.outcome == StoredOutcome::Refused("unopened".to_owned())), "{told:?}");
    let (new, nature) = (place.settings("new.key", &[]), place.nature());
    Running::start_with(&new, &nature).unwrap();

    // A damaged secret is our fault, and no wrong code.
    place.start(&both);
    place.clock.advance(STEP);
    let body = serde_json::json!({
        "username": "anna", "password": crate::harness::PASSWORD, "otp": place.phone.now(&place.clock),
    });
    assert_eq!(place.world.post_json("/api/v1/auth/token/", &body).status, 503);
}

#[test]
fn each_key_that_is_named_must_be_there() {
    let place = Place::open();
    let gone = Settings {
        previous_master_keys: vec![MasterKeySource::File(Path::new("/nonexistent/old.key").to_owned())],
        ..place.world.settings.clone()
    };
    let failure = Running::start_with(&gone, &place.nature()).err().unwrap().to_string();
    assert!(failure.contains("/nonexistent/old.key"), "{failure}");
}

#[test]
fn a_master_key_that_was_overwritten_under_a_running_gateway_is_refused_and_the_one_before_works_on() {
    let mut place = Place::open();
    let path = place.world.directory.path().join("master.key");
    let first = std::fs::read(&path).unwrap();
    std::fs::write(&path, MasterKey::generate(&OsRandom::new()).expose()).unwrap();
    let refusal =
        |place: &Place, settings: Settings| place.world.gateway().reload(Ok(settings)).unwrap_err().to_string();
    let told = refusal(&place, place.world.settings.clone());
    assert!(told.contains("sealed under another master key") && told.contains("secrets.master_key"), "{told}");
    place.works();

    // It can open everything, and what names and seals here is still another one.
    std::fs::write(place.world.directory.path().join("old.key"), &first).unwrap();
    let both = place.settings("master.key", &["old.key"]);
    assert_eq!(refusal(&place, both.clone()), "restart needed: secrets.master_key");
    place.works();
    let metric = "portcullis_config_last_reload_success 0";
    assert!(place.world.metrics().lines().any(|line| line == metric));
    // Which a restart takes over.
    place.start(&both);
    place.works();
    std::fs::write(&path, &first).unwrap();
    assert_eq!(refusal(&place, both), "restart needed: secrets.master_key");
}

#[test]
fn the_master_key_that_is_in_force_is_no_hindrance() {
    let mut place = Place::open();
    place.world.gateway().reload(Ok(place.world.settings.clone())).unwrap();
    place.works();
    place.world.gateway().reload(Ok(place.settings("master.key", &["another.key"]))).unwrap();
    place.works();
}
