//! What is counted is counted by all of them together.

use super::{Fleet, key};
use crate::harness::PASSWORD;

impl Fleet {
    /// How many of so many get through when all are asked in turn.
    fn through(&self, tries: usize, path: &str, key: &str) -> usize {
        let nodes = self.nodes.iter().cycle().take(tries);
        nodes.filter(|node| node.get(path, &[("X-API-Key", key)]).status == 200).count()
    }

    pub fn counts_requests_together(&self) {
        let keys = [(); 2].map(|()| key(&self.place, &["--owner", "limited"]).1);
        let through = self.through(8, "/limited", &keys[0]) + self.through(8, "/limited", &keys[1]);
        assert_eq!(through, 9, "of a service with two keys");
        self.all_answer(429, |node| node.get("/limited", &[("X-API-Key", &keys[0])]));
        self.all_answer(200, |node| node.get("/", &[("X-API-Key", &keys[0])]));

        let (_, often) = key(&self.place, &["--quota", "11/month"]);
        assert_eq!(self.through(20, "/", &often), 11);
        let refused = self.nodes[1].get("/", &[("X-API-Key", &often)]);
        assert_eq!((refused.status, refused.code().as_str()), (429, "key_quota"));
    }

    pub fn counts_guesses_together(&self) {
        self.place.create_user("carl");
        for (number, node) in self.nodes.iter().cycle().take(10).enumerate() {
            let reply = node.sign_in("carl", "not the password");
            assert_eq!(reply.status, 401, "{number}: {reply:?}");
        }
        for password in ["not the password", PASSWORD] {
            for node in &self.nodes {
                let reply = node.sign_in("carl", password);
                assert_eq!((reply.status, reply.code().as_str()), (429, "too_many_attempts"), "{reply:?}");
                assert!(reply.header("retry-after").is_some(), "{reply:?}");
            }
        }
        self.place.run(&["users", "unlock", "carl"]).success();
        assert_eq!(self.nodes[1].sign_in("carl", PASSWORD).status, 200);
    }
}
