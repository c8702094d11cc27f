//! Mail that a gateway with `mail: { transport: { directory: mail } }` has written.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::{Plan, World, eventually};

pub struct Mailbox {
    directory: PathBuf,
    read: BTreeSet<PathBuf>,
}

/// A message, taken apart as far as tests need it.
#[derive(Clone, Debug)]
pub struct Mail {
    /// All of it as it is written, but for line ends that were put in for the way.
    pub written: String,
    pub to: String,
    pub subject: String,
}

/// What stands before the token in the links of [`Plan::mailing`].
pub const RESET_PAGE: &str = "https://app.example.org/reset#";

impl Plan {
    /// With mail in files, to be read through [`World::mailbox`].
    pub fn mailing(mut self) -> Self {
        self.extra.push_str(&format!(
            "\nmail: {{ transport: {{ directory: mail }}, reset_url: \"{RESET_PAGE}{{token}}\", service: Our Shop }}\n"
        ));
        self
    }
}

impl World {
    pub fn mailbox(&self) -> Mailbox {
        Mailbox { directory: self.directory.path().join("mail"), read: BTreeSet::new() }
    }
}

impl Mailbox {
    /// The next message that has not been read through this mailbox yet.
    pub fn next(&mut self) -> Mail {
        let path = eventually("a mail", || {
            let files = std::fs::read_dir(&self.directory).unwrap().map(|entry| entry.unwrap().path());
            let mut new =
                files.filter(|path| path.extension().is_some_and(|e| e == "eml") && !self.read.contains(path));
            new.next()
        });
        self.read.insert(path.clone());
        let raw = std::fs::read_to_string(path).unwrap().replace("=\r\n", "");
        let header = |name: &str| {
            let line = raw.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name} {raw}"));
            line[name.len()..].trim().to_owned()
        };
        Mail { to: header("To:"), subject: header("Subject:"), written: raw }
    }

    /// The token of the next message that has a link.
    pub fn next_link(&mut self) -> String {
        loop {
            let mail = self.next();
            if mail.written.contains(RESET_PAGE) {
                return mail.token();
            }
        }
    }

    /// How many messages there are, read or not.
    pub fn count(&self) -> usize {
        let names = std::fs::read_dir(&self.directory).unwrap().map(|entry| entry.unwrap().path());
        names.filter(|path| path.extension().is_some_and(|extension| extension == "eml")).count()
    }
}

impl Mail {
    /// The token in the link of this message.
    pub fn token(&self) -> String {
        let (_, after) = self.written.split_once(RESET_PAGE).unwrap_or_else(|| panic!("no link in {}", self.written));
        let token: String = after.chars().take_while(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).collect();
        assert_eq!(token.len(), 43, "256 bits in base64url: {}", self.written);
        token
    }
}
