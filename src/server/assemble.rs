//! Who gets whom. Settings reach the parts here and nowhere else.

use std::sync::Arc;

use arc_swap::ArcSwap;
use ipnet::IpNet;

use super::desks::{self, Footing};
use super::encryption;
use super::foundation::Foundation;
use super::ground::{self, Nature};
use super::keyrings::{Keyrings, read_keys};
use super::logs::{access_log, audit_log};
use super::mail::MailRoom;
use super::open_files;
use super::part::Part;
use super::route_table::routes;
use super::start_error::StartError;
use crate::access::gatekeeper::{CredentialRule, Gatekeeper};
use crate::access::key_check::KeyCheck;
use crate::access::miss_budget::MissBudget;
use crate::access::request_limits::{GeneralLimits, RequestLimits};
use crate::access::slow_keys::SlowKeyCheck;
use crate::access::token_check::TokenCheck;
use crate::access::voucher::Voucher;
use crate::config::settings::{self, Compatibility, HeaderPreset, Https, LogPlace, Settings, Signing, Upstream};
use crate::crypto::assertion::AssertionWriter;
use crate::crypto::tokens::{Keys, Tokens};
use crate::domain::access_policy::SecondFactorDuty;
use crate::domain::credential::AuthorizationRules;
use crate::domain::role::Roles;
use crate::domain::token::TokenRules;
use crate::edge::body::BodyLimits;
use crate::edge::identity_headers::{HeaderNames, IdentityHeaders};
use crate::edge::record::Recorder;
use crate::edge::regime::Regime;
use crate::edge::sanitise::Sanitiser;
use crate::edge::upstreams::{ServerAddress, UpstreamSpec, Upstreams};
use crate::edge::wire::{ConnectionBounds, Encryption, HeadLimits, WireSettings};
use crate::identity::passwords::Passwords;
use crate::jobs::delete_expired::DeleteExpired;
use crate::jobs::send_mail::SendMail;
use crate::routing::client_address::TrustedProxies;
use crate::telemetry::access_log::AccessLog;
use crate::telemetry::audit_log::AuditLog;

/// For stores, logs, listeners and the operators' own connections.
const FILES_KEPT: usize = 128;

/// One reading of the configuration, put together: what requests meet, and what the jobs go by.
pub struct Assembly {
    pub settings: Arc<Settings>,
    pub regime: Arc<Regime>,
    pub wire: Arc<WireSettings>,
    pub keyrings: KeyringsPart,
    pub passwords: Part<settings::Passwords, Arc<Passwords>>,
    token_check: Part<TokenTerms, Arc<TokenCheck>>,
    miss_budget: MissBudgetPart,
    slow_keys: SlowKeysPart,
    key_check: Part<(Roles, MissBudgetPart, SlowKeysPart), Arc<KeyCheck>>,
    pub audit_log: Part<LogPlace, Arc<AuditLog>>,
    access_log: Part<LogPlace, Arc<AccessLog>>,
    encryption: Part<Option<Https>, Option<Arc<Encryption>>>,
    identity: Part<(settings::IdentityHeaders, KeyringsPart), Arc<IdentityHeaders>>,
    pub delete_expired: DeleteExpired,
    pub send_mail: SendMail,
}

type KeyringsPart = Part<Signing, Keyrings>;
/// Made from so many a second, and the burst.
type MissBudgetPart = Part<(u32, u32), Arc<MissBudget>>;
type SlowKeysPart = Part<Vec<IpNet>, Arc<SlowKeyCheck>>;

/// What tokens are checked by. What is remembered of them was derived from roles; whoever loses one loses its scopes at once.
#[derive(Clone, PartialEq)]
struct TokenTerms {
    tokens: settings::Tokens,
    compatibility: Compatibility,
    roles: Roles,
    second_factor: SecondFactorDuty,
    cache_bytes: u64,
    keyrings: KeyringsPart,
}

/// The one in force.
pub type InForce = Arc<ArcSwap<Assembly>>;

/// Puts together what `settings` say, on the foundation that is there. Each part of `before` that would be made from the
/// same again is taken over.
pub async fn assemble(
    settings: &Settings,
    foundation: &Foundation,
    before: Option<&Assembly>,
) -> Result<Assembly, StartError> {
    let Foundation { nature, stores, remembering, metrics, .. } = foundation;
    let mail_room = MailRoom::open(&settings.mail)?;
    let master_keys = Arc::new(ground::master_keys(settings)?);
    // Read in any case: a master key that opens nothing is to be noticed before it is in force.
    let (token_keys, assertion_keys) = read_keys(settings, stores, nature).await?;
    if master_keys.current_id() != foundation.master_key_id {
        return Err(StartError::RestartNeeded("secrets.master_key"));
    }
    let signing = settings.tokens.signing.clone();
    let keyrings = Part::kept_or_made(before.map(|before| &before.keyrings), signing, |_| {
        Ok(Keyrings { tokens: Keys::new(token_keys), assertions: Keys::new(assertion_keys) })
    })?;
    let passwords =
        Part::kept_or_made(before.map(|before| &before.passwords), settings.passwords.clone(), |passwords| {
            ground::passwords(passwords, nature)
        })?;

    let serial = &foundation.serial;
    let terms = TokenTerms {
        tokens: settings.tokens.clone(),
        compatibility: settings.compatibility,
        roles: settings.roles.clone(),
        second_factor: settings.second_factor.required,
        cache_bytes: settings.cache.bytes,
        keyrings: keyrings.clone(),
    };
    let tokens = terms.tokens();
    let token_check = Part::kept_or_made(before.map(|before| &before.token_check), terms, |terms| {
        Ok(Arc::new(TokenCheck::new(
            terms.tokens(),
            Arc::clone(&remembering.sessions),
            Arc::clone(&remembering.users),
            terms.roles.clone(),
            terms.second_factor,
            terms.cache_bytes,
            Arc::clone(serial),
        )))
    })?;
    let rate = (settings.limits.unknown_keys_per_second, settings.limits.unknown_keys_burst);
    let miss_budget = Part::kept_or_made(before.map(|before| &before.miss_budget), rate, |(per_second, burst)| {
        Ok(Arc::new(MissBudget::new(*per_second, *burst)))
    })?;
    let shared = desks::shared_networks(settings);
    let slow_keys = Part::kept_or_made(before.map(|before| &before.slow_keys), shared, |shared| {
        let check = SlowKeyCheck::new(Arc::clone(&stores.slow_keys), shared.clone());
        Ok(Arc::new(check.map_err(|e| StartError::Process(e.to_string()))?))
    })?;
    let from = (settings.roles.clone(), miss_budget.clone(), slow_keys.clone());
    let key_check =
        Part::kept_or_made(before.map(|before| &before.key_check), from, |(roles, miss_budget, slow_keys)| {
            Ok(Arc::new(KeyCheck::new(
                Arc::clone(&remembering.api_keys),
                Arc::clone(slow_keys),
                Arc::clone(&remembering.users),
                roles.clone(),
                Arc::clone(miss_budget),
                foundation.key_tally.clone(),
                Arc::clone(serial),
            )))
        })?;
    let gatekeeper = Arc::new(Gatekeeper::new(
        Arc::clone(&token_check),
        Arc::clone(&key_check),
        credential_rule(settings),
        Arc::clone(&nature.clock),
        Arc::clone(serial),
    ));

    let audit_log = Part::kept_or_made(before.map(|before| &before.audit_log), settings.log.audit.clone(), |place| {
        audit_log(place, metrics).map(Arc::new)
    })?;
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

    let access_log =
        Part::kept_or_made(before.map(|before| &before.access_log), settings.log.access.clone(), |place| {
            access_log(place, metrics).map(Arc::new)
        })?;
    let recorder =
        Recorder { metrics: Arc::clone(metrics), log: Arc::clone(&access_log), clock: Arc::clone(&nature.clock) };
    let from = (settings.identity.clone(), keyrings.clone());
    let identity = Part::kept_or_made(before.map(|before| &before.identity), from, |(identity, keyrings)| {
        Ok(Arc::new(identity_headers(identity, keyrings.assertions.clone(), nature)))
    })?;
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
        identity: Arc::clone(&identity),
        upstreams: Upstreams::new(
            upstreams(&settings.upstreams),
            Arc::clone(&nature.clock),
            before.map(|before| &before.regime.upstreams),
        ),
        recorder: recorder.clone(),
        body_limits: BodyLimits { bytes: settings.limits.body_bytes, timeout: settings.limits.body_timeout },
        idle_timeout: settings.limits.idle_timeout.as_secs().max(1),
        hsts: encryption::hsts(settings.listen.https.as_ref()),
    };
    // What began under it can be taken up again only there.
    let https = settings.listen.https.clone();
    let encryption =
        Part::kept_or_made(before.map(|before| &before.encryption), https, |https| match (https, &foundation.tls) {
            (Some(https), Some(metrics)) => Ok(Some(Arc::new(encryption::encryption(https, metrics)?))),
            _ => Ok(None),
        })?;
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
        encryption: (*encryption).clone(),
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
        token_check,
        miss_budget,
        slow_keys,
        key_check,
        audit_log,
        access_log,
        encryption,
        identity,
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

impl TokenTerms {
    fn tokens(&self) -> Tokens {
        let rules = TokenRules {
            issuer: self.tokens.issuer.clone(),
            audience: self.tokens.audience.clone(),
            leeway: self.tokens.leeway,
            strict: self.compatibility == Compatibility::None,
            max_access_lifetime: self.tokens.access_lifetime,
            max_refresh_lifetime: self.tokens.refresh_lifetime,
        };
        Tokens::new(self.keyrings.tokens.clone(), rules)
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

fn identity_headers(identity: &settings::IdentityHeaders, keys: Keys, nature: &Nature) -> IdentityHeaders {
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
