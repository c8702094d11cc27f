//! What goes on while Redis is gone, or PostgreSQL answers nothing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::{Fleet, key};
use crate::harness::{Reply, Server, eventually};

/// How soon the log alone tells of what is taken away.
const WITHOUT_REDIS: Duration = Duration::from_secs(5);

impl Fleet {
    pub fn goes_on_without_redis(&mut self) {
        let (_, known) = key(&self.place, &[]);
        let (access, refresh) = self.nodes[0].tokens("anna");
        let with_key = |node: &Server| node.get("/", &[("X-API-Key", &known)]);
        let with_token = |node: &Server| node.get_with_token("/", &access);
        self.all_answer(200, with_key);
        self.redis.kill();
        for _ in 0..5 {
            self.all_answer(200, with_key);
            self.all_answer(200, with_token);
        }
        let (_, new) = key(&self.place, &[]);
        self.all_answer(200, |node| node.get("/", &[("X-API-Key", &new)]));
        assert_eq!(self.nodes[2].refresh(&refresh).status, 200);
        self.hears_of_what_is_taken_away(WITHOUT_REDIS);
        self.redis.restart();
        self.has_redis();
    }

    pub fn goes_on_while_the_database_hangs(&self) {
        let [known, unknown] = [(); 2].map(|()| key(&self.place, &[]).1);
        let (access, refresh) = self.nodes[0].tokens("anna");
        let with_key = |node: &Server| node.get("/", &[("X-API-Key", &known)]);
        let with_token = |node: &Server| node.get_with_token("/", &access);
        let with_unknown = |node: &Server| node.get("/", &[("X-API-Key", &unknown)]);
        self.all_answer(200, with_key);
        self.all_answer(200, with_token);
        let unavailable = |reply: &Reply| {
            assert_eq!((reply.status, reply.code().as_str()), (503, "unavailable"), "{reply:?}");
            assert!(reply.header("retry-after").is_some(), "{reply:?}");
        };
        let hangs = AtomicBool::new(true);
        self.postgres.hang();
        std::thread::scope(|scope| {
            for node in &self.nodes {
                let (hangs, unavailable, refresh) = (&hangs, &unavailable, &refresh);
                scope.spawn(move || {
                    let mut asked = 0;
                    while hangs.load(Ordering::SeqCst) {
                        for reply in [with_key(node), with_token(node)] {
                            assert_eq!(reply.status, 200, "what is known: {reply:?}");
                        }
                        asked += 1;
                    }
                    assert!(asked > 10, "nobody got through");
                });
                scope.spawn(move || {
                    unavailable(&with_unknown(node));
                    unavailable(&node.refresh(refresh));
                });
            }
            std::thread::sleep(Duration::from_secs(3));
            hangs.store(false, Ordering::SeqCst);
        });
        self.postgres.go_on();
        for node in &self.nodes {
            eventually("the database again", || {
                let reply = with_unknown(node);
                assert_ne!(reply.status, 401, "{reply:?}");
                (reply.status == 200).then_some(())
            });
            eventually("readiness", || (node.readiness() == "ok").then_some(()));
        }
        self.all_answer(200, with_key);
        self.all_answer(200, with_token);
        assert_eq!(self.nodes[1].refresh(&refresh).status, 200);
    }
}
