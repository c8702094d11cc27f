//! In front of backends that know nothing of the gateway.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use crate::harness::{Place, Server, eventually, unused};

const CONTENT: &str = "what only those may read who have a key\n";

/// A program that is killed with the test.
pub struct Backend(Child);

impl Backend {
    /// Starts it and waits until somebody listens at `address`.
    pub fn start(mut command: Command, address: SocketAddr) -> Self {
        let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut backend = Self(quiet.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}")));
        eventually("the backend", || {
            let ended = backend.0.try_wait().unwrap();
            assert!(ended.is_none(), "{command:?} ended: {ended:?}");
            std::net::TcpStream::connect(address).ok()
        });
        backend
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A quick start in front of `address`, and the key that it printed.
fn guard(place: &Place, address: SocketAddr) -> (Server, String) {
    let server = place.quickstart(&["--upstream", &format!("http://{address}")]);
    let text = server.stdout();
    let key = text.lines().find_map(|line| line.trim_start().strip_prefix("API key")).unwrap().trim().to_owned();
    (server, key)
}

fn only_the_key_opens(server: &Server, key: &str) {
    let reply = server.get("/file.txt", &[]);
    assert_eq!(reply.status, 401);
    assert!(!reply.text().contains(CONTENT));
    let reply = server.get("/file.txt", &[("X-API-Key", key)]);
    assert_eq!((reply.status, reply.text().as_str()), (200, CONTENT));
    assert_eq!(server.get("/no-such-file", &[("X-API-Key", key)]).status, 404);
}

#[test]
fn it_guards_a_python_file_server() {
    let place = Place::empty();
    std::fs::create_dir(place.path("served")).unwrap();
    place.write("served/file.txt", CONTENT);
    let address = unused();
    let mut command = Command::new("python3");
    command.args(["-m", "http.server", &address.port().to_string(), "--bind", "127.0.0.1", "--directory"]);
    command.arg(place.path("served"));
    let _backend = Backend::start(command, address);
    let (server, key) = guard(&place, address);
    only_the_key_opens(&server, &key);
}

#[test]
fn it_guards_nginx_which_sees_who_is_calling() {
    let place = Place::empty();
    std::fs::create_dir(place.path("served")).unwrap();
    place.write("served/file.txt", CONTENT);
    let address = unused();
    // One process that stays who it is, because the directory is open to nobody else.
    let text = format!(
        "pid nginx.pid; error_log error.log; master_process off;\n\
         events {{ worker_connections 64; }}\n\
         http {{\n\
         access_log off; client_body_temp_path b; proxy_temp_path p; fastcgi_temp_path f; uwsgi_temp_path u; \
         scgi_temp_path s;\n\
         server {{\n\
         listen {address}; root {root};\n\
         location = /who {{ return 200 \"$http_x_auth_user_id $http_x_api_key.\"; }}\n\
         }}\n}}\n",
        root = place.path("served").display(),
    );
    place.write("nginx.conf", &text);
    let mut command = Command::new("nginx");
    let prefix = place.path("");
    command.arg("-p").arg(&prefix).arg("-c").arg(place.path("nginx.conf")).args(["-g", "daemon off;"]);
    command.args(["-e", "error.log"]);
    // Where an ordinary user's search path does not lead.
    let path = std::env::var_os("PATH").unwrap_or_default();
    let paths = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    command.env("PATH", std::env::join_paths(paths).unwrap());
    let _backend = Backend::start(command, address);
    let (server, key) = guard(&place, address);
    only_the_key_opens(&server, &key);
    let who = server.get("/who", &[("X-API-Key", &key), ("X-Auth-User-Id", "root")]);
    assert_eq!(who.text(), "service:quickstart .");
}
