//! The table of all routes: those that are configured, and the gateway's own.

use std::collections::HashSet;

use tokio::runtime::Handle;

use super::start_error::StartError;
use crate::api::context::Services;
use crate::api::router::Api;
use crate::config::settings::{self, Settings};
use crate::routing::host::HostPattern;
use crate::routing::route::Route;
use crate::routing::table::RouteTable;

/// The configured routes and our own, in one table, and the router behind our own.
pub fn routes(settings: &Settings, services: Services, runtime: &Handle) -> Result<(Api, RouteTable), StartError> {
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
