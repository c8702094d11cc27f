//! `users`: making and changing them.

use serde_json::{Value, json};

use super::arguments::{self, OutputFormat, UserChange, Users};
use super::credentials;
use super::desk::Desk;
use super::failure::Failure;
use super::output::{complain, print, table};
use crate::domain::audit::Initiator;
use crate::domain::role::{ADMIN, RoleName, RoleSet};
use crate::domain::scope::{Scope, ScopeSet};
use crate::domain::session::Session;
use crate::domain::user::{Email, User, UserChanges, Username};
use crate::identity::users::{NewUser, UserError};

pub fn run(desk: &Desk, command: Users, format: OutputFormat) -> Result<(), Failure> {
    let users = &desk.administration.users;
    let wait = &desk.runtime;
    let by = Initiator::operator();
    let find = |user: &str| wait.block_on(users.find(user));
    match command {
        Users::Create(new) => {
            let user = wait.block_on(users.create(new_user(&new)?, &by))?;
            print(format, &format!("Created user {} with id {}.\n", user.username, user.id), &to_json(&user));
        }
        Users::List => {
            let all = wait.block_on(users.list())?;
            warn_of_unknown_roles(desk, &all);
            let rows: Vec<Vec<String>> = all.iter().map(to_row).collect();
            let text = table(&["ID", "NAME", "E-MAIL", "ACTIVE", "ADMIN", "ROLES", "SCOPES"], &rows);
            print(format, &text, &all.iter().map(to_json).collect());
        }
        Users::Show { user } => {
            let user = find(&user)?;
            print(format, &table(&["FIELD", "VALUE"], &fields(&user)), &to_json(&user));
        }
        Users::Change(change) => {
            let user = find(&change.user)?;
            let changes = changes(change)?;
            if changes == UserChanges::default() {
                return Err(input("say what is to be different; `users change --help` lists what can be"));
            }
            let user = wait.block_on(users.change(&user, &changes, &by))?;
            print(format, &format!("Changed user {}.\n", user.username), &to_json(&user));
        }
        Users::Disable { user } => {
            let user = wait.block_on(users.set_active(&user, false, &by))?;
            print(format, &format!("Disabled user {}.\n", user.username), &to_json(&user));
        }
        Users::Enable { user } => {
            let user = wait.block_on(users.set_active(&user, true, &by))?;
            print(format, &format!("Enabled user {}.\n", user.username), &to_json(&user));
        }
        Users::SetPassword { user, password_stdin } => {
            let password = credentials::password(password_stdin)?;
            let user = wait.block_on(users.set_password(&user, password, &by))?;
            let text = format!("Set the password of user {}; all sessions have ended.\n", user.username);
            print(format, &text, &to_json(&user));
        }
        Users::ResetSecondFactor { user } => {
            let user = find(&user)?;
            let factors = &desk.administration.second_factors;
            let devices = wait.block_on(factors.factors.of_user(&user.id)).map_err(UserError::Store)?;
            let reset = wait.block_on(factors.reset(&user.id, &by));
            if !reset.map_err(UserError::Store)? {
                return Err(UserError::Unknown(user.username).into());
            }
            let text = if devices.is_empty() {
                format!("User {} had no second factor; all sessions have ended.\n", user.username)
            } else {
                format!("The second factor of user {} is gone, and all sessions have ended.\n", user.username)
            };
            print(format, &text, &to_json(&user));
        }
        Users::Sessions { user } => {
            let sessions = wait.block_on(users.sessions_of(&find(&user)?))?;
            let rows: Vec<Vec<String>> = sessions.iter().map(session_row).collect();
            let text = table(&["ID", "CREATED", "LAST USED", "EXPIRES", "BY", "FROM", "WITH"], &rows);
            print(format, &text, &sessions.iter().map(session_json).collect());
        }
        Users::EndSessions { user } => {
            let user = find(&user)?;
            let ended = wait.block_on(users.end_sessions(&user, &by))?;
            let text = format!("Ended {ended} sessions of user {}.\n", user.username);
            print(format, &text, &json!({ "ended": ended }));
        }
        Users::Unlock { user } => {
            let user = find(&user)?;
            let unlocked = wait.block_on(desk.administration.lockouts.unlock(&user.id, &by));
            let unlocked = unlocked.map_err(UserError::Store)?;
            let said = if unlocked { "can go on at once" } else { "was not kept waiting" };
            print(format, &format!("User {} {said}.\n", user.username), &json!({ "cleared": unlocked }));
        }
        Users::Delete { user } => {
            let user = find(&user)?;
            wait.block_on(users.delete(&user, &by))?;
            print(format, &format!("Deleted user {}.\n", user.username), &to_json(&user));
        }
    }
    Ok(())
}

fn input(fault: impl std::fmt::Display) -> Failure {
    Failure::Input(fault.to_string())
}

fn new_user(new: &arguments::NewUser) -> Result<NewUser, Failure> {
    let username = Username::parse(&new.username).map_err(input)?;
    Ok(NewUser {
        email: new.email.as_deref().map(Email::parse).transpose().map_err(input)?,
        first_name: read_name(&new.first_name)?,
        last_name: read_name(&new.last_name)?,
        is_admin: new.admin,
        roles: read_roles(&new.roles)?,
        scopes: read_scopes(&new.scopes)?,
        // Asked for last, when all the rest is known to fit.
        ..NewUser::named(
            username,
            if new.no_password { None } else { Some(credentials::password(new.password_stdin)?) },
        )
    })
}

fn changes(change: UserChange) -> Result<UserChanges, Failure> {
    let email = |text: String| match text.as_str() {
        "" => Ok(text),
        address => Email::parse(address).map(|_| text).map_err(input),
    };
    let list = |given: &[String], none: bool| none || !given.is_empty();
    Ok(UserChanges {
        username: change.username.map(|name| Username::parse(&name).map(|_| name)).transpose().map_err(input)?,
        email: change.email.map(email).transpose()?,
        first_name: change.first_name.as_deref().map(read_name).transpose()?,
        last_name: change.last_name.as_deref().map(read_name).transpose()?,
        is_active: None,
        is_admin: if change.admin || change.no_admin { Some(change.admin) } else { None },
        roles: list(&change.roles, change.no_roles).then(|| read_roles(&change.roles)).transpose()?,
        scopes: list(&change.scopes, change.no_scopes).then(|| read_scopes(&change.scopes)).transpose()?,
    })
}

fn read_name(text: &str) -> Result<String, Failure> {
    let name = text.trim();
    if name.chars().count() > 150 || name.chars().any(char::is_control) {
        return Err(input("a first or last name has at most 150 characters and no control characters"));
    }
    Ok(name.to_owned())
}

fn read_roles(texts: &[String]) -> Result<RoleSet, Failure> {
    let role = |text: &String| match text.as_str() {
        ADMIN => Err(input("the role admin is given with --admin")),
        name => RoleName::parse(name).map_err(input),
    };
    texts.iter().map(role).collect()
}

pub fn read_scopes(texts: &[String]) -> Result<ScopeSet, Failure> {
    let scopes: Result<ScopeSet, _> = texts.iter().map(|text| Scope::parse(text)).collect();
    scopes.map_err(input)
}

/// A role may have been taken out of the configuration, or be misspelt there.
fn warn_of_unknown_roles(desk: &Desk, users: &[User]) {
    for user in users {
        for role in user.roles.iter().filter(|role| !desk.administration.users.roles.knows(role)) {
            let name = user.username.escape_debug();
            complain(&format!("warning: {name} has the role {role}, which the configuration does not name\n"));
        }
    }
}

fn to_row(user: &User) -> Vec<String> {
    vec![
        user.id.0.clone(),
        user.username.clone(),
        user.email.clone(),
        yes(user.is_active),
        yes(user.is_admin),
        user.roles.to_string(),
        user.scopes.to_string(),
    ]
}

fn yes(is: bool) -> String {
    if is { "yes" } else { "no" }.to_owned()
}

fn fields(user: &User) -> Vec<Vec<String>> {
    let never = || "never".to_owned();
    let rows = [
        ("id", user.id.to_string()),
        ("name", user.username.clone()),
        ("e-mail", user.email.clone()),
        ("first name", user.first_name.clone()),
        ("last name", user.last_name.clone()),
        ("active", yes(user.is_active)),
        ("admin", yes(user.is_admin)),
        ("roles", user.roles.to_string()),
        ("scopes", user.scopes.to_string()),
        ("created", user.created_at.rfc3339()),
        ("password set", user.password_changed_at.rfc3339()),
        ("last sign-in", user.last_sign_in_at.map_or_else(never, |at| at.rfc3339())),
        ("second factor", yes(user.has_second_factor)),
    ];
    rows.map(|(name, value)| vec![name.to_owned(), value]).into()
}

/// Without the password's hash.
fn to_json(user: &User) -> Value {
    json!({
        "id": user.id.as_str(),
        "username": user.username,
        "email": user.email,
        "first_name": user.first_name,
        "last_name": user.last_name,
        "active": user.is_active,
        "admin": user.is_admin,
        "roles": user.roles.iter().map(RoleName::as_str).collect::<Vec<_>>(),
        "scopes": user.scopes.iter().map(Scope::as_str).collect::<Vec<_>>(),
        "created_at": user.created_at.rfc3339(),
        "password_changed_at": user.password_changed_at.rfc3339(),
        "last_sign_in_at": user.last_sign_in_at.map(|at| at.rfc3339()),
        "second_factor": user.has_second_factor,
    })
}

fn session_row(session: &Session) -> Vec<String> {
    vec![
        session.id.to_string(),
        session.created_at.rfc3339(),
        session.last_used_at.rfc3339(),
        session.expires_at.rfc3339(),
        session.amr.join(" "),
        session.client_address.clone(),
        session.user_agent.clone(),
    ]
}

fn session_json(session: &Session) -> Value {
    json!({
        "id": session.id.as_str(),
        "created_at": session.created_at.rfc3339(),
        "last_used_at": session.last_used_at.rfc3339(),
        "expires_at": session.expires_at.rfc3339(),
        "amr": session.amr,
        "address": session.client_address,
        "user_agent": session.user_agent,
    })
}
