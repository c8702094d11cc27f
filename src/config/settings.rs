//! What the configuration means: every value parsed, every default filled in. Defaults are written where the section
//! is read, so that the document and the code have one source.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use rustls::sign::CertifiedKey;

use super::fault::Fault;
use crate::domain::access_policy::SecondFactorDuty;
use crate::domain::clock::Timestamp;
use crate::domain::lockout::LockoutPolicy;
use crate::domain::password_policy::PasswordPolicy;
use crate::domain::rate_limit::RateLimit;
use crate::domain::redis_deployment::RedisDeployment;
use crate::domain::reset_link::ResetLink;
use crate::domain::role::Roles;
use crate::domain::secret::Secret;
use crate::domain::signing_key::SigningAlgorithm;
use crate::routing::route::Route;

#[derive(Clone, Debug)]
pub struct Settings {
    pub listen: Listen,
    pub storage: Storage,
    pub cache: Cache,
    pub master_key: MasterKeySource,
    /// Master keys that still open what they sealed, and seal nothing any more.
    pub previous_master_keys: Vec<MasterKeySource>,
    pub compatibility: Compatibility,
    /// Keys are read from `Authorization: Api-Key KEY` too. Only under `compatibility: django`.
    pub keys_in_authorization: bool,
    pub tokens: Tokens,
    pub passwords: Passwords,
    pub second_factor: SecondFactor,
    pub lockout: Lockout,
    pub mail: Mail,
    pub api: Api,
    pub identity: IdentityHeaders,
    /// What roles bring to the tokens of who has them.
    pub roles: Roles,
    pub trusted_proxies: Vec<IpNet>,
    pub limits: Limits,
    pub log: Log,
    pub audit: Audit,
    pub workers: Workers,
    pub upstreams: Vec<Upstream>,
    pub routes: Vec<Route>,
    /// Of the text of the file, so that nodes can be told apart that run on different ones; zero when there is no file.
    pub checksum: u32,
    /// Settings that are weaker than their default or easily misused, for the log at start.
    pub warnings: Vec<Fault>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Listen {
    pub http: SocketAddr,
    pub https: Option<Https>,
    pub ops: SocketAddr,
    /// Where commands reach the running process; without it beside the database file, if there is one.
    pub control: Option<PathBuf>,
}

/// Where clients are served over TLS.
#[derive(Clone, Debug, PartialEq)]
pub struct Https {
    pub address: SocketAddr,
    /// At least one, in the order of the file.
    pub certificates: Vec<ServerCertificate>,
    pub min_version: TlsVersion,
    /// For how long a browser that had an answer of ours shall come back over TLS only.
    pub hsts: Option<Duration>,
}

/// A certificate that clients are shown, its chain, and its private key.
#[derive(Clone)]
pub struct ServerCertificate {
    /// The hosts it is for, in lower case: `example.org`, or `*.example.org` for all that are one label longer.
    pub names: Vec<String>,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
    pub key: Arc<CertifiedKey>,
}

impl ServerCertificate {
    /// What it is called where it is spoken of.
    pub fn label(&self) -> &str {
        self.names.first().map_or("unnamed", String::as_str)
    }
}

impl PartialEq for ServerCertificate {
    /// The key belongs to the certificate, so there is no other for an equal one.
    fn eq(&self, other: &Self) -> bool {
        self.key.cert == other.key.cert
    }
}

impl fmt::Debug for ServerCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerCertificate").field("names", &self.names).finish_non_exhaustive()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsVersion {
    Tls12,
    Tls13,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Storage {
    /// May hold a password, so it is never printed whole.
    pub url: Secret<String>,
    /// Run pending schema migrations at start.
    pub migrate: bool,
    /// At most so many at once to a database server.
    pub connections: u32,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Cache {
    /// Upper bound for each in-process cache, in bytes.
    pub bytes: u64,
    /// After this long an entry is read from the store again: the bound on a revocation that no message announced.
    pub max_age: Duration,
    /// How long the absence of a key or user is remembered.
    pub negative_max_age: Duration,
    /// How long a known entry is still served while the store does not answer.
    pub stale_ok: Duration,
    /// How often the invalidation log is read.
    pub poll_interval: Duration,
    /// What nodes share, beside the store.
    pub redis: Option<Redis>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Redis {
    pub deployment: RedisDeployment,
    /// These three come before what a URL says. With sentinels they are for the master.
    pub username: Option<String>,
    pub password: Option<Secret<String>>,
    pub database: Option<u32>,
    /// PEM certificates to trust instead of the system's.
    pub ca: Option<PathBuf>,
    /// What every key and channel begins with.
    pub prefix: String,
    /// For one call, with what it takes to connect.
    pub timeout: Duration,
    pub connections: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub enum MasterKeySource {
    File(PathBuf),
    /// The key itself, from the environment: 64 hex digits or 43/44 characters of base64.
    Value(Secret<String>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compatibility {
    None,
    /// Reads and writes tokens as a Django REST framework installation with simplejwt does.
    Django,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Tokens {
    pub signing: Signing,
    /// How old the key of the gateway's own making grows that signs; without it, until an operator rotates it.
    pub rotate_keys_every: Option<Duration>,
    pub access_lifetime: Duration,
    /// Idle lifetime: a refresh token that is not used for this long is over.
    pub refresh_lifetime: Duration,
    /// Absolute lifetime, which no rotation extends.
    pub session_lifetime: Duration,
    /// `None` under `compatibility: django` unless set.
    pub issuer: Option<String>,
    pub audience: Option<String>,
    pub leeway: Duration,
    pub rotate: bool,
    /// How long the previous refresh token gets the current pair again; zero switches it off.
    pub reuse_grace: Duration,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Signing {
    /// A key made by the gateway, kept sealed in the store.
    Generated(SigningAlgorithm),
    /// HS256 with this secret.
    SharedSecret(Secret<String>),
    /// A private key in PKCS#8 PEM.
    Pem { algorithm: SigningAlgorithm, pem: Secret<String> },
}

#[derive(Clone, Debug, PartialEq)]
pub struct Passwords {
    /// Argon2id memory in KiB.
    pub memory_kib: u32,
    pub iterations: u32,
    pub parallelism: u32,
    /// Threads that hash, and nothing else does.
    pub threads: usize,
    /// Hashes that may wait; beyond it the answer is 503.
    pub queue: usize,
    /// What a password must be before it is set; the issuer's words are among the context words.
    pub policy: PasswordPolicy,
}

/// How guesses are slowed down.
#[derive(Clone, Debug)]
pub struct Lockout {
    /// Passwords, per account.
    pub account: LockoutPolicy,
    /// Second factors and recovery codes, per user.
    pub codes: LockoutPolicy,
    /// All guesses, per client network.
    pub address: LockoutPolicy,
    /// Networks that many clients share, and that are not locked for what one of them does.
    pub shared_networks: Vec<IpNet>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct SecondFactor {
    /// What authenticator apps call the account; `None` under `compatibility: django` unless set. At most 64 bytes, so
    /// that it fits into a QR code beside any user name.
    pub issuer: Option<String>,
    /// How long the password of a sign-in waits for its second factor.
    pub challenge_lifetime: Duration,
    /// Wrong codes after which it waits no longer.
    pub challenge_attempts: u32,
    /// Who must have a second factor.
    pub required: SecondFactorDuty,
    /// Whether who has one is asked for it at each sign-in.
    pub at_sign_in: bool,
    /// Whether administration by session needs a second factor in that session.
    pub administration: bool,
}

#[derive(Clone, Debug)]
pub struct Mail {
    pub transport: MailTransport,
    /// A mailbox, with or without a name.
    pub from: String,
    /// What mails call the place that they are about.
    pub service: String,
    /// Where the link in a mail about a forgotten password leads.
    pub reset_url: ResetLink,
    /// A directory of templates to use instead of ours.
    pub templates: Option<PathBuf>,
}

#[derive(Clone, Debug)]
pub enum MailTransport {
    /// No mail leaves: what would be sent is dropped.
    None,
    /// For trying out: links that let their reader in are in the log.
    Log,
    Directory(PathBuf),
    Smtp(Smtp),
}

#[derive(Clone, Debug)]
pub struct Smtp {
    pub host: String,
    pub port: u16,
    pub tls: SmtpTls,
    /// PEM certificates to trust instead of the system's.
    pub ca: Option<PathBuf>,
    /// User name and password.
    pub credentials: Option<(String, Secret<String>)>,
    pub hello_name: Option<String>,
    /// For the whole delivery of one message.
    pub timeout: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmtpTls {
    Implicit,
    StartTls,
    /// Only to this machine.
    None,
}

#[derive(Clone, Debug)]
pub struct Api {
    /// Without trailing slash: `/api/v1/auth`.
    pub prefix: String,
    /// Serve the API's description, `openapi.json` and `docs/`.
    pub docs: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct IdentityHeaders {
    pub preset: HeaderPreset,
    pub assertion: bool,
    pub assertion_issuer: String,
    /// At most 60 seconds.
    pub assertion_lifetime: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderPreset {
    Portcullis,
    OAuth2Proxy,
    Authelia,
    Kong,
    Django,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    pub header_bytes: usize,
    pub header_fields: usize,
    pub target_bytes: usize,
    /// Bodies of the gateway's own routes.
    pub body_bytes: usize,
    pub body_timeout: Duration,
    /// From the first byte of a request head to its last.
    pub head_timeout: Duration,
    pub idle_timeout: Duration,
    /// How long requests in flight may take to finish after SIGTERM.
    pub drain_timeout: Duration,
    /// Look-ups of unknown API keys per client network: a second's worth, and the burst.
    pub unknown_keys_per_second: u32,
    pub unknown_keys_burst: u32,
    /// Connections of clients at a time, in all and from one client network.
    pub connections: u32,
    pub connections_per_address: u32,
    /// Requests, on all routes together.
    pub per_address: Option<RateLimit>,
    pub per_principal: Option<RateLimit>,
    /// How many addresses, and how many callers, requests are counted for one by one.
    pub counters: u32,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Log {
    pub access: LogPlace,
    pub audit: LogPlace,
    /// A `tracing` filter such as `info` or `portcullis=debug`.
    pub level: String,
}

#[derive(Clone, Copy, Debug)]
pub struct Audit {
    /// How long events stay in the store.
    pub keep: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogPlace {
    Stdout,
    File(PathBuf),
    Off,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Workers {
    /// Threads that proxy.
    pub threads: usize,
}

#[derive(Clone, Debug)]
pub struct Upstream {
    pub name: Arc<str>,
    pub servers: Vec<Server>,
    pub tls: Option<UpstreamTls>,
    /// Replaces the client's `Host`; without it the client's is kept.
    pub host: Option<String>,
    pub connect_timeout: Duration,
    /// Between two reads; the first one too.
    pub read_timeout: Duration,
    pub write_timeout: Duration,
    pub idle_timeout: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Server {
    Address(SocketAddr),
    /// Resolved when it is connected to.
    Name {
        host: String,
        port: u16,
    },
}

#[derive(Clone, Debug)]
pub struct UpstreamTls {
    /// The name the certificate must be for.
    pub server_name: String,
    /// PEM certificates to trust instead of the system's.
    pub ca: Option<PathBuf>,
}

/// What a reader of logs may see of an address that is listened on.
pub fn is_loopback(address: &SocketAddr) -> bool {
    match address.ip() {
        IpAddr::V4(ip) => ip.is_loopback(),
        IpAddr::V6(ip) => ip.is_loopback(),
    }
}
