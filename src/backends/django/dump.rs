//! What `manage.py dumpdata` prints: one JSON array of `{"model", "pk", "fields"}`.
//!
//! It is read from its beginning once for each table, an element at a time: the order of models in it is not that in which
//! they depend on each other, and all of it may be more than fits into memory.

use std::fmt;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use serde::Deserialize;
use serde::de::{Deserializer as _, Error as _, SeqAccess, Visitor};
use serde_json::{Map, Value};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::PAGE;
use crate::domain::foreign_row::{Cell, ForeignRow};
use crate::storage::installation::{ForeignTable, Installation, InstallationError, Rows};

/// Pages that may lie ready.
const AHEAD: usize = 4;

pub struct Dump {
    path: PathBuf,
}

impl Dump {
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }
}

#[async_trait]
impl Installation for Dump {
    /// A table without rows leaves no trace in a dump, so all of them are there.
    async fn open(&self, table: &ForeignTable) -> Result<Option<Box<dyn Rows>>, InstallationError> {
        let place = self.path.display().to_string();
        let unopened =
            |cause: std::io::Error| InstallationError::Unopened { place: place.clone(), cause: cause.to_string() };
        let file = File::open(&self.path).map_err(unopened)?;
        let (sender, pages) = channel(AHEAD);
        let table = table.clone();
        std::thread::Builder::new()
            .name("dump".to_owned())
            .spawn(move || {
                let mut reading = Reading { table, sender, page: Vec::new() };
                let mut json = serde_json::Deserializer::from_reader(BufReader::new(file));
                let done = json.deserialize_seq(&mut reading).and_then(|()| json.end());
                let last = match done {
                    Ok(()) => Ok(std::mem::take(&mut reading.page)),
                    Err(fault) => Err(fault.to_string()),
                };
                // Whoever is gone wants no more.
                let _ = reading.sender.blocking_send(last);
            })
            .map_err(unopened)?;
        Ok(Some(Box::new(DumpRows { pages, place })))
    }
}

struct DumpRows {
    pages: Receiver<Result<Vec<ForeignRow>, String>>,
    place: String,
}

#[async_trait]
impl Rows for DumpRows {
    async fn next(&mut self) -> Result<Vec<ForeignRow>, InstallationError> {
        match self.pages.recv().await {
            None => Ok(Vec::new()),
            Some(Ok(page)) => Ok(page),
            Some(Err(cause)) => Err(InstallationError::Unread { place: self.place.clone(), cause }),
        }
    }
}

#[derive(Deserialize)]
struct Entry {
    model: String,
    #[serde(default)]
    pk: Value,
    #[serde(default)]
    fields: Map<String, Value>,
}

struct Reading {
    table: ForeignTable,
    sender: Sender<Result<Vec<ForeignRow>, String>>,
    page: Vec<ForeignRow>,
}

impl<'de> Visitor<'de> for &mut Reading {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of objects, as `manage.py dumpdata` prints it")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        while let Some(entry) = entries.next_element::<Entry>()? {
            if entry.model.replace('.', "_") != self.table.name {
                continue;
            }
            self.page.push(row(&self.table, entry));
            if self.page.len() == PAGE {
                let page = std::mem::take(&mut self.page);
                self.sender.blocking_send(Ok(page)).map_err(A::Error::custom)?;
            }
        }
        Ok(())
    }
}

/// By the names of columns: the first is the primary key, and what refers to another table loses its `_id` in a dump.
fn row(table: &ForeignTable, entry: Entry) -> ForeignRow {
    let Entry { mut fields, pk, .. } = entry;
    let mut pk = Some(pk).filter(|pk| !pk.is_null());
    let cells = table.columns.iter().enumerate().filter_map(|(index, column)| {
        let field = fields.remove(column).or_else(|| fields.remove(column.strip_suffix("_id")?));
        let value = if index == 0 { field.or_else(|| pk.take()) } else { field };
        Some((column.clone(), cell(value?)))
    });
    ForeignRow::new(cells.collect())
}

fn cell(value: Value) -> Cell {
    match value {
        Value::Null => Cell::Null,
        Value::String(text) => Cell::of(text),
        other => Cell::of(other.to_string()),
    }
}
