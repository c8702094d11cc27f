//! A proxy that does nothing but forward: what Pingora itself costs, built and run as Portcullis is.
//!
//! `bare_proxy LISTEN UPSTREAM`, both as `address:port`.

// Not part of the gateway: it takes two arguments, and ends with a sentence when it cannot start.
#![allow(clippy::print_stderr)]

use std::net::SocketAddr;
use std::process::ExitCode;

use async_trait::async_trait;
use mimalloc::MiMalloc;
use pingora_core::Result;
use pingora_core::server::configuration::ServerConf;
use pingora_core::server::{RunArgs, Server};
use pingora_core::upstreams::peer::HttpPeer;
use pingora_proxy::{ProxyHttp, Session, http_proxy_service};

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

struct Forward {
    upstream: SocketAddr,
}

#[async_trait]
impl ProxyHttp for Forward {
    type CTX = ();

    fn new_ctx(&self) -> Self::CTX {}

    async fn upstream_peer(&self, _: &mut Session, _: &mut Self::CTX) -> Result<Box<HttpPeer>> {
        Ok(Box::new(HttpPeer::new(self.upstream, false, String::new())))
    }
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let listen: Option<SocketAddr> = arguments.next().and_then(|text| text.parse().ok());
    let upstream: Option<SocketAddr> = arguments.next().and_then(|text| text.parse().ok());
    let (Some(listen), Some(upstream)) = (listen, upstream) else {
        eprintln!("bare_proxy: expected two arguments, LISTEN and UPSTREAM, each as address:port");
        return ExitCode::FAILURE;
    };
    let settings = ServerConf {
        threads: 1,
        work_stealing: false,
        grace_period_seconds: Some(0),
        graceful_shutdown_timeout_seconds: Some(1),
        ..ServerConf::default()
    };
    let mut server = Server::new_with_opt_and_conf(None, settings);
    server.bootstrap();
    let mut service = http_proxy_service(&server.configuration, Forward { upstream });
    service.add_tcp(&listen.to_string());
    server.add_service(service);
    server.run(RunArgs::default());
    ExitCode::SUCCESS
}
