//! What an import has done, and what it has not.

use std::collections::BTreeMap;

/// Rows that are reported one by one. Of more, their number is told.
const MOST_NAMED: usize = 10_000;
/// Of an id, so that a damaged one is no longer than others.
const LONGEST_ID: usize = 80;

/// Rows of one table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub read: u64,
    pub added: u64,
    pub updated: u64,
    pub unchanged: u64,
    /// Changed or deleted here since, and left so.
    pub kept: u64,
    /// Did not come along.
    pub left: u64,
}

/// What is told of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    pub table: String,
    pub id: String,
    /// `false` for what did not come along, `true` for what did and differs.
    pub came: bool,
    pub what: String,
}

#[derive(Clone, Debug, Default)]
pub struct Report {
    pub dry_run: bool,
    /// By table.
    pub tables: BTreeMap<String, Tally>,
    /// How passwords and API keys are stored there, and how many are.
    pub password_formats: BTreeMap<String, u64>,
    pub key_formats: BTreeMap<String, u64>,
    pub rows: Vec<Told>,
    /// Rows that `rows` has no room for.
    pub not_named: u64,
    /// What concerns no single row.
    pub remarks: Vec<String>,
}

impl Report {
    pub fn new(dry_run: bool) -> Self {
        Self { dry_run, ..Self::default() }
    }

    pub(super) fn tally(&mut self, table: &str) -> &mut Tally {
        self.tables.entry(table.to_owned()).or_default()
    }

    /// A row that does not come along.
    pub(super) fn left(&mut self, table: &str, id: &str, why: impl Into<String>) {
        self.tally(table).left += 1;
        self.tell(table, id, false, why.into());
    }

    /// A row that comes along, and is not in all what it was.
    pub(super) fn noted(&mut self, table: &str, id: &str, what: impl Into<String>) {
        self.tell(table, id, true, what.into());
    }

    fn tell(&mut self, table: &str, id: &str, came: bool, what: String) {
        if self.rows.len() >= MOST_NAMED {
            self.not_named += 1;
            return;
        }
        let id = id.chars().take(LONGEST_ID).collect();
        self.rows.push(Told { table: table.to_owned(), id, came, what });
    }

    pub(super) fn remark(&mut self, text: impl Into<String>) {
        self.remarks.push(text.into());
    }

    /// For the audit.
    pub(super) fn in_a_line(&self) -> String {
        let tables = self.tables.iter().filter(|(_, tally)| tally.read > 0);
        let told = tables.map(|(name, tally)| {
            format!("{name}: {} added, {} updated, {} left", tally.added, tally.updated, tally.left)
        });
        told.collect::<Vec<_>>().join("; ")
    }
}
