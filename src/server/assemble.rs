//! Who gets whom. Settings reach the parts here and nowhere else.

use std::collections::HashSet;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::runtime::Handle;

use super::desks::{self, Footing};
use super::foundation::Foundation;
use super::ground::{self, Nature};
use super::keyrings::{Keyrings, read_keys};
use super::logs::{access_log, audit_log};
use super::mail::MailRoom;
use super::open_files;
use super::start_error::StartError;
use crate::access::gatekeeper::{CredentialRule, Gatekeeper};
use crate::access::key_check::KeyCheck;
use crate::access::miss_budget::MissBudget;
use crate::access::request_limits::{GeneralLimits, RequestLimits};
use crate::access::slow_keys::SlowKeyCheck;
use crate::access::token_check::TokenCheck;
use crate::access::voucher::Voucher;
use crate::api::context::Services;
use crate::api::router::Api;
use crate::config::settings::{self, Compatibility, HeaderPreset, Settings, Upstream};
use crate::crypto::assertion::AssertionWriter;
use crate::crypto::tokens::{Keys, Tokens};
use crate::domain::credential::AuthorizationRules;
use crate::domain::token::TokenRules;
use crate::edge::body::BodyLimits;
use crate::edge::identity_headers::{HeaderNames, IdentityHeaders};
use crate::edge::record::Recorder;
use crate::edge::regime::Regime;
use crate::edge::sanitise::Sanitiser;
use crate::edge::upstreams::{ServerAddress, UpstreamSpec, Upstreams};
use crate::edge::wire::{ConnectionBounds, HeadLimits, WireSettings};
use crate::identity::passwords::Passwords;
use crate::jobs::delete_expired::DeleteExpired;
use crate::jobs::send_mail::SendMail;
use crate::routing::client_address::TrustedProxies;
use crate::routing::host::HostPattern;
use crate::routing::route::Route;
use crate::routing::table::RouteTable;
use crate::telemetry::audit_log::AuditLog;

/// For stores, logs, listeners and the operators' own connections.
const FILES_KEPT: usize = 128;

/// One reading of the configuration, put together: what requests meet, and what the jobs go by.
pub struct Assembly {
    pub settings: Arc<Settings>,
    pub regime: Arc<Regime>,
    pub wire: Arc<WireSettings>,
    pub keyrings: Keyrings,
    pub passwords: Arc<Passwords>,
    miss_budget: Arc<MissBudget>,
    slow_keys: Arc<SlowKeyCheck>,
    pub audit_log: Arc<AuditLog>,
    pub delete_expired: DeleteExpired,
    pub send_mail: SendMail,
}

/// The one in force.
pub type InForce = Arc<ArcSwap<Assembly>>;

/// Puts together what `settings` say, on the foundation that is there. What does not differ from `before` is taken over
/// with all that it remembers.
pub async fn assemble(
    settings: &Settings,
    foundation: &Foundation,
    before: Option<&Assembly>,
) -> Result<Assembly, StartError> {
    let Foundation { nature, stores, remembering, metrics, .. } = foundation;
    let same = Unchanged { settings, before };
    let mail_room = MailRoom::open(&settings.mail)?;
    let master_keys = Arc::new(ground::master_keys(settings)?);
    // Read in any case: a master key that opens nothing is to be noticed before it is in force.
    let (token_keys, assertion_keys) = read_keys(settings, stores, nature).await?;
    if master_keys.current_id() != foundation.master_key_id {
        return Err(StartError::RestartNeeded("secrets.master_key"));
    }
    let keyrings = match same.by(|settings| &settings.tokens.signing) {
        Some(before) => before.keyrings.clone(),
        None => Keyrings { tokens: Keys::new(token_keys), assertions: Keys::new(assertion_keys) },
    };
    let passwords = match same.by(|settings| &settings.passwords) {
        Some(before) => Arc::clone(&before.passwords),
        None => ground::passwords(&settings.passwords, nature)?,
    };

    let tokens = Tokens::new(keyrings.tokens.clone(), token_rules(settings));
    let serial = &foundation.serial;
    // What is remembered of tokens and keys was derived from roles; whoever loses one loses its scopes at once.
    let token_check = same
        .by(|settings| (&settings.tokens, settings.compatibility, &settings.roles, settings.second_factor.required));
    let token_check = match token_check {
        Some(before) => Arc::clone(before.regime.gatekeeper.tokens()),
        None => Arc::new(TokenCheck::new(
            tokens.clone(),
            Arc::clone(&remembering.sessions),
            Arc::clone(&remembering.users),
            settings.roles.clone(),
            settings.second_factor.required,
            settings.cache.bytes,
            Arc::clone(serial),
        )),
    };
    let budget = same.by(|settings| (settings.limits.unknown_keys_per_second, settings.limits.unknown_keys_burst));
    let miss_budget = match budget {
        Some(before) => Arc::clone(&before.miss_budget),
        None => Arc::new(MissBudget::new(settings.limits.unknown_keys_per_second, settings.limits.unknown_keys_burst)),
    };
    let shared = same.by(|settings| (&settings.lockout.shared_networks, &settings.trusted_proxies));
    let slow_keys = match shared {
        Some(before) => Arc::clone(&before.slow_keys),
        None => {
            let shared = desks::shared_networks(settings);
            let check = SlowKeyCheck::new(Arc::clone(&stores.slow_keys), shared);
            Arc::new(check.map_err(|e| StartError::Process(e.to_string()))?)
        }
    };
    let key_check = same.by(|settings| {
        let limits = &settings.limits;
        let shared = (&settings.lockout.shared_networks, &settings.trusted_proxies);
        (&settings.roles, limits.unknown_keys_per_second, limits.unknown_keys_burst, shared)
    });
    let key_check = match key_check {
        Some(before) => Arc::clone(before.regime.gatekeeper.keys()),
        None => Arc::new(KeyCheck::new(
            Arc::clone(&remembering.api_keys),
            Arc::clone(&slow_keys),
            Arc::clone(&remembering.users),
            settings.roles.clone(),
            Arc::clone(&miss_budget),
            foundation.key_tally.clone(),
            Arc::clone(serial),
        )),
    };
    let gatekeeper = Arc::new(Gatekeeper::new(
        token_check,
        key_check,
        credential_rule(settings),
        Arc::clone(&nature.clock),
        Arc::clone(serial),
    ));

    let audit_log = match same.by(|settings| &settings.log.audit) {
        Some(before) => Arc::clone(&before.audit_log),
        None => Arc::new(audit_log(settings, metrics)?),
    };
    let desks = desks::set_up(Footing {
        settings,
        nature,
        stores: remembering,
        passwords: &passwords,
        tokens: &tokens,
        keyrings: &keyrings,
        master_keys: &master_keys,
        mail_room: &mail_room,
        miss_budget: Arc::clone(&miss_budget),
        slow_keys: Arc::clone(&slow_keys),
        decoys: Arc::clone(&foundation.decoys),
        witness: Arc::clone(&audit_log) as _,
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
    let (api, table) = routes(settings, services, &foundation.handlers)?;

    let recorder = Recorder {
        metrics: Arc::clone(metrics),
        log: match same.by(|settings| &settings.log.access) {
            Some(before) => Arc::clone(&before.regime.recorder.log),
            None => Arc::new(access_log(settings, metrics)?),
        },
        clock: Arc::clone(&nature.clock),
    };
    let regime = Regime {
        sanitiser: Sanitiser::new(
            TrustedProxies::new(settings.trusted_proxies.clone()),
            AuthorizationRules {
                foreign_schemes_are_absent: settings.compatibility == Compatibility::Django,
                keys: settings.keys_in_authorization,
            },
            nature.random.as_ref(),
        ),
        table: Arc::new(table),
        gatekeeper,
        limits: RequestLimits::new(
            GeneralLimits {
                per_address: settings.limits.per_address,
                per_principal: settings.limits.per_principal,
                keys_shared: true,
            },
            Arc::clone(&foundation.counters),
        ),
        api,
        identity: match same.by(|settings| (&settings.identity, &settings.tokens.signing)) {
            Some(before) => Arc::clone(&before.regime.identity),
            None => Arc::new(identity_headers(settings, keyrings.assertions.clone(), nature)),
        },
        upstreams: Upstreams::new(
            upstreams(&settings.upstreams),
            Arc::clone(&nature.clock),
            before.map(|before| &before.regime.upstreams),
        ),
        recorder: recorder.clone(),
        body_limits: BodyLimits { bytes: settings.limits.body_bytes, timeout: settings.limits.body_timeout },
        idle_timeout: settings.limits.idle_timeout.as_secs().max(1),
    };
    let wire = WireSettings {
        limits: HeadLimits {
            header_bytes: settings.limits.header_bytes,
            header_fields: settings.limits.header_fields,
            target_bytes: settings.limits.target_bytes,
        },
        head_timeout: settings.limits.head_timeout,
        observer: Arc::new(recorder),
        tunnels: Arc::clone(&foundation.tunnels),
        connections: Arc::clone(&foundation.connections),
        connection_bounds: connection_bounds(settings),
    };
    let delete_expired = DeleteExpired {
        sessions: Arc::clone(&remembering.sessions),
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
    Ok(Assembly {
        settings: Arc::new(settings.clone()),
        regime: Arc::new(regime),
        wire: Arc::new(wire),
        keyrings,
        passwords,
        miss_budget,
        slow_keys,
        audit_log,
        delete_expired,
        send_mail,
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

/// What may be taken over from the configuration before.
struct Unchanged<'a> {
    settings: &'a Settings,
    before: Option<&'a Assembly>,
}

impl<'a> Unchanged<'a> {
    /// The assembly before, if what `part` shows of the settings is as it was.
    fn by<T: PartialEq>(&self, part: impl Fn(&'a Settings) -> T) -> Option<&'a Assembly> {
        self.before.filter(|before| part(&before.settings) == part(self.settings))
    }
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
