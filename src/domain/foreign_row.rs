//! A row of somebody else's database, as text: what is in it is believed only once it has been read.

use super::clock::Timestamp;

/// What one column holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    Null,
    Text(String),
    /// Longer than anything that is taken over.
    TooLong,
    /// No text in UTF-8.
    Garbled,
}

/// The longest cell that is looked at, in bytes.
pub const LONGEST_CELL: usize = 4096;

impl Cell {
    pub fn of(text: String) -> Self {
        if text.len() > LONGEST_CELL { Self::TooLong } else { Self::Text(text) }
    }

    pub fn of_bytes(bytes: Vec<u8>) -> Self {
        if bytes.len() > LONGEST_CELL {
            return Self::TooLong;
        }
        String::from_utf8(bytes).map_or(Self::Garbled, Self::Text)
    }
}

/// Columns that are not there at all are missing from it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForeignRow {
    cells: Vec<(String, Cell)>,
}

/// What is wrong with a column.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{column} {what}")]
pub struct CellFault {
    pub column: String,
    pub what: &'static str,
}

type Read<T> = Result<Option<T>, CellFault>;

impl ForeignRow {
    pub const fn new(cells: Vec<(String, Cell)>) -> Self {
        Self { cells }
    }

    pub fn cell(&self, column: &str) -> Option<&Cell> {
        self.cells.iter().find(|(name, _)| name == column).map(|(_, cell)| cell)
    }

    /// `None` when the column is missing or null.
    pub fn text(&self, column: &str) -> Read<&str> {
        let fault = |what| Err(CellFault { column: column.to_owned(), what });
        match self.cell(column) {
            None | Some(Cell::Null) => Ok(None),
            Some(Cell::Text(text)) if text.contains('\0') => fault("holds a NUL character"),
            Some(Cell::Text(text)) => Ok(Some(text)),
            Some(Cell::TooLong) => fault("is longer than 4096 bytes"),
            Some(Cell::Garbled) => fault("is no text"),
        }
    }

    /// As SQLite, PostgreSQL and JSON write it.
    pub fn flag(&self, column: &str) -> Read<bool> {
        self.read(column, "is neither true nor false", |text| match text {
            "1" | "t" | "true" | "True" => Some(true),
            "0" | "f" | "false" | "False" => Some(false),
            _ => None,
        })
    }

    pub fn integer(&self, column: &str) -> Read<i64> {
        self.read(column, "is no whole number", |text| text.parse().ok())
    }

    /// As SQLite, PostgreSQL and JSON write it; without a zone it is UTC.
    pub fn time(&self, column: &str) -> Read<Timestamp> {
        self.read(column, "is no time", read_time)
    }

    fn read<T>(&self, column: &str, what: &'static str, parse: impl Fn(&str) -> Option<T>) -> Read<T> {
        let Some(text) = self.text(column)? else { return Ok(None) };
        parse(text).map(Some).ok_or_else(|| CellFault { column: column.to_owned(), what })
    }
}

fn read_time(text: &str) -> Option<Timestamp> {
    let (date, time) = text.split_once(['T', ' '])?;
    let zone = time.find(['Z', '+', '-']).and_then(|at| time.split_at_checked(at));
    let (time, zone) = zone.unwrap_or((time, "Z"));
    // PostgreSQL writes whole hours as `+00`.
    let minutes = if zone.len() == 3 { ":00" } else { "" };
    Timestamp::parse_rfc3339(&format!("{date}T{time}{zone}{minutes}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(text: &str) -> ForeignRow {
        ForeignRow::new(vec![("a".to_owned(), Cell::of(text.to_owned()))])
    }

    #[test]
    fn times_are_read_as_each_database_writes_them() {
        let expected = Timestamp::parse_rfc3339("2026-11-23T02:40:33.874904Z").unwrap();
        for text in [
            "2026-11-23 02:40:33.874904",
            "2026-11-23T02:40:33.874904",
            "2026-11-23T02:40:33.874904Z",
            "2026-11-23 02:40:33.874904+00",
            "2026-11-23 04:40:33.874904+02",
            "2026-11-22T21:40:33.874904-05:00",
        ] {
            assert_eq!(row(text).time("a").unwrap(), Some(expected), "{text}");
        }
        assert_eq!(row("1969-12-31 23:59:59").time("a").unwrap(), Some(Timestamp::from_secs(-1)));
        for text in ["", "2026-11-23", "yesterday", "2026-13-23 02:40:33", "2026-11-23 02:40:33+1"] {
            assert!(row(text).time("a").is_err(), "{text}");
        }
    }

    #[test]
    fn flags_and_numbers_are_read_and_nothing_else() {
        for (text, flag) in [("1", true), ("0", false), ("true", true), ("false", false), ("t", true), ("f", false)] {
            assert_eq!(row(text).flag("a"), Ok(Some(flag)));
        }
        assert!(row("2").flag("a").is_err());
        assert_eq!(row("-1").integer("a"), Ok(Some(-1)));
        assert!(row("1.0").integer("a").is_err());
        assert_eq!(row("x").integer("b"), Ok(None));
    }

    #[test]
    fn what_is_no_short_text_is_told_apart() {
        let long = ForeignRow::new(vec![("a".to_owned(), Cell::of("x".repeat(LONGEST_CELL + 1)))]);
        assert_eq!(long.text("a").unwrap_err().to_string(), "a is longer than 4096 bytes");
        assert_eq!(Cell::of_bytes(vec![0xff]), Cell::Garbled);
        assert_eq!(Cell::of_bytes(b"x".to_vec()), Cell::Text("x".to_owned()));
        assert_eq!(row("a\0b").text("a").unwrap_err().to_string(), "a holds a NUL character");
        assert_eq!(ForeignRow::new(vec![("a".to_owned(), Cell::Null)]).text("a"), Ok(None));
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_a_reader_panic(text: String) {
            let row = row(&text);
            let _ = (row.text("a"), row.flag("a"), row.integer("a"), row.time("a"));
        }
    }
}
