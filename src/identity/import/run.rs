//! One import under way: what all tables share.

use std::collections::{HashMap, HashSet};

use super::report::Report;
use super::{ImportError, ImportOptions};
use crate::crypto::master_keys::MasterKeys;
use crate::domain::clock::Timestamp;
use crate::domain::digest::Digest;
use crate::domain::foreign_row::ForeignRow;
use crate::domain::random::Random;
use crate::domain::user::UserId;
use crate::storage::imports::{ImportKind, Importing, Remembered};
use crate::storage::installation::{ForeignTable, Installation, Rows};

pub struct Run<'a> {
    pub importing: Box<dyn Importing>,
    pub report: Report,
    pub now: Timestamp,
    pub options: &'a ImportOptions,
    pub master_keys: &'a MasterKeys,
    pub random: &'a dyn Random,
}

/// Stands for a user that was deleted here: no id is empty.
pub const GONE: &str = "";

impl Run<'_> {
    /// `None`, with a remark, where there is no such table: an installation need not have all of them.
    pub async fn open(
        &mut self,
        source: &dyn Installation,
        table: &str,
        columns: &[&str],
    ) -> Result<Option<Box<dyn Rows>>, ImportError> {
        let columns = columns.iter().map(|column| (*column).to_owned()).collect();
        let rows = source.open(&ForeignTable { name: table.to_owned(), columns }).await?;
        if rows.is_none() {
            self.report.remark(format!("there is no table {table} in it"));
        }
        Ok(rows)
    }

    /// The next rows with their ids, counted. Those whose id cannot be read, or has been seen, are reported and left out.
    pub async fn next(
        &mut self,
        rows: &mut Box<dyn Rows>,
        table: &str,
        kind: ImportKind,
        id_of: impl Fn(&ForeignRow) -> Result<String, String>,
    ) -> Result<Option<Page>, ImportError> {
        let found = rows.next().await?;
        if found.is_empty() {
            return Ok(None);
        }
        self.report.tally(table).read += u64::try_from(found.len()).unwrap_or(u64::MAX);
        let mut page = Page { rows: Vec::with_capacity(found.len()), known: HashMap::new() };
        let mut seen = HashSet::new();
        for row in found {
            match id_of(&row) {
                Err(why) => self.report.left(table, "?", why),
                Ok(id) if !seen.insert(id.clone()) => self.report.left(table, &id, "the id occurs twice"),
                Ok(id) => page.rows.push((id, row)),
            }
        }
        let originals: Vec<String> = page.rows.iter().map(|(id, _)| id.clone()).collect();
        page.known = self.importing.known(kind, &originals).await?;
        let (now, known, report) = (self.now, &page.known, &mut self.report);
        page.rows.retain(|(id, _)| {
            let twice = known.get(id).is_some_and(|known| known.seen_at == now);
            if twice {
                report.left(table, id, "the id occurs twice");
            }
            !twice
        });
        Ok(Some(page))
    }

    /// Who the users of these references are here: of those that came along.
    pub async fn users(&mut self, references: Vec<String>) -> Result<HashMap<String, UserId>, ImportError> {
        let wanted: HashSet<String> = references.into_iter().collect();
        let wanted: Vec<String> = wanted.into_iter().collect();
        let known = self.importing.known(ImportKind::User, &wanted).await?;
        let came = known.into_values().filter(|user| user.seen_at == self.now && user.target != GONE);
        Ok(came.map(|user| (user.original, UserId(user.target))).collect())
    }

    pub fn remembered(&self, original: &str, target: &str, digest: Digest) -> Remembered {
        Remembered { original: original.to_owned(), target: target.to_owned(), digest, seen_at: self.now }
    }

    /// A time that must not lie ahead.
    pub fn past(&mut self, table: &str, id: &str, row: &ForeignRow, column: &str) -> Option<Timestamp> {
        match row.time(column) {
            Ok(Some(time)) if time > self.now => {
                self.report.noted(table, id, format!("{column} lies in the future, and counts as now"));
                Some(self.now)
            }
            Ok(time) => time,
            Err(fault) => {
                self.report.noted(table, id, format!("{fault}, and counts as not known"));
                None
            }
        }
    }
}

/// Rows with their ids there, and what is remembered of them.
pub struct Page {
    pub rows: Vec<(String, ForeignRow)>,
    pub known: HashMap<String, Remembered>,
}

/// The id of a row in a column.
pub fn id_in(row: &ForeignRow, column: &str) -> Result<String, String> {
    let id = row.text(column).map_err(|fault| fault.to_string())?.unwrap_or_default();
    let fits = (1..=255).contains(&id.len()) && !id.chars().any(char::is_control) && id.trim() == id;
    if fits { Ok(id.to_owned()) } else { Err(format!("{column} holds no id")) }
}

/// Which user a row refers to: by the id, or in a dump with natural keys by the name.
pub fn user_reference(row: &ForeignRow) -> Result<String, String> {
    let text = id_in(row, "user_id")?;
    if !text.starts_with('[') {
        return Ok(text);
    }
    let words: Vec<String> =
        serde_json::from_str(&text).map_err(|_| "user_id is no natural key of one word".to_owned())?;
    match words.as_slice() {
        [name] => Ok(by_name(name)),
        _ => Err("user_id is no natural key of one word".to_owned()),
    }
}

/// What a user is remembered by that has no id there.
pub fn by_name(name: &str) -> String {
    format!("name:{name}")
}
