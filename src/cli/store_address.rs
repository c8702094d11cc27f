//! Where a store is, as operators write it.

use std::path::PathBuf;
use std::str::FromStr;

use super::failure::Failure;
use crate::config::environment::{Environment, ProcessEnvironment};
use crate::config::read_secret_file;
use crate::config::settings::Settings;
use crate::config::store_url::has_password;
use crate::domain::secret::Secret;

#[derive(Clone, Debug)]
pub enum StoreAddress {
    /// `storage.url` of the configuration.
    Config,
    Environment(String),
    File(PathBuf),
    Url(Secret<String>),
}

impl FromStr for StoreAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "config" => Ok(Self::Config),
            Some(("env", name)) if !name.is_empty() => Ok(Self::Environment(name.to_owned())),
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.into())),
            Some(("sqlite" | "postgres" | "postgresql", rest)) if rest.starts_with("//") => {
                let url = Secret::new(text.to_owned());
                if has_password(&url) {
                    return Err(
                        "everybody on this machine can read a password in a command: write env:NAME or file:PATH"
                            .to_owned(),
                    );
                }
                Ok(Self::Url(url))
            }
            _ => Err("write config, env:NAME, file:PATH, or a URL such as sqlite://data/portcullis.db".to_owned()),
        }
    }
}

impl StoreAddress {
    /// The configuration is read only for whom it says something.
    pub fn url(&self, settings: impl Fn() -> Result<Settings, Failure>) -> Result<Secret<String>, Failure> {
        match self {
            Self::Config => Ok(settings()?.storage.url),
            Self::Environment(name) => ProcessEnvironment
                .variable(name)
                .map(Secret::new)
                .ok_or_else(|| Failure::Input(format!("the environment variable {name} is not set"))),
            Self::File(path) => read_secret_file(path)
                .map_err(|problem| Failure::Input(format!("the file {} {problem}", path.display()))),
            Self::Url(url) => Ok(url.clone()),
        }
    }
}
