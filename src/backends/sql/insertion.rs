//! Rows that go in, one or many by one statement.

use sqlx::any::AnyArguments;
use sqlx::query::Query;
use sqlx::{Any, AssertSqlSafe};

pub type Statement<'q> = Query<'q, Any, AnyArguments>;

/// How a thing is written to its table: said once, for whoever writes one or many.
pub trait Insertable<'q> {
    const TABLE: &'static str;
    /// What [`Insertable::bind`] binds, in its order.
    const COLUMNS: &'static str;

    fn bind(self, statement: Statement<'q>) -> Statement<'q>;
}

/// Inserts all of `rows`. `rest` says what becomes of those that are there already, and what is answered.
pub fn insertion<'q, T: Insertable<'q>>(
    rows: impl IntoIterator<Item = T, IntoIter: ExactSizeIterator>,
    rest: &'static str,
) -> Statement<'q> {
    let rows = rows.into_iter();
    let places = places(rows.len(), T::COLUMNS.split(',').count());
    // Of constants and numbers alone.
    let text = format!("INSERT INTO {} ({}) VALUES {places} {rest}", T::TABLE, T::COLUMNS);
    rows.fold(sqlx::query(AssertSqlSafe(text)), |statement, row| row.bind(statement))
}

/// `($1, $2), ($3, $4)` for two rows of two columns.
pub fn places(rows: usize, columns: usize) -> String {
    let mut next = 0;
    let mut row = || {
        let places: Vec<String> = (0..columns)
            .map(|_| {
                next += 1;
                format!("${next}")
            })
            .collect();
        format!("({})", places.join(", "))
    };
    (0..rows).map(|_| row()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    #[test]
    fn places_are_numbered_through() {
        assert_eq!(super::places(2, 3), "($1, $2, $3), ($4, $5, $6)");
        assert_eq!(super::places(1, 1), "($1)");
    }
}
