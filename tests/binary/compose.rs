//! `deploy/compose.yaml` and what it mounts, as far as it can be tried without containers: every file is there, and the
//! gateway, the database, Redis and HAProxy take what they are given.

use std::path::{Path, PathBuf};
use std::process::Command;

use saphyr_parser::{Event, Parser};
use serde_json::{Map, Value, json};

use crate::harness::postgres::{ADMINISTRATOR, PASSWORD as ADMINISTRATORS, PostgresServer, ROLE};
use crate::harness::{Client, Finished, PASSWORD, Place, Reply, Server, Upstream, eventually, finish, unused};
use crate::redis_server::Redis;
use crate::third_party::Backend;

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy")
}

fn text(name: &str) -> String {
    std::fs::read_to_string(deploy().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Scalars stay texts. `None` at the end of a collection.
fn node<'a>(events: &mut impl Iterator<Item = Event<'a>>) -> Option<Value> {
    match events.next()? {
        Event::Scalar(text, ..) => Some(json!(text)),
        Event::SequenceStart(..) => Some(std::iter::from_fn(|| node(events)).collect()),
        Event::MappingStart(..) => {
            let mut entries = Map::new();
            while let Some(key) = node(events) {
                let twice = entries.insert(key.as_str().unwrap().to_owned(), node(events).unwrap());
                assert!(twice.is_none(), "{key} is there twice");
            }
            Some(Value::Object(entries))
        }
        Event::SequenceEnd | Event::MappingEnd => None,
        event => panic!("{event:?}"),
    }
}

fn compose() -> Value {
    let text = text("compose.yaml");
    let mut parser = Parser::new_from_str(&text);
    let events = std::iter::from_fn(|| parser.next_event().map(|event| event.unwrap().0));
    let mut events = events.skip_while(|event| !matches!(event, Event::MappingStart(..)));
    node(&mut events).unwrap()
}

fn texts(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

fn keys(mapping: &Value) -> Vec<&str> {
    mapping.as_object().unwrap().keys().map(String::as_str).collect()
}

/// The list after an instruction of the Dockerfile.
fn instruction(name: &str) -> Vec<String> {
    let dockerfile = text("Dockerfile");
    let line = dockerfile.lines().find_map(|line| line.strip_prefix(&format!("{name} ["))).unwrap();
    serde_json::from_str(&format!("[{line}")).unwrap()
}

#[test]
fn everything_that_is_named_is_there_and_only_the_front_is_published() {
    let compose = compose();
    assert_eq!(keys(&compose["services"]), ["front", "gateway", "postgres", "redis"]);
    let guide = text("README.md");
    for (name, service) in compose["services"].as_object().unwrap() {
        assert_eq!(service.get("ports").is_some(), name == "front", "{name}");
        assert!(service.get("healthcheck").is_some() && service.get("network_mode").is_none(), "{name}");
        for secret in service.get("secrets").map(texts).unwrap_or_default() {
            let file = compose["secrets"][secret]["file"].as_str().unwrap();
            assert_eq!(file, format!("./compose/secrets/{secret}"));
            assert!(guide.contains(&format!("> {secret}\n")) || guide.contains(&format!("> {secret} <<")), "{secret}");
        }
        for volume in service.get("volumes").map(texts).unwrap_or_default() {
            let source = volume.split(':').next().unwrap();
            let is_there = if source.starts_with('.') {
                assert!(volume.ends_with(":ro"), "{volume}");
                deploy().join(source).is_file()
            } else {
                compose["volumes"].get(source).is_some()
            };
            assert!(is_there, "{volume}");
        }
        let networks = &service["networks"];
        let networks = if networks.is_array() { texts(networks) } else { keys(networks) };
        assert!(networks.iter().all(|network| compose["networks"].get(network).is_some()), "{name}");
    }
    assert_eq!(compose["networks"]["data"]["internal"], "true");
    for ignored in [".gitignore", "deploy/Dockerfile.dockerignore"] {
        let ignored = text(&format!("../{ignored}"));
        assert!(ignored.contains("deploy/compose/secrets\n"), "secrets are kept out of the image and the repository");
    }

    // The image starts what the mounted file is for.
    let gateway = &compose["services"]["gateway"];
    assert_eq!((&gateway["deploy"]["replicas"], gateway.get("command")), (&json!("3"), None));
    let build = &gateway["build"];
    let context = deploy().join(build["context"].as_str().unwrap());
    assert!(context.join("Cargo.toml").is_file());
    assert!(context.join(build["dockerfile"].as_str().unwrap()).is_file());
    let run = [instruction("ENTRYPOINT"), instruction("CMD")].concat();
    let ["portcullis", "serve", "--config", file] = *run.iter().map(String::as_str).collect::<Vec<_>>() else {
        panic!("{run:?}")
    };
    assert_eq!(texts(&gateway["volumes"]), [format!("./compose/portcullis.yaml:{file}:ro")]);
    let trusted = format!(
        "trusted_proxies: [{}]\n",
        compose["services"]["front"]["networks"]["front"]["ipv4_address"].as_str().unwrap()
    );
    assert!(text("compose/portcullis.yaml").contains(&trusted), "{trusted}");
}

#[test]
fn haproxy_takes_its_configuration() {
    let mut command = Command::new("haproxy");
    command.args(["-c", "-V", "-f"]).arg(deploy().join("compose/haproxy.cfg"));
    let said = finish(command, "");
    said.success();
    assert!(!said.stderr.contains("WARNING"), "{said:?}");
}

/// The secrets of the guide, made as it says, in `deploy/compose/secrets` of this place.
fn make_secrets(place: &Place) {
    let guide = text("README.md");
    let (_, section) = guide.split_once("## Three gateways\n").unwrap();
    let script = section.split("```sh\n").nth(1).unwrap().split("```").next().unwrap();
    let line = script.lines().find(|line| line.trim_start().starts_with("chown ")).unwrap();
    let script = if rustix::process::geteuid().is_root() { script.to_owned() } else { script.replace(line, "") };
    let mut command = Command::new("bash");
    command.args(["-euo", "pipefail", "-c", &script]).current_dir(place.path("."));
    finish(command, "").success();
}

/// A health check of the file, with these ports in place of its own.
fn healthy(service: &Value, ports: &[(&str, String)]) -> Finished {
    let test = texts(&service["healthcheck"]["test"]);
    let ["CMD", program, arguments @ ..] = &*test else { panic!("{test:?}") };
    let mut command = Command::new(program);
    for argument in arguments {
        let argument = argument.replace("$$", "$");
        command.arg(ports.iter().fold(argument, |text, (from, to)| text.replace(from, to)));
    }
    finish(command, "")
}

/// HAProxy in front of one gateway. Where the others are, only Docker's own name server knows.
fn front(place: &Place, server: &Server) -> (Backend, impl Fn(&str) -> Reply + use<>) {
    let address = unused();
    let written = text("compose/haproxy.cfg").replace("bind :8080", &format!("bind {address}"));
    let line = written.lines().find(|line| line.trim_start().starts_with("server-template ")).unwrap();
    let one = format!("    server one {} check port {} inter 100ms fall 2 rise 1", server.http, server.ops.port());
    place.write("haproxy.cfg", &written.replace(line, &one));
    let mut command = Command::new("haproxy");
    command.args(["-db", "-f"]).arg(place.path("haproxy.cfg"));
    let front = Backend::start(command, address);
    let get = move |token: &str| {
        let forged = [("X-Forwarded-For", "203.0.113.9"), ("Forwarded", "for=203.0.113.9")];
        let headers = [&[("Authorization", token)], &forged[..]].concat();
        Client::connect(address).request("GET", "/", &headers, b"")
    };
    (front, get)
}

#[test]
fn a_gateway_is_served_by_what_is_mounted_into_the_others() {
    let compose = compose();
    let (place, upstream) = (Place::empty(), Upstream::start());
    make_secrets(&place);
    let secrets = place.path("deploy/compose/secrets");
    let secret = |name: &str| std::fs::read_to_string(secrets.join(name)).unwrap();
    let inside = |text: &str| text.replace("/run/secrets", &secrets.display().to_string());

    // As it is mounted: valid, in an environment that Compose demands.
    let mounted = inside(&text("compose/portcullis.yaml"));
    place.write("portcullis.yaml", &mounted);
    let run = |arguments: &[&str]| {
        let mut command = place.command(arguments);
        command.env("BACKEND", upstream.address().to_string());
        command
    };
    let said = finish(run(&["check"]), "");
    assert!(said.success().stdout.contains(" is valid: "), "{said:?}");
    assert!(place.run(&["check"]).refusal().contains("BACKEND"));

    let postgres = PostgresServer::start();
    postgres.sql("postgres", &format!("DROP ROLE {ROLE}"));
    let mut psql = Command::new("psql");
    psql.args(["-X", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", &postgres.port().to_string()]);
    psql.args(["-U", ADMINISTRATOR, "-d", "postgres", "-f"]).arg(deploy().join("compose/database.sql"));
    psql.env("PGPASSWORD", ADMINISTRATORS).env("POSTGRES_PASSWORD", secret("database_password").trim());
    finish(psql, "").success();

    let options: Vec<String> = texts(&compose["services"]["redis"]["command"]).into_iter().map(inside).collect();
    assert_eq!(options[0], "redis-server");
    let redis = Redis::with(&options[1..].iter().map(String::as_str).collect::<Vec<_>>());
    let port = redis.address().port().to_string();
    let check = healthy(&compose["services"]["redis"], &[("redis-cli", format!("redis-cli -p {port}"))]);
    check.success();

    let url = secret("database_url").replace("@postgres:5432/", &format!("@127.0.0.1:{}/", postgres.port()));
    std::fs::write(secrets.join("database_url"), url).unwrap();
    let here = [
        ("0.0.0.0:8080", "127.0.0.1:0".to_owned()),
        ("0.0.0.0:9180", "127.0.0.1:0".to_owned()),
        ("redis:6379", redis.address().to_string()),
        ("172.31.255.2", "127.0.0.1".to_owned()),
    ];
    place.write("portcullis.yaml", &here.iter().fold(mounted, |text, (from, to)| text.replace(from, to)));
    let server = Server::start(run(&["serve"]));
    let metrics = || Client::connect(server.ops).request("GET", "/metrics", &[], b"").text();
    for name in ["portcullis_bus_connected", "portcullis_redis_up"] {
        eventually(name, || metrics().contains(&format!("\n{name} 1\n")).then_some(()));
    }
    let create = run(&["users", "create", "--username", "anna", "--password-stdin"]);
    finish(create, PASSWORD).success();
    let (access, _) = server.tokens("anna");
    let (_front, get) = front(&place, &server);
    let token = format!("Bearer {access}");
    eventually("the gateway to be found", || (get(&token).status == 200).then_some(()));
    let seen = get(&token).seen();
    assert_eq!(seen.header("x-real-ip"), Some("127.0.0.1"), "the client, and not whom it claims to be");
    assert!(!format!("{:?}", seen.headers).contains("203.0.113.9"), "{seen:?}");

    let ops = [("/9180", format!("/{}", server.ops.port()))];
    let gateway = &compose["services"]["gateway"];
    healthy(gateway, &ops).success();
    server.stop().success();
    eventually("the gateway to be missed", || (get(&token).status == 503).then_some(()));
    assert_ne!(healthy(gateway, &ops).code, Some(0));
}
