//! One line and one count per request, however it ended.

use std::borrow::Cow;
use std::sync::Arc;

use http::header::{HOST, USER_AGENT};
use pingora_http::RequestHeader;

use super::context::RequestContext;
use super::wire::{Refusal, WireObserver};
use crate::domain::clock::Clock;
use crate::domain::principal::Subject;
use crate::routing::route::Target;
use crate::telemetry::access_log::{AccessLine, AccessLog, cut, printable, query_names};
use crate::telemetry::metrics::{Metrics, RequestOutcome};

/// Where a request belongs that no route was found for.
const NO_ROUTE: &str = "none";
/// How much of a text from outside is logged.
const LOGGED: usize = 256;

#[derive(Clone)]
pub struct Recorder {
    pub metrics: Arc<Metrics>,
    pub log: Arc<AccessLog>,
    pub clock: Arc<dyn Clock>,
}

impl Recorder {
    pub fn request(&self, request: &RequestHeader, context: &RequestContext, status: u16, bytes_sent: u64) {
        let duration = self.clock.now().since(context.started_at);
        let route = context.route();
        let route_name = route.map_or(NO_ROUTE, |route| &route.name);
        let method = request.method.as_str();
        self.metrics.request(&RequestOutcome { route: route_name, method, status, denial: context.denial, duration });

        let arrival = context.arrival();
        let principal = context.admitted().and_then(|admitted| admitted.permit.principal());
        let subject = principal.map(|principal| match &principal.subject {
            Subject::User { id, .. } => Cow::Borrowed(id.as_str()),
            service @ Subject::Service { .. } => Cow::Owned(service.id()),
        });
        let client = arrival.map(|arrival| arrival.client).or(context.client);
        let text = |name| request.headers.get(name).map(|value| printable(value.as_bytes()));
        let host = text(HOST).unwrap_or_default();
        let user_agent = text(USER_AGENT).unwrap_or_default();
        let names = request.uri.query().map(query_names).unwrap_or_default();
        self.log.write(&AccessLine {
            time: context.started_at.rfc3339(),
            request_id: context.request_name(),
            client: match context.admitted() {
                Some(admitted) => admitted.forwarded.client.to_str().unwrap_or_default().into(),
                None => client.map(|client| client.to_string().into()).unwrap_or_default(),
            },
            method: cut(method, 40),
            host: cut(&host, LOGGED),
            // Of a path that was refused only the raw form exists; it is escaped and cut like any other text.
            path: cut(arrival.map_or_else(|| request.uri.path(), |arrival| arrival.path.as_str()), LOGGED),
            query: cut(&names, LOGGED),
            status,
            reason: context.denial.map_or("ok", |denial| denial.reason()),
            code: context.denial.map(|denial| denial.code()),
            fault: context.denial.map(|denial| denial.fault().as_str()),
            detail: None,
            route: route_name,
            upstream: route.and_then(|route| match &route.target {
                Target::Upstream(name) => Some(name.as_ref()),
                Target::Local(_) | Target::Nothing => None,
            }),
            subject: subject.as_deref().or(context.about.as_deref()),
            auth_method: principal.map(|principal| principal.method.as_str()),
            key_id: principal.and_then(|principal| principal.key_id.as_ref()).map(|id| id.as_str()),
            session_id: principal.and_then(|principal| principal.session_id.as_ref()).map(|id| id.as_str()),
            duration_us: u64::try_from(duration.as_micros()).unwrap_or(u64::MAX),
            bytes_sent,
            user_agent: cut(&user_agent, LOGGED),
        });
    }
}

impl WireObserver for Recorder {
    /// A request that was refused before it was one: nothing of it is logged but where it came from and why.
    fn refused(&self, refusal: &Refusal) {
        let now = self.clock.now();
        self.metrics.request(&RequestOutcome {
            route: NO_ROUTE,
            method: "",
            status: refusal.status,
            denial: Some(refusal.denial),
            duration: std::time::Duration::ZERO,
        });
        self.log.write(&AccessLine {
            time: now.rfc3339(),
            request_id: "",
            client: refusal.peer.map(|peer| peer.ip().to_canonical().to_string().into()).unwrap_or_default(),
            method: "",
            host: "",
            path: "",
            query: "",
            status: refusal.status,
            reason: refusal.denial.reason(),
            code: Some(refusal.denial.code()),
            fault: Some(refusal.denial.fault().as_str()),
            detail: Some(refusal.fault.detail()),
            route: NO_ROUTE,
            upstream: None,
            subject: None,
            auth_method: None,
            key_id: None,
            session_id: None,
            duration_us: 0,
            bytes_sent: 0,
            user_agent: "",
        });
    }
}
