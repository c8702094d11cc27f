//! The proof that a caller may use a route.

use std::sync::Arc;

use crate::domain::principal::{Caller, Principal};
use crate::routing::route::Route;

/// Made by the gatekeeper and nowhere else: the constructor is visible in `access` only. Identity headers are written
/// from a permit, so without a decision there is nothing to write.
#[derive(Clone, Debug)]
pub struct Permit {
    route: Arc<Route>,
    caller: Caller,
}

impl Permit {
    pub(super) const fn new(route: Arc<Route>, caller: Caller) -> Self {
        Self { route, caller }
    }

    pub fn route(&self) -> &Arc<Route> {
        &self.route
    }

    pub const fn caller(&self) -> &Caller {
        &self.caller
    }

    pub const fn principal(&self) -> Option<&Arc<Principal>> {
        self.caller.principal()
    }
}
