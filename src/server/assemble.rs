//! Who gets whom. Settings reach the parts here and nowhere else.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tokio::runtime::Handle;

use super::desks::{self, Footing};
use super::ground::{self, Nature, Stores};
use super::key_reload::KeyReload;
use super::keyrings::{Keyrings, read_keys};
use super::logs::{access_log, audit_log};
use super::mail::MailRoom;
use super::open_files;
use super::schedule::{Listening, Schedule};
use super::shared::SharedGround;
use super::start_error::StartError;
use crate::access::gatekeeper::{CredentialRule, Gatekeeper};
use crate::access::key_check::KeyCheck;
use crate::access::miss_budget::MissBudget;
use crate::access::request_limits::{Counters, GeneralLimits, RequestLimits};
use crate::access::serial::Serial;
use crate::access::slow_keys::SlowKeyCheck;
use crate::access::token_check::TokenCheck;
use crate::access::voucher::Voucher;
use crate::api::context::Services;
use crate::api::router::Api;
use crate::cache::api_keys::CachedApiKeys;
use crate::cache::epochs::Epochs;
use crate::cache::propagation::Propagation;
use crate::cache::quotas::QuotaBook;
use crate::cache::remembered::{Bounds, Surroundings};
use crate::cache::sessions::CachedSessions;
use crate::cache::users::CachedUsers;
use crate::cache::{Forget, Forgetters};
use crate::config::settings::{self, Compatibility, HeaderPreset, Settings, Upstream};
use crate::crypto::assertion::AssertionWriter;
use crate::crypto::tokens::{Keys, Tokens};
use crate::domain::key_tally::KeyTally;
use crate::domain::token::TokenRules;
use crate::edge::body::BodyLimits;
use crate::edge::gateway::Gateway;
use crate::edge::identity_headers::{HeaderNames, IdentityHeaders};
use crate::edge::in_flight::InFlight;
use crate::edge::record::Recorder;
use crate::edge::sanitise::Sanitiser;
use crate::edge::standing::StandingTunnels;
use crate::edge::upstreams::{ServerAddress, UpstreamSpec, Upstreams};
use crate::edge::wire::{ConnectionBounds, Connections, HeadLimits, Tunnels, WireSettings};
use crate::identity::passwords::Passwords;
use crate::jobs::delete_expired::DeleteExpired;
use crate::jobs::follow_invalidations::FollowInvalidations;
use crate::jobs::record_uses::RecordUses;
use crate::jobs::send_mail::SendMail;
use crate::routing::client_address::TrustedProxies;
use crate::routing::host::HostPattern;
use crate::routing::route::Route;
use crate::routing::table::RouteTable;
use crate::storage::invalidations::Heed;
use crate::telemetry::metrics::Metrics;

/// For stores, logs, listeners and the operators' own connections.
const FILES_KEPT: usize = 128;

/// Everything that runs, put together and not yet started.
pub struct Assembly {
    pub gateway: Gateway,
    pub wire: WireSettings,
    pub metrics: Arc<Metrics>,
    pub in_flight: InFlight,
    pub gatekeeper: Arc<Gatekeeper>,
    pub counters: Arc<Counters>,
    pub quotas: Arc<QuotaBook>,
    pub connections: Arc<Connections>,
    pub passwords: Arc<Passwords>,
    pub stores: Stores,
    pub record_uses: Arc<RecordUses>,
    pub schedule: Schedule,
    /// Told of what is changed in the stores for as long as this lives.
    pub heed: Arc<dyn Heed>,
    pub shared: Option<SharedGround>,
}

/// Where work is done that is not done on the thread of its connection.
pub struct Runtimes {
    /// Calls to the stores.
    pub stores: Handle,
    /// What is served here.
    pub handlers: Handle,
}

pub async fn assemble(settings: &Settings, nature: &Nature, runtimes: &Runtimes) -> Result<Assembly, StartError> {
    let mail_room = MailRoom::open(&settings.mail)?;
    let stores = Stores::open(settings).await?;
    let (token_keys, assertion_keys) = read_keys(settings, &stores, nature).await?;
    let keyrings = Keyrings { tokens: Keys::new(token_keys), assertions: Keys::new(assertion_keys) };
    let master_keys = Arc::new(ground::master_keys(settings)?);
    let mut metrics = Metrics::new().map_err(|error| StartError::Process(error.to_string()))?;
    metrics.prepare_routes(settings.routes.iter().map(|route| route.name.as_ref()));
    let metrics = Arc::new(metrics);
    let passwords = ground::passwords(&settings.passwords, nature)?;

    let bounds = Bounds {
        bytes: settings.cache.bytes,
        max_age: settings.cache.max_age,
        negative_max_age: settings.cache.negative_max_age,
        stale_ok: settings.cache.stale_ok,
    };
    metrics.revocation_bound_seconds.set(bounds.max_age.as_secs_f64());
    let surroundings = || Surroundings {
        clock: Arc::clone(&nature.clock),
        metrics: Arc::clone(&metrics),
        runtime: runtimes.stores.clone(),
    };
    let shared = match &settings.cache.redis {
        Some(redis) => Some(SharedGround::open(redis, nature, &master_keys, &metrics, &runtimes.stores).await?),
        None => None,
    };
    let epochs = Arc::new(Epochs::default());
    let second = || shared.as_ref().map(|shared| shared.second_level(&epochs, bounds.max_age, surroundings()));
    let users = Arc::new(CachedUsers::new(Arc::clone(&stores.users), second(), bounds, surroundings()));
    let sessions = Arc::new(CachedSessions::new(Arc::clone(&stores.sessions), second(), bounds, surroundings()));
    let api_keys = Arc::new(CachedApiKeys::new(Arc::clone(&stores.api_keys), second(), bounds, surroundings()));

    let tokens = Tokens::new(keyrings.tokens.clone(), token_rules(settings));
    let serial = Arc::new(Serial::default());
    let key_tally = KeyTally::default();
    let miss_budget =
        Arc::new(MissBudget::new(settings.limits.unknown_keys_per_second, settings.limits.unknown_keys_burst));
    let slow_keys =
        SlowKeyCheck::new(Arc::clone(&stores.slow_keys)).map_err(|error| StartError::Process(error.to_string()))?;
    let gatekeeper = Arc::new(Gatekeeper::new(
        TokenCheck::new(
            tokens.clone(),
            Arc::clone(&sessions) as _,
            Arc::clone(&users) as _,
            settings.roles.clone(),
            settings.second_factor.required,
            settings.cache.bytes,
            Arc::clone(&serial),
        ),
        KeyCheck::new(
            Arc::clone(&api_keys) as _,
            slow_keys,
            Arc::clone(&users) as _,
            settings.roles.clone(),
            Arc::clone(&miss_budget),
            key_tally.clone(),
            Arc::clone(&serial),
        ),
        credential_rule(settings),
        Arc::clone(&nature.clock),
        serial,
    ));

    let budgets = || shared.as_ref().map(SharedGround::budgets);
    let quotas = Arc::new(QuotaBook::new(Arc::clone(&stores.quotas), budgets(), runtimes.stores.clone()));
    let general = GeneralLimits {
        per_address: settings.limits.per_address,
        per_principal: settings.limits.per_principal,
        keys_shared: true,
    };
    let parties = usize::try_from(settings.limits.counters).unwrap_or(usize::MAX);
    let counters = Arc::new(Counters::new(parties, budgets(), Arc::clone(&quotas) as _));

    let remembering = Stores {
        users: Arc::clone(&users) as _,
        sessions: Arc::clone(&sessions) as _,
        api_keys: Arc::clone(&api_keys) as _,
        ..stores.clone()
    };
    let desks = desks::set_up(Footing {
        settings,
        nature,
        stores: &remembering,
        passwords: &passwords,
        tokens: &tokens,
        keyrings: &keyrings,
        master_keys: &master_keys,
        mail_room: &mail_room,
        miss_budget,
        witness: Arc::new(audit_log(settings, &metrics)?),
    });
    let guesses_kept = desks.guess_rules.longest_window();
    let send_mail = SendMail {
        outbox: Arc::clone(&stores.outbox),
        outgoing: desks.outgoing,
        carrier: mail_room.carrier,
        clock: Arc::clone(&nature.clock),
        random: Arc::clone(&nature.random),
    };
    let services = desks.services;
    let (api, table) = routes(settings, services, &runtimes.handlers)?;

    let recorder = Recorder {
        metrics: Arc::clone(&metrics),
        log: Arc::new(access_log(settings, &metrics)?),
        clock: Arc::clone(&nature.clock),
    };
    let in_flight = InFlight::new(metrics.in_flight.clone());
    let tunnels = Arc::new(Tunnels::default());
    let standing = Arc::new(StandingTunnels::new(Arc::clone(&tunnels), Arc::clone(&gatekeeper)));
    let gateway = Gateway {
        sanitiser: Sanitiser::new(
            TrustedProxies::new(settings.trusted_proxies.clone()),
            settings.compatibility == Compatibility::Django,
            nature.random.as_ref(),
        ),
        table: Arc::new(table),
        gatekeeper: Arc::clone(&gatekeeper),
        limits: RequestLimits::new(general, Arc::clone(&counters)),
        api,
        identity: identity_headers(settings, keyrings.assertions.clone(), nature),
        upstreams: Upstreams::new(upstreams(&settings.upstreams), Arc::clone(&nature.clock)),
        recorder: recorder.clone(),
        in_flight: in_flight.clone(),
        standing: Arc::clone(&standing),
        body_limits: BodyLimits { bytes: settings.limits.body_bytes, timeout: settings.limits.body_timeout },
        idle_timeout: settings.limits.idle_timeout.as_secs().max(1),
    };
    let connections = Arc::new(Connections::default());
    let wire = WireSettings {
        limits: HeadLimits {
            header_bytes: settings.limits.header_bytes,
            header_fields: settings.limits.header_fields,
            target_bytes: settings.limits.target_bytes,
        },
        head_timeout: settings.limits.head_timeout,
        observer: Arc::new(recorder),
        tunnels,
        connections: Arc::clone(&connections),
        connection_bounds: connection_bounds(settings),
    };
    let key_reload = Arc::new(KeyReload {
        settings: settings.clone(),
        stores: stores.clone(),
        nature: nature.clone(),
        keyrings,
        gatekeeper: Arc::clone(&gatekeeper),
        due: AtomicBool::new(false),
    });
    let propagation = Propagation::new(Arc::clone(&nature.clock), Arc::clone(&metrics));
    let forgetters: Vec<Arc<dyn Forget>> = vec![
        Arc::clone(&epochs) as _,
        users,
        Arc::clone(&sessions) as _,
        api_keys,
        Arc::clone(&key_reload) as _,
        Arc::new(propagation),
    ];
    let forgetters = Arc::new(Forgetters::new(forgetters));
    let heed: Arc<dyn Heed> = match &shared {
        Some(shared) => Arc::new(shared.announcer(&forgetters, &runtimes.stores)),
        None => Arc::clone(&forgetters) as _,
    };
    let wake = Arc::default();
    let listening = shared.as_ref().map(|shared| {
        let listener = shared.listener(&forgetters, &epochs, &wake);
        Listening { shared: shared.clone(), listener }
    });
    stores.pool.tell(Arc::downgrade(&heed));
    let delete_expired = DeleteExpired {
        sessions,
        challenges: Arc::clone(&stores.challenges),
        password_resets: Arc::clone(&stores.password_resets),
        guesses: Arc::clone(&stores.guesses),
        audit: Arc::clone(&stores.audit),
        invalidations: Arc::clone(&stores.invalidations),
        signing_keys: Arc::clone(&stores.signing_keys),
        quotas: Arc::clone(&stores.quotas),
        guesses_kept,
        audit_kept: settings.audit.keep,
        keys_kept: settings.tokens.refresh_lifetime.max(settings.tokens.access_lifetime) + settings.tokens.leeway,
        clock: Arc::clone(&nature.clock),
    };
    let record_uses = Arc::new(RecordUses { keys: Arc::clone(&stores.api_keys), tally: key_tally });
    let schedule = Schedule {
        follow_invalidations: Arc::new(FollowInvalidations::new(Arc::clone(&stores.invalidations), forgetters)),
        follow_every: settings.cache.poll_interval,
        wake,
        listening,
        key_reload,
        standing,
        delete_expired: Arc::new(delete_expired),
        record_uses: Arc::clone(&record_uses),
        send_mail,
        quotas: Arc::clone(&quotas),
        clock: Arc::clone(&nature.clock),
        metrics: Arc::clone(&metrics),
    };
    Ok(Assembly {
        gateway,
        wire,
        metrics,
        in_flight,
        gatekeeper,
        counters,
        quotas,
        connections,
        passwords,
        stores,
        record_uses,
        schedule,
        heed,
        shared,
    })
}

/// As many as are configured and as there are files for: each connection may need another one to an upstream.
fn connection_bounds(settings: &Settings) -> ConnectionBounds {
    let most = usize::try_from(settings.limits.connections).unwrap_or(usize::MAX);
    let most_per_network = usize::try_from(settings.limits.connections_per_address).unwrap_or(usize::MAX);
    let room = open_files::raise().saturating_sub(FILES_KEPT) / 2;
    if room < most {
        tracing::warn!(
            connections = room,
            "fewer connections than limits.connections: the system allows too few open files"
        );
    }
    ConnectionBounds { most: most.min(room.max(1)), most_per_network, exempt: settings.trusted_proxies.clone() }
}

/// The configured routes and our own, in one table, and the router behind our own.
fn routes(settings: &Settings, services: Services, runtime: &Handle) -> Result<(Api, RouteTable), StartError> {
    let faulty = |fault: String| StartError::Routes(fault);
    let settings::Api { prefix, docs } = &settings.api;
    let (api, own) = Api::build(prefix, *docs, settings.second_factor.administration, services, runtime.clone())
        .map_err(|e| faulty(e.to_string()))?;
    let table = table(settings, own)?;
    Ok((api, table))
}

/// The route table for `settings`, with the gateway's `own` routes in it: on every host that any route is for, because a
/// host with routes of its own is asked before the routes for any host.
pub fn table(settings: &Settings, own: Vec<Route>) -> Result<RouteTable, StartError> {
    let hosts: HashSet<&HostPattern> =
        settings.routes.iter().map(|route| &route.host).chain([&HostPattern::Any]).collect();
    let own = hosts.into_iter().flat_map(|host| own.iter().map(|route| Route { host: host.clone(), ..route.clone() }));
    let all = own.chain(settings.routes.iter().cloned());
    RouteTable::build(all).map_err(|overlap| StartError::Routes(overlap.to_string()))
}

fn token_rules(settings: &Settings) -> TokenRules {
    let tokens = &settings.tokens;
    TokenRules {
        issuer: tokens.issuer.clone(),
        audience: tokens.audience.clone(),
        leeway: tokens.leeway,
        strict: settings.compatibility == Compatibility::None,
        max_access_lifetime: tokens.access_lifetime,
        max_refresh_lifetime: tokens.refresh_lifetime,
    }
}

const fn credential_rule(settings: &Settings) -> CredentialRule {
    match settings.compatibility {
        Compatibility::None => CredentialRule::AllPresented,
        Compatibility::Django => CredentialRule::Django,
    }
}

/// The header names of a preset.
pub const fn header_names(preset: HeaderPreset) -> HeaderNames {
    match preset {
        HeaderPreset::Portcullis => HeaderNames::portcullis(),
        HeaderPreset::OAuth2Proxy => HeaderNames::oauth2_proxy(),
        HeaderPreset::Authelia => HeaderNames::authelia(),
        HeaderPreset::Kong => HeaderNames::kong(),
        HeaderPreset::Django => HeaderNames::django(),
    }
}

fn identity_headers(settings: &Settings, keys: Keys, nature: &Nature) -> IdentityHeaders {
    let identity = &settings.identity;
    let writer = AssertionWriter { issuer: identity.assertion_issuer.clone(), lifetime: identity.assertion_lifetime };
    let voucher = identity.assertion.then(|| Voucher::new(writer, keys, Arc::clone(&nature.random)));
    IdentityHeaders::new(header_names(identity.preset), voucher)
}

fn upstreams(configured: &[Upstream]) -> Vec<UpstreamSpec> {
    let address = |server: &settings::Server| match server {
        settings::Server::Address(address) => ServerAddress::Fixed(*address),
        settings::Server::Name { host, port } => ServerAddress::Named { host: host.clone(), port: *port },
    };
    configured
        .iter()
        .map(|upstream| UpstreamSpec {
            name: Arc::clone(&upstream.name),
            servers: upstream.servers.iter().map(address).collect(),
            tls: upstream.tls.as_ref().map(|tls| tls.server_name.clone()),
            host: upstream.host.clone(),
            connect_timeout: upstream.connect_timeout,
            read_timeout: upstream.read_timeout,
            write_timeout: upstream.write_timeout,
            idle_timeout: upstream.idle_timeout,
        })
        .collect()
}
