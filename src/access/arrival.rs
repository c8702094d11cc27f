//! A request after sanitising: all that the floors below `edge` ever see of it.

use std::net::IpAddr;

use crate::domain::credential::Credentials;
use crate::routing::host::Host;
use crate::routing::normal_path::NormalPath;

#[derive(Clone, Debug)]
pub struct Arrival {
    pub method: String,
    pub host: Option<Host>,
    pub path: NormalPath,
    pub credentials: Credentials,
    /// Found through trusted proxies only.
    pub client: IpAddr,
}
