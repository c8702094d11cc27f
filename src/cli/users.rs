//! `users`: making and changing them.

use serde_json::{Value, json};

use super::arguments::{OutputFormat, Users};
use super::credentials;
use super::desk::Desk;
use super::failure::Failure;
use super::output::{print, table};
use crate::domain::audit::Initiator;
use crate::domain::scope::{Scope, ScopeSet};
use crate::domain::user::{Email, User, Username};
use crate::identity::users::{NewUser, UserError};

pub fn run(desk: &Desk, command: Users, format: OutputFormat) -> Result<(), Failure> {
    let users = &desk.administration.users;
    let wait = &desk.runtime;
    let by = Initiator::operator();
    match command {
        Users::Create { username, email, admin, scopes, password_stdin } => {
            let input = |fault: &dyn std::fmt::Display| Failure::Input(fault.to_string());
            let username = Username::parse(&username).map_err(|e| input(&e))?;
            let new = NewUser {
                email: email.as_deref().map(Email::parse).transpose().map_err(|e| input(&e))?,
                is_admin: admin,
                scopes: read_scopes(&scopes)?,
                ..NewUser::named(username, Some(credentials::password(password_stdin)?))
            };
            let user = wait.block_on(users.create(new, &by))?;
            print(format, &format!("Created user {} with id {}.\n", user.username, user.id), &to_json(&user));
        }
        Users::List => {
            let all = wait.block_on(users.list())?;
            let rows: Vec<Vec<String>> = all.iter().map(to_row).collect();
            let text = table(&["ID", "NAME", "E-MAIL", "ACTIVE", "ADMIN", "SCOPES"], &rows);
            print(format, &text, &all.iter().map(to_json).collect());
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
            let user = wait.block_on(users.find(&user))?;
            let reset = wait.block_on(desk.administration.second_factors.reset(&user.id, &by));
            if !reset.map_err(UserError::Store)? {
                return Err(UserError::Unknown(user.username).into());
            }
            let text = format!("The second factor of user {} is gone, and all sessions have ended.\n", user.username);
            print(format, &text, &to_json(&user));
        }
    }
    Ok(())
}

pub fn read_scopes(texts: &[String]) -> Result<ScopeSet, Failure> {
    let scopes: Result<ScopeSet, _> = texts.iter().map(|text| Scope::parse(text)).collect();
    scopes.map_err(|fault| Failure::Input(fault.to_string()))
}

fn to_row(user: &User) -> Vec<String> {
    let yes = |is: bool| if is { "yes" } else { "no" }.to_owned();
    vec![
        user.id.0.clone(),
        user.username.clone(),
        user.email.clone(),
        yes(user.is_active),
        yes(user.is_admin),
        user.scopes.to_string(),
    ]
}

/// Without the password's hash.
fn to_json(user: &User) -> Value {
    json!({
        "id": user.id.as_str(),
        "username": user.username,
        "email": user.email,
        "active": user.is_active,
        "admin": user.is_admin,
        "scopes": user.scopes.iter().map(Scope::as_str).collect::<Vec<_>>(),
        "created_at": user.created_at.rfc3339(),
    })
}
