//! `quickstart`: from nothing to a protected backend, on the embedded database.

use std::fs;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use super::arguments::Quickstart;
use super::failure::Failure;
use super::output::say;
use super::serve::{start, wait_and_drain};
use crate::config::environment::ProcessEnvironment;
use crate::config::settings::Settings;
use crate::domain::audit::Initiator;
use crate::domain::key_owner::KeyOwner;
use crate::domain::key_terms::KeyTerms;
use crate::domain::random::Random;
use crate::domain::scope::ScopeSet;
use crate::domain::secret::Secret;
use crate::domain::user::Username;
use crate::identity::api_keys::{Expiry, NewKey};
use crate::identity::passwords::MadeUp;
use crate::identity::users::NewUser;
use crate::server::ground::{Administration, Nature, Stores, make_master_key};
use crate::server::run::{Running, back_office};
use crate::server::signals::Signals;

const ADMINISTRATOR: &str = "admin";
/// The configuration that the quick start runs on, beside the data, for whoever wants to go on from here.
const CONFIGURATION: &str = "quickstart.yaml";

/// Made at the first start, and shown then only.
struct FirstCredentials {
    password: Secret<String>,
    key: Secret<String>,
}

pub fn run(options: &Quickstart) -> Result<(), Failure> {
    make_directory(&options.data)?;
    let echo = match &options.upstream {
        Some(_) => None,
        None => Some(Running::bind_echo()?),
    };
    let server = match (&options.upstream, &echo) {
        (Some(url), _) => url.clone(),
        (None, Some((address, _))) => address.to_string(),
        (None, None) => String::new(),
    };
    let path = options.data.join(CONFIGURATION);
    let text = configuration(options, &server)?;
    let settings = crate::config::read(&text, &path.display().to_string(), Path::new(""), &ProcessEnvironment)?;
    let nature = Nature::real();
    prepare(&settings, &nature)?;
    let signals = Signals::catch()?;
    let running = start(&settings)?;
    write_configuration(&path, &text)?;
    if let Some((address, socket)) = echo {
        serve_echo(&running, address, socket);
    }
    // Made last: a start that fails, on a port in use for one, must not use up the one time that they are shown.
    let credentials = first_credentials(&settings, &nature)?;
    say(&greeting(&running, &server, &path, credentials.as_ref(), options.upstream.is_none()));
    drop(credentials);
    wait_and_drain(running, signals);
    Ok(())
}

fn serve_echo(running: &Running, address: SocketAddr, socket: TcpListener) {
    running.serve_echo(address, socket);
}

/// The data directory holds secrets; only its owner may look in.
fn make_directory(path: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::DirBuilderExt as _;
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|error| Failure::Input(format!("cannot make the data directory {}: {error}", path.display())))
}

fn configuration(options: &Quickstart, server: &str) -> Result<String, Failure> {
    let data = options.data.to_str().filter(|text| !text.chars().any(|c| c.is_control() || "\"\\$".contains(c)));
    let data = data.ok_or_else(|| {
        Failure::Input("the data directory's name must be plain text without quotes, backslashes or dollars".to_owned())
    })?;
    let server: String = server.chars().filter(|c| !c.is_control() && !"\"\\$".contains(*c)).collect();
    Ok(format!(
        r#"# Written anew by each `portcullis quickstart`. To make it yours, copy it, and start with
# `portcullis serve --config <your copy>`.
listen: {{ http: "{http}", ops: "{ops}" }}
storage: {{ url: "sqlite://{data}/portcullis.db" }}
secrets: {{ master_key: {{ file: "{data}/master.key" }} }}
# The administrator that was made here has only a password so far. Remove this once there is a second factor.
second_factor: {{ administration: false }}
# Mail goes into files. Where a real one shall lead, say so.
mail: {{ transport: {{ directory: "{data}/mail" }}, reset_url: "http://localhost:3000/#token={{token}}" }}
upstreams:
  backend: {{ servers: ["{server}"] }}
routes:
  - {{ name: backend, path: /, upstream: backend, access: {{ any: [jwt, api_key] }} }}
"#,
        http = options.listen,
        ops = options.ops,
    ))
}

fn write_configuration(path: &Path, text: &str) -> Result<(), Failure> {
    let mut file = fs::File::create(path)?;
    file.write_all(text.as_bytes())?;
    Ok(())
}

/// Makes the database and the master key where there are none.
fn prepare(settings: &Settings, nature: &Nature) -> Result<(), Failure> {
    back_office()?.block_on(async {
        let stores = Stores::prepare(settings).await?;
        make_master_key(settings, &stores, nature.random.as_ref()).await?;
        stores.close().await;
        Ok(())
    })
}

/// An administrator and a key, when there is no user at all.
fn first_credentials(settings: &Settings, nature: &Nature) -> Result<Option<FirstCredentials>, Failure> {
    back_office()?.block_on(async {
        let stores = Stores::open_patiently(settings).await?;
        let users = stores.users.count().await.map_err(|error| Failure::Input(error.to_string()))?;
        let made = if users > 0 {
            None
        } else {
            let administration = Administration::new(settings, &stores, nature)?;
            Some(make_credentials(&administration, nature.random.as_ref()).await?)
        };
        stores.close().await;
        Ok(made)
    })
}

async fn make_credentials(administration: &Administration, random: &dyn Random) -> Result<FirstCredentials, Failure> {
    let password = Secret::new(MadeUp::text(random));
    let username = Username::parse(ADMINISTRATOR).map_err(|fault| Failure::Input(fault.to_string()))?;
    let admin = NewUser { is_admin: true, ..NewUser::named(username, Some(password.clone())) };
    let key = NewKey {
        name: "quickstart".to_owned(),
        owner: KeyOwner::Service("quickstart".to_owned()),
        scopes: ScopeSet::default(),
        expiry: Expiry::Never,
        terms: KeyTerms::default(),
    };
    let (_, secret) = administration.keys.create(key, &Initiator::operator()).await?;
    // The user comes last: only then does the next start take the first one for complete.
    administration.users.create(admin, &Initiator::operator()).await?;
    Ok(FirstCredentials { password, key: Secret::new(secret.expose().to_owned()) })
}

fn greeting(
    running: &Running,
    server: &str,
    configuration: &Path,
    credentials: Option<&FirstCredentials>,
    echo: bool,
) -> String {
    let url = format!("http://{}", running.http());
    let backend = if echo { "a built-in echo backend".to_owned() } else { server.to_owned() };
    let mut text = format!(
        "Portcullis stands at {url} in front of {backend}.\nHealth and metrics: http://{ops}/readyz, http://{ops}/metrics\nConfiguration: {file}\nMail, such as the link for a forgotten password, goes into files: {mail}\n\n",
        ops = running.ops(),
        file = configuration.display(),
        mail = configuration.with_file_name("mail").display(),
    );
    match credentials {
        Some(FirstCredentials { password, key }) => {
            text.push_str(&format!(
                r#"An administrator and an API key were made. They are shown now and never again:
  user      {ADMINISTRATOR}
  password  {password}
  API key   {key}

Sign in:
  curl -s {url}/api/v1/auth/token/ -H 'Content-Type: application/json' -d '{{"username":"{ADMINISTRATOR}","password":"{password}"}}'

Call through with the token:
  TOKEN=$(curl -s {url}/api/v1/auth/token/ -H 'Content-Type: application/json' -d '{{"username":"{ADMINISTRATOR}","password":"{password}"}}' | sed 's/.*"access":"\([^"]*\)".*/\1/')
  curl -s {url}/hello -H "Authorization: Bearer $TOKEN"

Call through with the key:
  curl -s {url}/hello -H 'X-API-Key: {key}'

"#,
                password = password.expose(),
                key = key.expose(),
            ));
        }
        None => text.push_str("The data of an earlier start is kept; its secrets were shown then.\n\n"),
    }
    text.push_str(&format!("See a refusal:\n  curl -si {url}/hello\n\nPress Ctrl-C to stop.\n"));
    text
}
