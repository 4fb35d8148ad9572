//! Tables for people: columns as wide as they have to be.

use crate::talk::shown;

/// Where a cell stands in its column.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Align {
    Left,
    Right,
}

/// A table with a heading.
pub(crate) struct Table {
    aligns: Vec<Align>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headings.
    pub(crate) fn new(heading: Vec<(&str, Align)>) -> Self {
        let (names, aligns): (Vec<String>, Vec<Align>) =
            heading.into_iter().map(|(name, align)| (name.to_uppercase(), align)).unzip();
        Self { aligns, rows: vec![names] }
    }

    /// Aligns the last column otherwise.
    pub(crate) fn align_last(&mut self, align: Align) {
        if let Some(last) = self.aligns.last_mut() {
            *last = align;
        }
    }

    /// Adds a row. What is not safe to show is escaped.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(|cell| shown(&cell).replace('\n', " ")).collect());
    }

    /// Puts the table.
    pub(crate) fn push(&self, out: &mut String) {
        let width = |column: usize| {
            let widths = self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
            widths.max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.aligns.len()).map(width).collect();
        for row in &self.rows {
            let mut line = String::new();
            for ((cell, align), width) in row.iter().zip(&self.aligns).zip(&widths) {
                let padding = " ".repeat(width - cell.chars().count());
                match align {
                    Align::Left => line.extend([cell, padding.as_str(), "  "]),
                    Align::Right => line.extend([padding.as_str(), cell, "  "]),
                }
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Align, Table};

    #[test]
    fn columns_are_as_wide_as_they_have_to_be() {
        let mut table = Table::new(vec![("n", Align::Right), ("name", Align::Left)]);
        table.row(["1234".to_owned(), "a\x1b[31m".to_owned()]);
        table.row(["5".to_owned(), "größer".to_owned()]);
        let mut out = String::new();
        table.push(&mut out);
        assert!(!out.contains('\x1b'), "{out}");
        assert!(out.starts_with("   N  NAME\n1234  a"), "{out}");
        assert!(out.ends_with("\n   5  größer\n"), "{out}");
    }
}
