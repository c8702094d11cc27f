//! Users, with their ids and their passwords as they are.

use std::time::Duration;

use super::merging::{Verdict, digest_of, judge};
use super::run::{GONE, Page, Run, by_name, id_in};
use super::{ImportError, UserTable};
use crate::crypto::django_password::{DjangoHash, Unreadable};
use crate::domain::digest::Digest;
use crate::domain::foreign_row::ForeignRow;
use crate::domain::random;
use crate::domain::role::RoleSet;
use crate::domain::scope::ScopeSet;
use crate::domain::session::SessionEnd;
use crate::domain::user::{Email, PasswordHash, User, UserId, Username};
use crate::storage::imports::{ImportKind, Remembered};
use crate::storage::installation::{ForeignTable, Installation};

struct Candidate {
    original: String,
    user: User,
    joined_is_known: bool,
}

const ONE_SECOND: Duration = Duration::from_secs(1);

pub async fn take_over(run: &mut Run<'_>, source: &dyn Installation) -> Result<(), ImportError> {
    let table = &run.options.users;
    let columns = UserTable::COLUMNS.iter().map(|column| table.column(column).to_owned()).collect();
    let Some(mut rows) = source.open(&ForeignTable { name: table.name.clone(), columns }).await? else {
        return Err(ImportError::NoUsers(table.name.clone()));
    };
    run.report.tally(&table.name);
    let mut nameless = 0_u64;
    loop {
        let id_of = |row: &ForeignRow| match row.text(table.column("id")) {
            // A dump with natural keys tells no ids.
            Ok(None) => id_in(row, table.column("username")).map(|name| by_name(&name)),
            _ => id_in(row, table.column("id")),
        };
        let Some(page) = run.next(&mut rows, &table.name, ImportKind::User, id_of).await? else { break };
        let Page { rows: found, known } = page;
        let (mut new, mut old) = (Vec::new(), Vec::new());
        for (original, row) in found {
            let has_no_id = matches!(row.text(table.column("id")), Ok(None));
            nameless += u64::from(has_no_id);
            let target = known.get(&original).map(|known| known.target.clone());
            let id = match target.clone().filter(|target| target != GONE) {
                Some(target) => target,
                None if has_no_id => random::uuid(run.random),
                None => original.clone(),
            };
            let joined_is_known =
                row.time(table.column("date_joined")).is_ok_and(|at| at.is_some_and(|at| at <= run.now));
            match read(run, &original, UserId(id), &row) {
                Err(why) => run.report.left(&table.name, &original, why),
                Ok(user) if target.is_none() => new.push(Candidate { original, user, joined_is_known }),
                Ok(user) => old.push(Candidate { original, user, joined_is_known }),
            }
        }
        add(run, new).await?;
        for candidate in old {
            let remembered = known.get(&candidate.original).map_or_else(|| profile(&candidate.user), |row| row.digest);
            merge(run, candidate, remembered).await?;
        }
    }
    if run.report.tally(&table.name).read == 0 {
        run.report.remark(format!("no user is in {}: is it the right --user-table?", table.name));
    }
    if nameless > 0 {
        run.report.remark(format!(
            "{nameless} users have no ids in it and get new ones, so that tokens in circulation, which name ids, do not \
             live on, and backends know nobody by the id in the headers: dump without --natural-primary and \
             --natural-foreign instead"
        ));
    }
    Ok(())
}

fn read(run: &mut Run<'_>, original: &str, id: UserId, row: &ForeignRow) -> Result<User, String> {
    let table = &run.options.users;
    let fault = |fault: crate::domain::foreign_row::CellFault| fault.to_string();
    let text = |ours| row.text(table.column(ours)).map(Option::unwrap_or_default).map_err(fault);
    let username = Username::parse(text("username")?).map_err(|fault| fault.to_string())?;
    let is_active = row.flag(table.column("is_active")).map_err(fault)?.unwrap_or(true);
    let is_admin = row.flag(table.column("is_superuser")).map_err(fault)?.unwrap_or(false);
    let email = match Email::parse(text("email")?) {
        Ok(email) => email.as_str().to_owned(),
        Err(_) if text("email")?.is_empty() => String::new(),
        Err(_) => {
            run.report.noted(&table.name, original, "the e-mail address is none, and is left out");
            String::new()
        }
    };
    let (first_name, last_name) = (text("first_name")?.to_owned(), text("last_name")?.to_owned());
    let password = password(run, original, row);
    let joined = run.past(&table.name, original, row, table.column("date_joined")).unwrap_or(run.now);
    Ok(User {
        id,
        username: username.as_str().to_owned(),
        email,
        first_name,
        last_name,
        is_active,
        is_admin,
        roles: RoleSet::default(),
        scopes: ScopeSet::default(),
        password,
        created_at: joined,
        // When it was set is not known there.
        password_changed_at: joined,
        tokens_valid_from: None,
        last_sign_in_at: run.past(&table.name, original, row, table.column("last_login")),
        has_second_factor: false,
    })
}

/// One that is not verified here comes along as none: the user does, and sets a new one by mail or with an administrator.
fn password(run: &mut Run<'_>, original: &str, row: &ForeignRow) -> PasswordHash {
    let table = run.options.users.name.clone();
    let stored = match row.text(run.options.users.column("password")) {
        Ok(stored) => stored.unwrap_or_default(),
        Err(fault) => {
            count(run, "damaged");
            run.report.noted(&table, original, format!("{fault}: the user has no password here"));
            return PasswordHash::unusable();
        }
    };
    match DjangoHash::read(stored) {
        Ok(hash) if hash.format().is_weak() && !run.options.accept_weak => {
            count(run, hash.format().as_str());
            let what = format!(
                "the password is stored as {}, which Django itself refuses: the user has no password here; take it along \
                 with --accept-weak",
                hash.format().as_str()
            );
            run.report.noted(&table, original, what);
            PasswordHash::unusable()
        }
        Ok(hash) => {
            count(run, hash.format().as_str());
            PasswordHash::new(stored.to_owned())
        }
        Err(fault) => {
            count(run, name_of(fault));
            // Those never had one.
            if !matches!(fault, Unreadable::Unusable) {
                run.report.noted(&table, original, format!("{fault}: the user has no password here"));
            }
            PasswordHash::unusable()
        }
    }
}

const fn name_of(fault: Unreadable) -> &'static str {
    match fault {
        Unreadable::Empty => "empty",
        Unreadable::Unusable => "unusable",
        Unreadable::DesCrypt => "crypt",
        Unreadable::Unknown => "unknown",
        Unreadable::Damaged(_) => "damaged",
        Unreadable::Excessive(_) => "excessive",
    }
}

fn count(run: &mut Run<'_>, format: &str) {
    *run.report.password_formats.entry(format.to_owned()).or_default() += 1;
}

/// All that is taken over again when it changes there, but for the password.
fn profile(user: &User) -> Digest {
    digest_of(&[
        &user.username,
        &user.email,
        &user.first_name,
        &user.last_name,
        if user.is_active { "active" } else { "" },
        if user.is_admin { "admin" } else { "" },
    ])
}

fn password_digest(user: &User) -> Digest {
    digest_of(&[user.password.text()])
}

async fn add(run: &mut Run<'_>, new: Vec<Candidate>) -> Result<(), ImportError> {
    let users: Vec<User> = new.iter().map(|candidate| candidate.user.clone()).collect();
    let inserted = run.importing.insert_users(&users).await?;
    let table = run.options.users.name.clone();
    let (mut profiles, mut passwords) = (Vec::new(), Vec::new());
    for Candidate { original, user, .. } in &new {
        if !inserted.contains(user.id.as_str()) {
            let why = format!("a user here has the id {} or the name {}", user.id, user.username);
            run.report.left(&table, original, why);
            continue;
        }
        run.report.tally(&table).added += 1;
        profiles.push(run.remembered(original, user.id.as_str(), profile(user)));
        passwords.push(run.remembered(original, user.id.as_str(), password_digest(user)));
    }
    run.importing.remember(ImportKind::User, &profiles).await?;
    run.importing.remember(ImportKind::Password, &passwords).await?;
    Ok(())
}

async fn merge(run: &mut Run<'_>, there: Candidate, remembered: Digest) -> Result<(), ImportError> {
    let Candidate { original, user, joined_is_known } = there;
    let table = run.options.users.name.clone();
    let here = run.importing.users(std::slice::from_ref(&user.id)).await?.pop();
    let Some(here) = here else {
        if run.options.overwrite {
            return add(run, vec![Candidate { original, user, joined_is_known }]).await;
        }
        run.report.tally(&table).kept += 1;
        run.report.noted(&table, &original, "was deleted here, and stays so");
        let gone = run.remembered(&original, GONE, remembered);
        run.importing.remember(ImportKind::User, &[gone]).await?;
        return Ok(());
    };
    let overwrite = run.options.overwrite;
    // Nobody joins twice. It tells whoever has named the wrong database before all of them are somebody else.
    let apart = user.created_at.since(here.created_at).max(here.created_at.since(user.created_at));
    if joined_is_known && apart >= ONE_SECOND && !overwrite {
        let why = "it joined at another time than the user of this id who was taken over: is this the same installation? \
                   Take it over with --overwrite if it is";
        run.report.left(&table, &original, why);
        return Ok(());
    }
    let originals = [original.clone()];
    let taken = run.importing.known(ImportKind::Password, &originals).await?.remove(&original);
    let taken = taken.unwrap_or_else(|| run.remembered(&original, &here.id.0, password_digest(&here)));
    let password_was = taken.digest;
    // A sign-in puts a better hash of the same password in the place of the one that was taken over.
    let only_hashed_anew = here.password_changed_at <= taken.seen_at;
    let password_here = if only_hashed_anew { password_was } else { password_digest(&here) };
    let of_profile = judge(profile(&user), profile(&here), remembered, overwrite);
    let of_password = judge(password_digest(&user), password_here, password_was, overwrite);

    let mut after = here.clone();
    if of_profile == Verdict::Take {
        let User { username, email, first_name, last_name, is_active, is_admin, .. } = user.clone();
        after = User { username, email, first_name, last_name, is_active, is_admin, ..after };
    }
    if of_password == Verdict::Take {
        after = User { password: user.password.clone(), password_changed_at: run.now, ..after };
    }
    let end = match () {
        () if here.is_active && !after.is_active => Some(SessionEnd::UserDisabled),
        () if of_password == Verdict::Take => Some(SessionEnd::PasswordChange),
        () => None,
    };
    if after != here && !run.importing.update_user(&after, end, run.now).await? {
        run.report.left(&table, &original, format!("another user here has the name {}", after.username));
        return Ok(());
    }
    let verdicts = [of_profile, of_password];
    if verdicts.contains(&Verdict::Conflict) {
        run.report.noted(&table, &original, "was changed there and here, and stays as it is here");
    }
    let tally = run.report.tally(&table);
    match () {
        () if verdicts.contains(&Verdict::Take) => tally.updated += 1,
        () if verdicts.iter().any(|verdict| matches!(verdict, Verdict::Keep | Verdict::Conflict)) => tally.kept += 1,
        () => tally.unchanged += 1,
    }
    let settled = |verdict, there, was| if verdict == Verdict::Conflict { was } else { there };
    let row = |digest, seen_at| Remembered { original: original.clone(), target: here.id.0.clone(), digest, seen_at };
    let profile_row = row(settled(of_profile, profile(&user), remembered), run.now);
    // Not when it was last seen, but when it came: whoever has changed it since has done so here.
    let came_at = if of_password == Verdict::Take { run.now } else { taken.seen_at };
    let password_row = row(settled(of_password, password_digest(&user), password_was), came_at);
    run.importing.remember(ImportKind::User, &[profile_row]).await?;
    run.importing.remember(ImportKind::Password, &[password_row]).await?;
    Ok(())
}
