//! The phases of a request, in order: arrive, sanitise, route, authenticate and authorise, limit, identify, forward, record.
//! Each is a few lines that call a well-named neighbour.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use axum::body::Body;
use axum::http::Response;
use http::header::{AUTHORIZATION, HOST};
use http::{HeaderMap, HeaderName, StatusCode};
use pingora_core::modules::http::HttpModules;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_core::{Error, ErrorSource, ErrorType, Result};
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::{FailToProxy, ProxyHttp, Session};

use super::body;
use super::context::{Admitted, Forwarded, Progress, RequestContext};
use super::head_fields::edit;
use super::in_flight::InFlight;
use super::rate_headers;
use super::regime::{InForce, Regime};
use super::respond;
use super::sanitise::Sanitised;
use super::standing::StandingTunnels;
use super::upstreams::Upstream;
use crate::access::request_limits::{Exceeded, Held};
use crate::access::voucher::NotVouched;
use crate::api::answer::{About, Refused};
use crate::api::context::RequestContext as ApiContext;
use crate::api::refusal;
use crate::domain::clock::Timestamp;
use crate::domain::denial::Denial;
use crate::domain::rate_limit::Allowance;
use crate::routing::route::{Route, Target};
use crate::routing::table::NotRouted;

/// Everything a request meets.
pub struct Gateway {
    pub in_force: InForce,
    pub in_flight: InFlight,
    pub standing: Arc<StandingTunnels>,
    /// Another gateway takes the connections from here on, and those that are open here end with their next answer.
    pub retired: Arc<AtomicBool>,
}

/// A request, and the configuration that it began under and finishes under.
pub struct Governed {
    regime: Arc<Regime>,
    request: RequestContext,
}

impl Deref for Governed {
    type Target = RequestContext;

    fn deref(&self) -> &RequestContext {
        &self.request
    }
}

impl DerefMut for Governed {
    fn deref_mut(&mut self) -> &mut RequestContext {
        &mut self.request
    }
}

/// What becomes of a request after it was judged.
enum Next {
    Forward,
    Answer(Response<Body>),
}

#[async_trait]
impl ProxyHttp for Gateway {
    type CTX = Governed;

    fn new_ctx(&self) -> Governed {
        let regime = self.in_force.load_full();
        let now = regime.recorder.clock.now();
        Governed { request: RequestContext::new(now, self.in_flight.enter()), regime }
    }

    /// Bodies pass as they are: nothing here compresses or rewrites them.
    fn init_downstream_modules(&self, _: &mut HttpModules) {}

    async fn request_filter(&self, session: &mut Session, context: &mut Governed) -> Result<bool> {
        self.settle_connection(session, &context.regime);
        match self.judge(session, context).await {
            Next::Forward => Ok(false),
            Next::Answer(mut response) => {
                if let Some(Refused(denial)) = response.extensions().get() {
                    context.denial = Some(*denial);
                }
                if let Some(About(subject)) = response.extensions().get() {
                    context.about = Some(subject.clone());
                }
                if let Some(allowance) = &context.allowance {
                    rate_headers::put_into_own(allowance, response.headers_mut());
                }
                self.close_when_draining(session);
                respond::write(session, response, context.request_id.as_ref()).await?;
                Ok(true)
            }
        }
    }

    async fn upstream_peer(&self, _: &mut Session, context: &mut Governed) -> Result<Box<HttpPeer>> {
        context.connect_attempts += 1;
        let unreachable =
            || Error::explain(ErrorType::ConnectError, "no server of the upstream can be addressed").into_up();
        let upstream = upstream(context).ok_or_else(unreachable)?;
        context.regime.upstreams.next_peer(upstream).await.map_err(|_| unreachable())
    }

    /// Runs after hop-by-hop fields, and whatever `Connection` named, are gone: what is set here arrives. May run again
    /// for a retry, and then does the same again.
    async fn upstream_request_filter(
        &self,
        _: &mut Session,
        request: &mut RequestHeader,
        context: &mut Governed,
    ) -> Result<()> {
        // No permit, no request: this cannot happen, and must not be survivable if it does.
        let admitted = context
            .admitted()
            .ok_or_else(|| Error::explain(ErrorType::InternalError, "forwarding without a permit"))?;
        let now = context.started_at;
        edit(request, |fields| tell(fields, context, admitted, now))
            .map_err(|_| Error::explain(ErrorType::InternalError, "the identity could not be written"))?;
        aim(request, admitted)
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        context: &mut Governed,
    ) -> Result<()> {
        if let Some(id) = &context.request_id {
            response.insert_header("X-Request-Id", id.value())?;
        }
        if let Some(allowance) = &context.allowance {
            rate_headers::put_into_proxied(allowance, response)?;
        }
        if response.status == StatusCode::SWITCHING_PROTOCOLS
            && let (Some(peer), Some(admitted)) = (peer(session), context.admitted())
        {
            self.standing.open(peer, &admitted.arrival, &admitted.permit);
            context.tunnel = Some(peer);
        }
        self.close_when_draining(session);
        Ok(())
    }

    /// Nothing was sent yet, so another server may be tried; never more often than there are servers.
    fn fail_to_connect(
        &self,
        _: &mut Session,
        _: &HttpPeer,
        context: &mut Governed,
        mut error: Box<Error>,
    ) -> Box<Error> {
        let servers = upstream(context).map_or(1, Upstream::server_count);
        error.set_retry(context.connect_attempts < servers);
        error
    }

    async fn fail_to_proxy(&self, session: &mut Session, error: &Error, context: &mut Governed) -> FailToProxy {
        let denial = denial_of(error);
        context.denial = Some(denial);
        if denial == Denial::Internal {
            tracing::error!(request_id = context.request_name(), error = %error.etype().as_str(), "a request failed inside the gateway");
        }
        let mut error_code = 0;
        // An answer that has begun cannot be replaced; closing the connection tells the client that it is incomplete.
        if denial != Denial::ClientGone && session.response_written().is_none() {
            session.set_keepalive(None);
            let response = refusal::refuse(denial);
            error_code = response.status().as_u16();
            let _ = respond::write(session, response, context.request_id.as_ref()).await;
        }
        FailToProxy { error_code, can_reuse_downstream: false }
    }

    async fn logging(&self, session: &mut Session, error: Option<&Error>, context: &mut Governed) {
        if let (Some(error), None) = (error, context.denial) {
            context.denial = Some(denial_of(error));
        }
        if let Some(peer) = context.tunnel {
            self.standing.forget(peer);
        }
        let status = session.response_written().map_or(0, |response| response.status.as_u16());
        let bytes = session.body_bytes_sent() as u64;
        context.regime.recorder.request(session.req_header(), context, status, bytes);
    }

    /// Pingora's own log lines are not kept; what they would say is in ours, without the request's text.
    fn suppress_error_log(&self, _: &Session, _: &Governed, _: &Error) -> bool {
        true
    }
}

impl Gateway {
    /// Keep-alive is set on every request: without it Pingora waits for the next head for ever.
    fn settle_connection(&self, session: &mut Session, regime: &Regime) {
        let persistent = session.req_header().version == http::Version::HTTP_11 && !self.closes();
        // Only ever shortened: a request that said `Connection: close` stays closed.
        if !persistent {
            session.set_keepalive(None);
        } else if session.get_keepalive().is_some() {
            session.set_keepalive(Some(regime.idle_timeout));
        }
        session.set_total_drain_timeout(Some(regime.body_limits.timeout));
    }

    /// Asked again when the answer begins: a drain may have begun since the request came, and a client that is not told
    /// sends its next request into a closing connection.
    fn close_when_draining(&self, session: &mut Session) {
        if self.closes() {
            session.set_keepalive(None);
        }
    }

    fn closes(&self) -> bool {
        self.in_flight.is_draining() || self.retired.load(Ordering::Relaxed)
    }

    async fn judge(&self, session: &mut Session, context: &mut Governed) -> Next {
        let regime = Arc::clone(&context.regime);
        let peer = peer(session).map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |address| address.ip());
        let tls = session.digest().is_some_and(|digest| digest.ssl_digest.is_some());
        let sanitised = match regime.sanitiser.sanitise(session.req_header_mut(), peer, tls) {
            Ok(sanitised) => sanitised,
            Err(insane) => {
                context.client = Some(insane.client);
                context.request_id = Some(insane.request_id);
                return Next::Answer(refusal::refuse(insane.denial));
            }
        };
        context.request_id = Some(sanitised.request_id.clone());
        context.client = Some(sanitised.arrival.client);
        let arrival = &sanitised.arrival;
        // Before anything is looked up: a flood costs its sender more than it costs here.
        match regime.limits.arrive(arrival.client, context.started_at).await {
            Ok(allowance) => context.allowance = allowance,
            Err(exceeded) => return Next::Answer(hold(context, &exceeded)),
        }
        let route = match regime.table.find(arrival.host.as_ref(), &arrival.path, &arrival.method) {
            Ok(route) => Arc::clone(route),
            Err(not_routed) => return Next::Answer(refuse_route(&not_routed, &arrival.method)),
        };
        let place = match &route.target {
            Target::Nothing => return refuse(context, sanitised, route, Denial::NoRoute),
            Target::Local(place) => Some(Arc::clone(place)),
            Target::Upstream(_) => None,
        };
        match regime.limits.enter(&route, arrival.client, context.started_at).await {
            Ok(allowance) => context.allowance = Allowance::tighter(context.allowance, allowance),
            Err(exceeded) => {
                let response = hold(context, &exceeded);
                return turn_away(context, sanitised, route, response);
            }
        }
        if let Some(place) = &place {
            let query = sanitised.query.as_deref();
            if let Err(denial) = regime.api.negotiate(place, &session.req_header().headers, query) {
                return refuse(context, sanitised, route, denial);
            }
        }
        let permit = match regime.gatekeeper.admit(&sanitised.arrival, &route, context.started_at).await {
            Ok(permit) => permit,
            Err(denial) => return refuse(context, sanitised, route, denial),
        };
        let target = match forwarded_target(&sanitised, &route) {
            Ok(target) => target,
            Err(denial) => return refuse(context, sanitised, route, denial),
        };
        let Sanitised { arrival, forwarded, .. } = sanitised;
        context.progress = Progress::Admitted(Box::new(Admitted { arrival, permit, target: Some(target), forwarded }));
        if let Err(response) = pass(context).await {
            return Next::Answer(response);
        }
        match place {
            Some(place) => Next::Answer(serve_here(session, context, &place).await),
            None => Next::Forward,
        }
    }
}

/// The limits of who was admitted.
async fn pass(context: &mut Governed) -> std::result::Result<(), Response<Body>> {
    let regime = Arc::clone(&context.regime);
    let Some(Admitted { permit, .. }) = context.admitted() else { return Err(refusal::refuse(Denial::Internal)) };
    let (route, principal) = (Arc::clone(permit.route()), permit.principal().map(Arc::as_ref));
    match regime.limits.pass(&route, principal, context.started_at).await {
        Ok(allowance) => {
            context.allowance = Allowance::tighter(context.allowance, allowance);
            Ok(())
        }
        Err(held) => {
            let mut response = match held {
                Held::Exceeded(exceeded) => hold(context, &exceeded),
                Held::Unknown(denial) => refusal::refuse(denial),
            };
            name_methods(&regime, &route, &mut response);
            Err(response)
        }
    }
}

/// What is said of a request too many.
fn hold(context: &mut Governed, exceeded: &Exceeded) -> Response<Body> {
    context.regime.recorder.metrics.limits.exceeded(exceeded.limit);
    context.allowance = Some(exceeded.allowance);
    refusal::refuse_for(exceeded.denial(), exceeded.retry_in)
}

fn refuse(context: &mut Governed, sanitised: Sanitised, route: Arc<Route>, denial: Denial) -> Next {
    turn_away(context, sanitised, route, refusal::refuse(denial))
}

fn turn_away(context: &mut Governed, sanitised: Sanitised, route: Arc<Route>, mut response: Response<Body>) -> Next {
    name_methods(&context.regime, &route, &mut response);
    context.progress = Progress::Routed { arrival: sanitised.arrival, route };
    Next::Answer(response)
}

/// As existing clients expect of an endpoint's answer, whatever it is.
fn name_methods(regime: &Regime, route: &Route, response: &mut Response<Body>) {
    if let Target::Local(place) = &route.target {
        regime.api.put_allow(place, response.headers_mut());
    }
}

async fn serve_here(session: &mut Session, context: &Governed, place: &str) -> Response<Body> {
    let bytes = match body::read(session, context.regime.body_limits).await {
        Ok(bytes) => bytes,
        Err(denial) => {
            let mut response = refusal::refuse(denial);
            context.regime.api.put_allow(place, response.headers_mut());
            return response;
        }
    };
    let Some(admitted) = context.admitted() else { return refusal::refuse(Denial::Internal) };
    let head = session.req_header();
    let mut request = http::Request::new(Body::from(bytes));
    *request.method_mut() = head.method.clone();
    request.headers_mut().clone_from(&head.headers);
    let target = admitted.target.as_deref().unwrap_or_default();
    let Ok(uri) = target.parse() else { return refusal::refuse(Denial::BadPath) };
    *request.uri_mut() = uri;
    request.extensions_mut().insert(ApiContext {
        permit: admitted.permit.clone(),
        client: admitted.arrival.client,
        request_id: context.request_name().to_owned(),
    });
    context.regime.api.serve(place, request).await
}

fn upstream(context: &Governed) -> Option<&Upstream> {
    match &context.admitted()?.permit.route().target {
        Target::Upstream(name) => context.regime.upstreams.find(name),
        Target::Local(_) | Target::Nothing => None,
    }
}

/// What the upstream is told of whom the request is from.
fn tell(
    fields: &mut HeaderMap,
    context: &Governed,
    admitted: &Admitted,
    now: Timestamp,
) -> std::result::Result<(), NotVouched> {
    const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
    const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
    const HOST_ASKED: HeaderName = HeaderName::from_static("x-forwarded-host");
    const CLIENT: HeaderName = HeaderName::from_static("x-real-ip");
    const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

    let Admitted { permit, forwarded, .. } = admitted;
    if !permit.route().forward_credentials {
        fields.remove(AUTHORIZATION);
        fields.remove("x-api-key");
    }
    if let Target::Upstream(name) = &permit.route().target {
        if let Some(host) = context.regime.upstreams.find(name).and_then(Upstream::host) {
            fields.insert(HOST, host.clone());
        }
        context.regime.identity.write(fields, permit, name, now)?;
    }
    let Forwarded { client, for_chain, proto, host } = forwarded;
    for (name, value) in [(FOR, for_chain), (PROTO, proto), (HOST_ASKED, host), (CLIENT, client)] {
        fields.insert(name, value.clone());
    }
    if let Some(id) = &context.request_id {
        fields.insert(REQUEST_ID, id.value());
    }
    Ok(())
}

/// What was matched is what is forwarded: the path in normal form, in origin form.
fn aim(request: &mut RequestHeader, admitted: &Admitted) -> Result<()> {
    match &admitted.target {
        Some(target) if request.raw_path() != target.as_bytes() => request.set_raw_path(target.as_bytes()),
        _ => Ok(()),
    }
}

fn peer(session: &Session) -> Option<SocketAddr> {
    session.client_addr()?.as_inet().copied()
}

/// The normal path, cut if the route says so and judged again, and the query as it came.
fn forwarded_target(sanitised: &Sanitised, route: &Route) -> Result<String, Denial> {
    let path = &sanitised.arrival.path;
    let cut = match &route.strip_prefix {
        Some(prefix) => Some(path.strip_prefix(prefix).ok_or(Denial::BadPath)?),
        None => None,
    };
    let path = cut.as_ref().unwrap_or(path).as_str();
    Ok(match &sanitised.query {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    })
}

fn refuse_route(not_routed: &NotRouted, method: &str) -> Response<Body> {
    if not_routed.denial == Denial::MethodNotAllowed {
        return refusal::refuse_method(not_routed.denial, method, &not_routed.allow);
    }
    refusal::refuse(not_routed.denial)
}

/// Whose fault it was, in our words.
fn denial_of(error: &Error) -> Denial {
    use ErrorType as E;
    match (error.esource(), error.etype()) {
        (ErrorSource::Upstream, E::ConnectTimedout | E::ReadTimedout | E::WriteTimedout | E::TLSHandshakeTimedout) => {
            Denial::UpstreamTimeout
        }
        (
            ErrorSource::Upstream,
            E::ConnectRefused
            | E::ConnectNoRoute
            | E::ConnectError
            | E::ConnectProxyFailure
            | E::BindError
            | E::SocketError
            | E::TLSHandshakeFailure
            | E::InvalidCert,
        ) => Denial::UpstreamUnreachable,
        (ErrorSource::Upstream, _) => Denial::UpstreamBroken,
        (ErrorSource::Downstream, E::InvalidHTTPHeader) => Denial::BadRequest,
        (ErrorSource::Downstream, E::ReadTimedout) => Denial::HeadTimeout,
        (ErrorSource::Downstream, _) => Denial::ClientGone,
        (ErrorSource::Internal | ErrorSource::Unset, _) => Denial::Internal,
    }
}
