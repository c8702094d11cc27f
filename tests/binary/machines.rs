//! From one machine to several, as the README tells it.

use std::path::Path;
use std::process::Command;

use crate::harness::place::PORTCULLIS;
use crate::harness::postgres::{ADMINISTRATOR, PASSWORD as ADMINISTRATORS, PostgresServer, ROLE};
use crate::harness::{Place, Server, Upstream, eventually, finish, pair};
use crate::redis_server::Redis;

const FILE: &str = "config/portcullis.yaml";

/// The blocks of a text in their order: language and content.
fn blocks(markdown: &str) -> Vec<(&str, &str)> {
    let pieces = markdown.split("\n```").skip(1).step_by(2);
    pieces.map(|block| block.split_once('\n').unwrap()).collect()
}

struct Site {
    postgres: PostgresServer,
    redis: Redis,
}

impl Site {
    /// What a reader replaces by their own. The servers of the test speak without TLS.
    fn own(&self, text: &str) -> String {
        text.replace("db.example.org:5432", &format!("127.0.0.1:{}", self.postgres.port()))
            .replace("sslmode=verify-full", "sslmode=disable")
            .replace("rediss://redis.example.org:6379/0", &self.redis.url())
    }

    fn run(&self, place: &Place, script: &str) -> String {
        let bin = Path::new(PORTCULLIS).parent().unwrap().display();
        let mut command = Command::new("bash");
        command.args(["-euo", "pipefail", "-c", &format!("PATH={bin}:$PATH\n{}", self.own(script))]);
        command.env("PGHOST", "127.0.0.1").env("PGPORT", self.postgres.port().to_string());
        command.env("PGUSER", ADMINISTRATOR).env("PGPASSWORD", ADMINISTRATORS).current_dir(place.path("."));
        finish(command, "").success().stdout.clone()
    }
}

#[test]
fn one_machine_becomes_three_as_it_is_written() {
    let (postgres, redis, upstream) = (PostgresServer::start(), Redis::start(), Upstream::start());
    postgres.sql("postgres", &format!("DROP ROLE {ROLE}"));
    let site = Site { postgres, redis };
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let (one, rest) = readme.split_once("\n## More than one machine\n").unwrap();
    let several = rest.split("\n## ").next().unwrap();

    // The first day.
    let first = Place::empty();
    std::fs::create_dir(first.path("config")).unwrap();
    let (_, yaml) = blocks(one).into_iter().find(|(language, _)| *language == "yaml").unwrap();
    let listen = "listen: { http: \"127.0.0.1:0\", ops: \"127.0.0.1:0\" }\n";
    let server = format!("\"{}\"", upstream.address());
    first.write(FILE, &format!("{listen}{}\n", yaml.replace("\"127.0.0.1:8000\"", &server)));
    first.run(&["migrate"]).success();
    first.create_user("anna");
    let key = first.json(&["keys", "create", "--name", "robot"], "")["key"].as_str().unwrap().to_owned();
    let server = first.serve();
    let (access, refresh) = server.tokens("anna");
    server.stop().success();

    let (mut machines, mut servers): (Vec<Place>, Vec<Server>) = (Vec::new(), Vec::new());
    for (language, block) in blocks(several) {
        match (language, block) {
            ("yaml", settings) => {
                let before = std::fs::read_to_string(first.path(FILE)).unwrap();
                let kept = before.lines().filter(|line| !line.starts_with("storage:")).collect::<Vec<_>>().join("\n");
                first.write(FILE, &format!("{}\n{kept}\n", site.own(settings)));
            }
            ("sh", "portcullis serve") => {
                for _ in 0..3 {
                    let machine = Place::empty();
                    for directory in ["config", "data"] {
                        std::fs::create_dir(machine.path(directory)).unwrap();
                    }
                    for file in [FILE, "data/store.url", "data/master.key"] {
                        std::fs::copy(first.path(file), machine.path(file)).unwrap();
                    }
                    servers.push(machine.serve());
                    machines.push(machine);
                }
            }
            ("sh", look) if look.starts_with("curl ") => {
                for (machine, server) in machines.iter().zip(&servers) {
                    let look = look.replace("127.0.0.1:9180", &server.ops.to_string());
                    eventually("the bus", || {
                        let said = site.run(machine, &look);
                        assert!(said.starts_with("{\"status\":\"ok\"}portcullis_bus_connected "), "{said}");
                        (said.contains("connected 1\n") && said.contains("portcullis_invalidation_epoch "))
                            .then_some(())
                    });
                }
            }
            ("sh", commands) => {
                let said = site.run(&first, commands);
                if commands.contains("store copy") {
                    assert!(said.contains(" is valid: 3 routes") && said.contains("hold the same.\n"), "{said}");
                }
            }
            _ => panic!("```{language} is not followed: {block}"),
        }
    }
    assert_eq!(servers.len(), 3);
    for server in &servers {
        assert_eq!(server.get_with_token("/", &access).status, 200);
        assert_eq!(server.get("/", &[("X-API-Key", &key)]).status, 200);
    }
    let (access, _) = pair(&servers[1].refresh(&refresh));
    assert_eq!(servers[2].get_with_token("/", &access).status, 200);
}
