//! A table, row by row in the order of its primary key, without ever holding more than a page of it.

use std::cmp::Ordering;
use std::collections::VecDeque;

use aws_lc_rs::digest::{Context, SHA256};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row as _};

use crate::backends::sql::catalogue::{Column, Kind, Table};

const PAGE: usize = 200;

/// Nothing, or a value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cell {
    Integer(Option<i64>),
    Text(Option<String>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub cells: Vec<Cell>,
    pub key: Vec<Cell>,
}

pub struct Walk<'t> {
    table: &'t Table,
    page: VecDeque<Row>,
    last: Option<Vec<Cell>>,
    is_over: bool,
}

impl<'t> Walk<'t> {
    pub fn new(table: &'t Table) -> Self {
        Self { table, page: VecDeque::new(), last: None, is_over: false }
    }

    /// The key of the row that comes next.
    pub async fn next_key(&mut self, connection: &mut AnyConnection) -> sqlx::Result<Option<Vec<Cell>>> {
        self.fill(connection).await?;
        Ok(self.page.front().map(|row| row.key.clone()))
    }

    /// The next row, if it comes before `key`.
    pub async fn next_until(
        &mut self,
        connection: &mut AnyConnection,
        key: Option<&Vec<Cell>>,
    ) -> sqlx::Result<Option<Row>> {
        self.fill(connection).await?;
        Ok(self.page.pop_front_if(|row| key.is_none_or(|key| row.key.cmp(key) == Ordering::Less)))
    }

    /// The next row, if it has the key of `other`.
    pub async fn take_if_at(&mut self, connection: &mut AnyConnection, other: &Row) -> sqlx::Result<Option<Row>> {
        self.fill(connection).await?;
        Ok(self.page.pop_front_if(|row| row.key == other.key))
    }

    /// The row that [`Walk::next_key`] told of.
    pub fn take(&mut self) -> Option<Row> {
        self.page.pop_front()
    }

    async fn fill(&mut self, connection: &mut AnyConnection) -> sqlx::Result<()> {
        if self.is_over || !self.page.is_empty() {
            return Ok(());
        }
        let keys = || self.table.columns.iter().filter(|column| column.is_key);
        let after = match &self.last {
            None => String::new(),
            Some(last) => {
                let places: Vec<String> = (1..=last.len()).map(|number| format!("${number}")).collect();
                format!("WHERE ({}) > ({})", listed(keys()), places.join(", "))
            }
        };
        let statement = format!(
            "SELECT {} FROM {} {after} ORDER BY {} LIMIT {PAGE}",
            listed(self.table.columns.iter()),
            quoted(&self.table.name),
            listed(keys()),
        );
        let mut query = sqlx::query(AssertSqlSafe(statement));
        for cell in self.last.iter().flatten() {
            query = super::bind(query, cell);
        }
        let rows = query.fetch_all(connection).await?;
        self.is_over = rows.len() < PAGE;
        let rows: sqlx::Result<VecDeque<Row>> = rows.iter().map(|row| self.read(row)).collect();
        self.page = rows?;
        if let Some(row) = self.page.back() {
            self.last = Some(row.key.clone());
        }
        Ok(())
    }

    fn read(&self, row: &AnyRow) -> sqlx::Result<Row> {
        let (mut cells, mut key) = (Vec::with_capacity(self.table.columns.len()), Vec::new());
        for (place, column) in self.table.columns.iter().enumerate() {
            let cell = match column.kind {
                Kind::Integer => Cell::Integer(row.try_get(place)?),
                Kind::Text => Cell::Text(row.try_get(place)?),
            };
            if column.is_key {
                key.push(cell.clone());
            }
            cells.push(cell);
        }
        Ok(Row { cells, key })
    }
}

/// How many rows there were, and what they were.
pub struct Tally {
    rows: u64,
    digest: Context,
}

impl Default for Tally {
    fn default() -> Self {
        Self { rows: 0, digest: Context::new(&SHA256) }
    }
}

impl Tally {
    pub fn add(&mut self, row: &Row) {
        self.rows += 1;
        for cell in &row.cells {
            // Each begins with what it is, and texts with their length, so that no two tables read the same.
            match cell {
                Cell::Integer(None) | Cell::Text(None) => self.digest.update(&[0]),
                Cell::Integer(Some(value)) => {
                    self.digest.update(&[1]);
                    self.digest.update(&value.to_be_bytes());
                }
                Cell::Text(Some(text)) => {
                    self.digest.update(&[2]);
                    self.digest.update(&(text.len() as u64).to_be_bytes());
                    self.digest.update(text.as_bytes());
                }
            }
        }
    }

    pub fn end(self) -> (u64, String) {
        let digest = self.digest.finish();
        (self.rows, digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

pub fn listed<'c>(columns: impl Iterator<Item = &'c Column>) -> String {
    columns.map(|column| quoted(&column.name)).collect::<Vec<_>>().join(", ")
}

pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
