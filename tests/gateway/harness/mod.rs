//! A gateway, an upstream, and a client that can also misbehave.

pub mod asker;
pub mod authenticator;
#[path = "../../tls/certificates.rs"]
pub mod certificates;
pub mod client;
pub mod forge;
pub mod mailbox;
pub mod plan;
#[allow(dead_code)]
#[path = "../../postgres/server.rs"]
pub mod postgres;
pub mod upstream;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use portcullis::config;
use portcullis::config::settings::Settings;
use portcullis::crypto::random::OsRandom;
use portcullis::domain::api_key::ApiKey;
use portcullis::domain::audit::{AuditAction, AuditOutcome, AuditQuery, Initiator, StoredOutcome};
use portcullis::domain::change::Change;
use portcullis::domain::clock::Timestamp;
use portcullis::domain::key_owner::KeyOwner;
use portcullis::domain::key_terms::KeyTerms;
use portcullis::domain::scope::ScopeSet;
use portcullis::domain::secret::Secret;
use portcullis::domain::user::{Email, User, UserId, Username};
use portcullis::identity::api_keys::{Expiry, NewKey};
use portcullis::identity::users::NewUser;
use portcullis::server::ground::{Administration, Nature, Stores, make_master_key};
use portcullis::server::run::{Running, back_office};
use tempfile::TempDir;
use tokio::runtime::Runtime;

pub use self::client::{Client, Reply};
pub use self::mailbox::{Mail, Mailbox};
pub use self::plan::{DJANGO_SECRET, cheap_hash};
pub use self::upstream::{Seen, Upstream};

/// A running gateway in front of an echoing upstream.
pub struct World {
    pub gateway: Option<Running>,
    pub upstream: Upstream,
    pub settings: Settings,
    #[allow(dead_code, reason = "for tests that look behind what is served")]
    pub stores: Stores,
    pub administration: Administration,
    runtime: Runtime,
    pub directory: TempDir,
    access_log: std::path::PathBuf,
}

/// How a world differs from the plain one.
#[derive(Default)]
pub struct Plan {
    /// The `routes:` list; without it one catch-all that takes tokens and keys.
    pub routes: Option<String>,
    /// Further top-level sections.
    pub extra: String,
    /// What stands in `listen.https` beside its address; without it there is none.
    pub https: Option<String>,
    /// The whole `tokens:` value.
    pub tokens: Option<String>,
    /// Options of the upstream `backend`, after its servers: `, read_timeout: 300ms`.
    pub upstream_options: String,
    /// The servers of `backend`, where `{live}` stands for the echoing one; without it that one alone.
    pub servers: Option<String>,
    /// Further upstreams, one on each line; `{live}` as above.
    pub upstreams: String,
    pub nature: Option<Nature>,
    /// Another store than a file in the directory of the world.
    pub storage: Option<String>,
    /// Environment for `${NAME}` in the above.
    pub environment: BTreeMap<String, String>,
}

pub const PASSWORD: &str = "correct horse battery staple";

impl World {
    /// One route that takes tokens and keys.
    pub fn start() -> Self {
        Self::plan(Plan::default())
    }

    pub fn with_routes(routes: &str) -> Self {
        Self::plan(Plan { routes: Some(routes.to_owned()), ..Plan::default() })
    }

    pub fn plan(plan: Plan) -> Self {
        let upstream = Upstream::start();
        let directory = tempfile::tempdir().unwrap();
        let access_log = directory.path().join("access.log");
        let text = configuration(&plan, directory.path(), upstream.address(), &access_log);
        let settings = config::read(&text, "test.yaml", directory.path(), &plan.environment)
            .unwrap_or_else(|faults| panic!("{faults}\n{text}"));
        let nature = plan.nature.unwrap_or_else(Nature::real);
        let runtime = back_office().unwrap();
        let (stores, administration) = runtime.block_on(async {
            let stores = Stores::prepare(&settings).await.unwrap();
            make_master_key(&settings, &stores, nature.random.as_ref()).await.unwrap();
            let administration = Administration::new(&settings, &stores, &nature).unwrap();
            (stores, administration)
        });
        let gateway = Running::start_with(&settings, &nature).unwrap_or_else(|error| panic!("{error}"));
        Self { gateway: Some(gateway), upstream, settings, stores, administration, runtime, directory, access_log }
    }

    pub fn gateway(&self) -> &Running {
        self.gateway.as_ref().unwrap()
    }

    pub fn http(&self) -> SocketAddr {
        self.gateway().http()
    }

    pub fn https(&self) -> SocketAddr {
        self.gateway().https().unwrap()
    }

    pub fn ops(&self) -> SocketAddr {
        self.gateway().ops()
    }

    /// Runs a future where the stores of this world are at home.
    pub fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// A user with [`PASSWORD`].
    pub fn user(&self, name: &str) -> User {
        self.user_with(name, false, "")
    }

    pub fn user_with(&self, name: &str, is_admin: bool, scopes: &str) -> User {
        self.user_at(name, "someone@example.org", is_admin, scopes)
    }

    /// A user with [`PASSWORD`] and this address.
    pub fn user_mailed_at(&self, name: &str, email: &str) -> User {
        self.user_at(name, email, false, "")
    }

    fn user_at(&self, name: &str, email: &str, is_admin: bool, scopes: &str) -> User {
        let new = NewUser {
            email: Some(Email::parse(email).unwrap()),
            is_admin,
            scopes: ScopeSet::parse(scopes).unwrap(),
            ..NewUser::named(Username::parse(name).unwrap(), Some(Secret::new(PASSWORD.to_owned())))
        };
        self.wait(self.administration.users.create(new, &crate::harness::operator())).unwrap()
    }

    /// A user with [`PASSWORD`] and a chosen id, as an import makes one.
    pub fn user_with_id(&self, id: &str, name: &str) -> User {
        let at = Timestamp::from_secs(1_700_000_000);
        let user = User {
            id: UserId(id.to_owned()),
            username: name.to_owned(),
            email: String::new(),
            is_active: true,
            first_name: String::new(),
            last_name: String::new(),
            is_admin: false,
            roles: portcullis::domain::role::RoleSet::default(),
            scopes: ScopeSet::default(),
            password: cheap_hash(),
            created_at: at,
            password_changed_at: at,
            tokens_valid_from: None,
            last_sign_in_at: None,
            has_second_factor: false,
        };
        self.wait(self.stores.users.insert(&user, &operators_change())).unwrap();
        user
    }

    /// An API key of a service, and its text.
    pub fn key(&self, scopes: &str) -> (ApiKey, String) {
        self.key_of(KeyOwner::Service("robot".to_owned()), scopes, None)
    }

    pub fn key_of(&self, owner: KeyOwner, scopes: &str, expires_in: Option<Duration>) -> (ApiKey, String) {
        let expiry = expires_in.map_or(Expiry::Never, Expiry::In);
        self.make_key(owner, scopes, expiry, KeyTerms::default())
    }

    /// An API key of a service with these limits, and its text.
    pub fn limited_key(&self, terms: KeyTerms) -> (ApiKey, String) {
        self.make_key(KeyOwner::Service("robot".to_owned()), "", Expiry::Never, terms)
    }

    fn make_key(&self, owner: KeyOwner, scopes: &str, expiry: Expiry, terms: KeyTerms) -> (ApiKey, String) {
        let new = NewKey { name: "test".to_owned(), owner, scopes: ScopeSet::parse(scopes).unwrap(), expiry, terms };
        let (key, secret) = self.wait(self.administration.keys.create(new, &crate::harness::operator())).unwrap();
        (key, secret.expose().to_owned())
    }

    /// Signs in over HTTP: (access, refresh).
    pub fn sign_in(&self, name: &str) -> (String, String) {
        let reply = self.post_json("/api/v1/auth/token/", &serde_json::json!({"username": name, "password": PASSWORD}));
        assert_eq!(reply.status, 200, "{reply:?}");
        let body = reply.json();
        (body["access"].as_str().unwrap().to_owned(), body["refresh"].as_str().unwrap().to_owned())
    }

    /// One request on a connection of its own.
    pub fn request(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        Client::connect(self.http()).request(method, target, headers, body)
    }

    pub fn get(&self, target: &str, headers: &[(&str, &str)]) -> Reply {
        self.request("GET", target, headers, b"")
    }

    /// With a bearer token.
    pub fn get_as(&self, target: &str, token: &str) -> Reply {
        self.get(target, &[("Authorization", &format!("Bearer {token}"))])
    }

    pub fn post_json(&self, target: &str, body: &serde_json::Value) -> Reply {
        self.request("POST", target, &[("Content-Type", "application/json")], body.to_string().as_bytes())
    }

    /// With a bearer token.
    pub fn post_json_as(&self, target: &str, token: &str, body: &serde_json::Value) -> Reply {
        let headers = [("Content-Type", "application/json"), ("Authorization", &format!("Bearer {token}"))];
        self.request("POST", target, &headers, body.to_string().as_bytes())
    }

    /// What a sign-in with this password is answered.
    pub fn try_sign_in(&self, name: &str, password: &str) -> Reply {
        self.post_json("/api/v1/auth/token/", &serde_json::json!({"username": name, "password": password}))
    }

    /// Refreshes over HTTP.
    pub fn refresh(&self, token: &str) -> Reply {
        self.post_json("/api/v1/auth/token/refresh/", &serde_json::json!({ "refresh": token }))
    }

    /// `me/` with a bearer token.
    pub fn me(&self, token: &str) -> Reply {
        self.get_as("/api/v1/auth/me/", token)
    }

    /// How many requests have ended for this reason, as the metrics tell it.
    pub fn counted(&self, reason: &str) -> u64 {
        let label = format!("reason=\"{reason}\"");
        let metrics = self.metrics();
        let lines = metrics.lines().filter(|line| line.starts_with("portcullis_requests_total{"));
        let number = |line: &str| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap();
        lines.filter(|line| line.contains(&label)).map(number).sum()
    }

    /// A request is counted once its answer is on the way, so this may take a moment.
    pub fn assert_counted(&self, reason: &str, count: u64) {
        eventually(&format!("{count} requests that ended with {reason}"), || {
            (self.counted(reason) == count).then_some(())
        });
    }

    /// Waits until the gateway has heard of all that was changed beside it, so that nothing it remembers from here on
    /// is forgotten for that.
    pub fn settle(&self) {
        let newest = self.wait(self.stores.invalidations.newest()).unwrap();
        let line = format!("portcullis_invalidation_epoch {}", newest.0);
        eventually("the invalidations to be applied", || self.metrics().lines().any(|l| l == line).then_some(()));
    }

    /// Bytes as they are, on a connection of their own, until the gateway closes it.
    pub fn raw(&self, bytes: &[u8]) -> Vec<u8> {
        Client::connect(self.http()).raw(bytes)
    }

    /// The access log so far, as JSON, once it has at least `lines` lines.
    pub fn access_log(&self, lines: usize) -> Vec<serde_json::Value> {
        eventually("access-log lines", || {
            let text = std::fs::read_to_string(&self.access_log).unwrap_or_default();
            let found: Vec<_> = whole_lines(&text).map(|line| serde_json::from_str(line).unwrap()).collect();
            (found.len() >= lines).then_some(found)
        })
    }

    /// The one line of the access log that is about this request.
    pub fn access_line(&self, request_id: &str) -> serde_json::Value {
        eventually("an access-log line", || {
            self.access_log(1).into_iter().find(|line| line["request_id"] == request_id)
        })
    }

    /// The access log as it is written.
    pub fn access_text(&self) -> String {
        std::fs::read_to_string(&self.access_log).unwrap_or_default()
    }

    /// The audit log as it is written.
    pub fn audit_text(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("audit.log")).unwrap_or_default()
    }

    /// The events of one kind, by the millisecond in which they happened: reason (empty where it was done), user.
    pub fn audited(&self, action: AuditAction) -> Vec<(String, Option<UserId>)> {
        let query = AuditQuery { action: Some(action), limit: 1000, ..AuditQuery::default() };
        let mut events = self.wait(self.stores.audit.list(&query)).unwrap();
        events.reverse();
        let reason = |outcome| match outcome {
            StoredOutcome::Done => String::new(),
            StoredOutcome::Refused(reason) => reason,
        };
        events.into_iter().map(|event| (reason(event.outcome), event.user)).collect()
    }

    /// Bytes as they are, on a connection of their own, and the first reply to them.
    pub fn exchange(&self, bytes: &[u8]) -> (Reply, Client) {
        let mut client = Client::connect(self.http());
        let _ = client.try_write(bytes);
        (client.reply(bytes.starts_with(b"HEAD ")), client)
    }

    /// The metrics in the text format.
    pub fn metrics(&self) -> String {
        Client::connect(self.ops()).request("GET", "/metrics", &[], b"").text()
    }

    /// Takes over other routes, where nothing else was planned.
    pub fn reload_routes(&self, routes: &str) {
        self.reload(&Plan { routes: Some(routes.to_owned()), ..Plan::default() });
    }

    /// Takes over what another plan says of the configuration.
    pub fn reload(&self, plan: &Plan) {
        let directory = self.directory.path();
        let text = configuration(plan, directory, self.upstream.address(), &self.access_log);
        let settings = config::read(&text, "test.yaml", directory, &plan.environment);
        self.gateway().reload(settings).unwrap_or_else(|refused| panic!("{refused}\n{text}"));
    }

    /// Stops the gateway and starts it again on the same data and ports of its own.
    pub fn restart(&mut self) {
        self.gateway = None;
        self.gateway = Some(Running::start(&self.settings).unwrap_or_else(|error| panic!("{error}")));
    }
}

/// The writer may be in the middle of the last one.
fn whole_lines(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive('\n').filter(|line| line.ends_with('\n'))
}

fn configuration(plan: &Plan, directory: &Path, upstream: SocketAddr, access_log: &Path) -> String {
    let directory = directory.display();
    let routes = plan
        .routes
        .clone()
        .unwrap_or_else(|| "  - { name: all, path: /, upstream: backend, access: { any: [jwt, api_key] } }".to_owned());
    let live = |text: &str| text.replace("{live}", &upstream.to_string());
    let tokens = plan.tokens.as_ref().map(|tokens| format!("tokens: {tokens}\n")).unwrap_or_default();
    let https = plan.https.as_ref().map(|https| format!(", https: {{ address: \"127.0.0.1:0\", {https} }}"));
    format!(
        "listen: {{ http: \"127.0.0.1:0\", ops: \"127.0.0.1:0\"{https} }}\n\
         storage: {{ url: \"{storage}\" }}\n\
         secrets: {{ master_key: {{ file: \"{directory}/master.key\" }} }}\n\
         log: {{ access: {{ file: \"{log}\" }}, audit: {{ file: \"{directory}/audit.log\" }} }}\n\
         workers: {{ threads: 1 }}\n\
         {tokens}{extra}\n\
         upstreams:\n  backend: {{ servers: [{servers}]{options} }}\n{upstreams}\n\
         routes:\n{routes}\n",
        log = access_log.display(),
        storage = plan.storage.clone().unwrap_or_else(|| format!("sqlite://{directory}/portcullis.db")),
        https = https.unwrap_or_default(),
        extra = plan.extra,
        options = plan.upstream_options,
        servers = live(plan.servers.as_deref().unwrap_or("\"{live}\"")),
        upstreams = live(&plan.upstreams),
    )
}

/// An address where nobody listens: a free port could be another test's in the next moment, this one is nobody's.
pub const NOBODY: &str = "127.0.0.1:1";

/// Asks again and again until there is an answer; gives up after ten seconds.
pub fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    for _ in 0..1000 {
        if let Some(answer) = ask() {
            return answer;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("never came: {what}");
}

/// Who changes things in a test, beside the running gateway.
pub fn operator() -> Initiator {
    Initiator::operator()
}

/// What comes with a change that a test makes in the store itself.
pub fn operators_change() -> Change {
    let random = OsRandom::new();
    operator().did(AuditAction::UserChange, AuditOutcome::Done, Timestamp::from_secs(1_700_000_000), &random).into()
}

/// A shared list that threads write and tests read.
pub type Shared<T> = Arc<Mutex<Vec<T>>>;
