//! `users/`, `users/{id}/`: administration of users.

use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use serde_json::{Value, json};

use super::answer;
use super::body;
use super::context::{RequestContext, Services};
use super::fields::Fields;
use super::fields::typed::sentence;
use super::object_id::ObjectId;
use super::paging::{self, Page};
use super::refusal::{Answer, Refusal, invalid, refuse_saying, refuse_scopes};
use super::schema;
use crate::domain::denial::Denial;
use crate::domain::role::{ADMIN, RoleName, RoleSet};
use crate::domain::scope::{Scope, ScopeSet};
use crate::domain::user::{Email, User, UserChanges, UserId, UserQuery, Username};
use crate::identity::users::{NewUser, UserError};

/// Tells the cursors of this list.
const LIST: &str = "users";
/// Scopes or roles of one user.
const MOST: usize = 100;
/// As in the Django stack.
const NAME: usize = 150;
const EMAIL: usize = 254;

/// List users
///
/// Users by name, in pages.
#[utoipa::path(
    get, path = "users/", operation_id = "list_users", tag = "Users",
    params(
        ("limit" = inline(Option<u32>), Query, minimum = 1, maximum = 200, description = "How many on a page; 50 if not said", example = 50),
        ("cursor" = inline(Option<String>), Query, description = "`next` of the page before"),
        ("search" = inline(Option<String>), Query, max_length = 254, description = "A part of the name or e-mail address", example = "ann"),
        ("active" = inline(Option<bool>), Query, description = "Only those who are switched on, or off", example = true),
        ("admin" = inline(Option<bool>), Query, description = "Only administrators, or only others", example = false),
    ),
    responses((status = 200, description = "A page of users", body = schema::users::UserPage)),
)]
pub async fn list(State(services): State<Arc<Services>>, uri: Uri) -> Answer {
    let mut fields = paging::query(&uri);
    let page = Page::read(&mut fields, LIST);
    let query = UserQuery {
        after: page.after.clone(),
        search: fields.line("search", EMAIL).filter(|text| !text.is_empty()),
        is_active: fields.flag("active"),
        is_admin: fields.flag("admin"),
        limit: page.ask(),
    };
    fields.finish().map_err(invalid)?;
    let users = services.users.page(&query).await?;
    let body = page.answer(LIST, &users, to_json, |user| user.username.clone());
    Ok(answer::secret_json(StatusCode::OK, &body))
}

/// Create user
///
/// Makes a user, who may do no more than the caller may.
#[utoipa::path(
    post, path = "users/", operation_id = "create_user", tag = "Users",
    request_body = schema::users::NewUser,
    responses((status = 201, description = "The user", body = schema::users::User)),
)]
pub async fn create(
    State(services): State<Arc<Services>>,
    Extension(context): Extension<RequestContext>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Answer {
    let fields = body::read_json(&headers, &bytes)?;
    let new = new_user(fields, services.strips_passwords).map_err(invalid)?;
    let user = services.users.create(new, &context.administrator(&headers)).await?;
    Ok(answer::secret_json(StatusCode::CREATED, &to_json(&user)))
}

/// Show user
///
/// One user.
#[utoipa::path(
    get, path = "users/{id}/", operation_id = "show_user", tag = "Users",
    params(schema::paths::UserPath),
    responses(
        (status = 200, description = "The user", body = schema::users::User),
        schema::paths::NoSuchUser,
    ),
)]
pub async fn show(State(services): State<Arc<Services>>, ObjectId(id): ObjectId) -> Answer {
    let user = services.users.show(&UserId(id)).await?;
    Ok(answer::secret_json(StatusCode::OK, &to_json(&user)))
}

/// Change user
///
/// Changes what is sent, and nothing else.
///
/// Nobody changes a user who may do more than they may, nor makes one of whom that is true.
#[utoipa::path(
    patch, path = "users/{id}/", operation_id = "change_user", tag = "Users",
    params(schema::paths::UserPath),
    request_body = schema::users::UserChange,
    responses(
        (status = 200, description = "The user as it is now", body = schema::users::User),
        schema::paths::NoSuchUser,
    ),
)]
pub async fn change(
    State(services): State<Arc<Services>>,
    Extension(context): Extension<RequestContext>,
    ObjectId(id): ObjectId,
    headers: HeaderMap,
    bytes: Bytes,
) -> Answer {
    let fields = body::read_json(&headers, &bytes)?;
    let changes = changes(fields).map_err(invalid)?;
    let user = services.users.change(&UserId(id), &changes, &context.administrator(&headers)).await?;
    Ok(answer::secret_json(StatusCode::OK, &to_json(&user)))
}

/// Delete user
///
/// Deletes a user and all that is the user's: sessions, keys, second factors. The audit keeps what it tells.
#[utoipa::path(
    delete, path = "users/{id}/", operation_id = "delete_user", tag = "Users",
    params(schema::paths::UserPath),
    responses(
        (status = 200, description = "The user is gone", body = schema::tokens::Done),
        schema::paths::NoSuchUser,
    ),
)]
pub async fn delete(
    State(services): State<Arc<Services>>,
    Extension(context): Extension<RequestContext>,
    ObjectId(id): ObjectId,
    headers: HeaderMap,
) -> Answer {
    services.users.delete(&UserId(id), &context.administrator(&headers)).await?;
    Ok(answer::json(StatusCode::OK, &json!({})))
}

fn new_user(mut fields: Fields, strips_passwords: bool) -> Result<NewUser, Value> {
    fields.require("username");
    let username = username(&mut fields);
    let password = fields.is_given("password").then(|| fields.password("password", strips_passwords));
    let changes = taken(&mut fields);
    fields.finish()?;
    let Some(username) = username else { return Err(json!({ "username": ["This field is required."] })) };
    Ok(NewUser {
        email: changes.email.as_deref().and_then(|email| Email::parse(email).ok()),
        first_name: changes.first_name.unwrap_or_default(),
        last_name: changes.last_name.unwrap_or_default(),
        is_admin: changes.is_admin.unwrap_or_default(),
        roles: changes.roles.unwrap_or_default(),
        scopes: changes.scopes.unwrap_or_default(),
        ..NewUser::named(username, password)
    })
}

fn changes(mut fields: Fields) -> Result<UserChanges, Value> {
    let username = username(&mut fields).map(|name| name.as_str().to_owned());
    let is_active = fields.flag("is_active");
    let changes = UserChanges { username, is_active, ..taken(&mut fields) };
    fields.finish()?;
    Ok(changes)
}

/// What both forms have.
fn taken(fields: &mut Fields) -> UserChanges {
    UserChanges {
        email: email(fields),
        first_name: fields.line("first_name", NAME),
        last_name: fields.line("last_name", NAME),
        is_admin: fields.flag("is_admin"),
        roles: fields.list("roles", MOST, role).map(RoleSet::from_iter),
        scopes: fields.list("scopes", MOST, Scope::parse).map(ScopeSet::from_iter),
        ..UserChanges::default()
    }
}

fn username(fields: &mut Fields) -> Option<Username> {
    let text = fields.filled_line("username", NAME)?;
    Username::parse(&text).inspect_err(|fault| fields.fault("username", &sentence(&fault.to_string()))).ok()
}

/// Empty for none, which `null` stands for too.
fn email(fields: &mut Fields) -> Option<String> {
    if fields.is_null("email") {
        return Some(String::new());
    }
    let text = fields.line("email", EMAIL)?;
    if !text.is_empty() && Email::parse(&text).is_err() {
        fields.fault("email", "Enter a valid email address.");
        return None;
    }
    Some(text)
}

fn role(text: &str) -> Result<RoleName, String> {
    if text == ADMIN {
        return Err("the role admin is given with is_admin".to_owned());
    }
    RoleName::parse(text).map_err(|fault| fault.to_string())
}

/// A user without the password's hash.
pub fn to_json(user: &User) -> Value {
    json!({
        "id": user.id.as_str(),
        "username": user.username,
        "email": user.email,
        "first_name": user.first_name,
        "last_name": user.last_name,
        "is_active": user.is_active,
        "is_admin": user.is_admin,
        "roles": user.roles.iter().map(RoleName::as_str).collect::<Vec<_>>(),
        "scopes": user.scopes.iter().map(Scope::as_str).collect::<Vec<_>>(),
        "created_at": user.created_at.rfc3339(),
        "password_changed_at": user.password_changed_at.rfc3339(),
        "last_sign_in_at": user.last_sign_in_at.map(|at| at.rfc3339()),
        "second_factor": user.has_second_factor,
    })
}

impl From<UserError> for Refusal {
    fn from(error: UserError) -> Self {
        let faulty = |field: &str, faults: Vec<String>| invalid(json!({ field: faults }));
        match error {
            UserError::Taken => faulty("username", vec!["A user with that username already exists.".to_owned()]),
            UserError::Unknown(_) | UserError::Ambiguous { .. } => Denial::ObjectNotFound.into(),
            UserError::UnknownRole(name) => faulty("roles", vec![format!("\"{name}\" is not a valid choice.")]),
            UserError::Password(unfit) => faulty("password", unfit.sentences()),
            UserError::Beyond(beyond) => refuse_scopes(&beyond.asked).into(),
            UserError::Oneself(_) => refuse_saying(Denial::InvalidFields, &sentence(&error.to_string())).into(),
            UserError::Busy => Denial::Busy.into(),
            UserError::Outdated | UserError::Store(_) => Denial::Unavailable.into(),
        }
    }
}
