//! The configuration in force, and its replacement while requests are served.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use pingora_core::server::configuration::ServerConf;
use pingora_proxy::HttpProxy;

use super::assemble::{self, assemble};
use super::encryption;
use super::foundation::Foundation;
use super::start_error::StartError;
use crate::config::settings::Settings;
use crate::edge::gateway::Gateway;
use crate::edge::regime;
use crate::edge::wire::WireSettings;

/// Each part is replaced as a whole, and whoever is served holds on to what it began with.
pub struct Live {
    pub foundation: Arc<Foundation>,
    pub assembly: assemble::InForce,
    regime: regime::InForce,
    pub wire: Arc<ArcSwap<WireSettings>>,
    pub proxy: Arc<ArcSwap<HttpProxy<Gateway>>>,
    trust: Mutex<Trust>,
}

/// Whom the present proxy trusts to certify upstreams; it knows no other way than to be made anew.
struct Trust {
    authority: Authority,
    /// Tells the present gateway that another has taken its place.
    retired: Arc<AtomicBool>,
}

/// A file of certificates, and what stood in it. Without one it is the system's.
type Authority = Option<(PathBuf, Vec<u8>)>;

impl Live {
    pub async fn start(settings: &Settings, foundation: Arc<Foundation>) -> Result<Self, StartError> {
        let authority = authority(settings)?;
        let first = assemble(settings, &foundation, None).await?;
        let regime = Arc::new(ArcSwap::new(Arc::clone(&first.regime)));
        let wire = Arc::new(ArcSwap::new(Arc::clone(&first.wire)));
        let (proxy, retired) = proxy(settings, &authority, &foundation, &regime)?;
        announce(settings, &foundation);
        Ok(Self {
            foundation,
            assembly: Arc::new(ArcSwap::from_pointee(first)),
            regime,
            wire,
            proxy: Arc::new(ArcSwap::from_pointee(proxy)),
            trust: Mutex::new(Trust { authority, retired }),
        })
    }

    /// Puts everything together first; when a part of it cannot be, nothing has changed.
    pub async fn replace(&self, settings: &Settings) -> Result<(), StartError> {
        let authority = authority(settings)?;
        let next = assemble(settings, &self.foundation, Some(&self.assembly.load())).await?;
        let other_proxy = match self.trust.lock().authority == authority {
            true => None,
            false => Some(proxy(settings, &authority, &self.foundation, &self.regime)?),
        };
        // From here on nothing can fail.
        announce(settings, &self.foundation);
        self.regime.store(Arc::clone(&next.regime));
        self.wire.store(Arc::clone(&next.wire));
        self.assembly.store(Arc::new(next));
        if let Some((proxy, retired)) = other_proxy {
            self.proxy.store(Arc::new(proxy));
            let before = std::mem::replace(&mut *self.trust.lock(), Trust { authority, retired });
            before.retired.store(true, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// What metrics tell of the configuration.
fn announce(settings: &Settings, foundation: &Foundation) {
    let metrics = &foundation.metrics;
    metrics.prepare_routes(settings.routes.iter().map(|route| route.name.as_ref()));
    metrics.config_reload_success.set(1);
    metrics.config_reload_timestamp.set(foundation.nature.clock.now().as_secs());
    metrics.config_generation.inc();
    metrics.config_checksum.set(i64::from(settings.checksum));
    if let (Some(https), Some(tls)) = (&settings.listen.https, &foundation.tls) {
        tls.certificates(encryption::expiries(https));
        for problem in encryption::untimely(https, foundation.nature.clock.now()) {
            tracing::warn!(%problem, "no client takes this certificate");
        }
    }
}

fn authority(settings: &Settings) -> Result<Authority, StartError> {
    let mut authorities = settings.upstreams.iter().filter_map(|upstream| upstream.tls.as_ref()).map(|tls| &tls.ca);
    let first = authorities.next().cloned().flatten();
    if authorities.any(|other| *other != first) {
        return Err(StartError::SeveralAuthorities);
    }
    let Some(path) = first else { return Ok(None) };
    // Pingora trusts nobody when it finds none, and says nothing.
    let holds_any = |text: &[u8]| String::from_utf8_lossy(text).contains("-----BEGIN CERTIFICATE-----");
    match std::fs::read(&path) {
        Ok(text) if holds_any(&text) => Ok(Some((path, text))),
        Ok(_) => Err(StartError::UnreadableAuthority { path, cause: "it holds no certificates in PEM".to_owned() }),
        Err(cause) => Err(StartError::UnreadableAuthority { path, cause: cause.to_string() }),
    }
}

fn proxy(
    settings: &Settings,
    authority: &Authority,
    foundation: &Foundation,
    regime: &regime::InForce,
) -> Result<(HttpProxy<Gateway>, Arc<AtomicBool>), StartError> {
    let path = authority.as_ref().map(|(path, _)| path.clone());
    let conf = ServerConf {
        threads: settings.workers.threads.max(1),
        work_stealing: false,
        ca_file: path.as_ref().map(|path| path.display().to_string()),
        ..ServerConf::default()
    };
    let retired = Arc::new(AtomicBool::new(false));
    let gateway = Gateway {
        in_force: Arc::clone(regime),
        in_flight: foundation.in_flight.clone(),
        standing: Arc::clone(&foundation.standing),
        retired: Arc::clone(&retired),
    };
    // Pingora panics over certificates that it cannot read.
    let made = catch_unwind(AssertUnwindSafe(|| pingora_proxy::http_proxy(&Arc::new(conf), gateway)));
    let unreadable = |_| match path {
        Some(path) => StartError::UnreadableAuthority { path, cause: "a certificate in it is broken".to_owned() },
        None => StartError::Process("the system's certificates cannot be read".to_owned()),
    };
    Ok((made.map_err(unreadable)?, retired))
}
