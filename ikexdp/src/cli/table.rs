//! Tables for people.

use std::fmt::{self, Display};

use ikexdp_diagnose::printable::printable;

/// Columns as wide as they need to be, numbers to the right unless they come
/// last, empty columns left out, with lines between the rows that pay them no
/// heed. What peers may have written does not reach the terminal as it is.
#[derive(Default)]
pub(super) struct Table {
    rows: Vec<Row>,
    widths: Vec<usize>,
}

enum Row {
    Cells(Vec<String>),
    Line(String),
}

impl Table {
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let cells: Vec<_> = cells.into_iter().map(|cell| printable(&cell)).collect();
        if self.widths.len() < cells.len() {
            self.widths.resize(cells.len(), 0);
        }
        for (width, cell) in self.widths.iter_mut().zip(&cells) {
            *width = cell.chars().count().max(*width);
        }
        self.rows.push(Row::Cells(cells));
    }

    pub(super) fn line(&mut self, line: &str) {
        self.rows.push(Row::Line(printable(line)));
    }

    /// What there is so far. Columns stay as wide as they are, so that what is
    /// still to come stands below.
    pub(super) fn take(&mut self) -> String {
        let text = self.to_string();
        self.rows = Vec::new();
        text
    }
}

impl Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for row in &self.rows {
            let cells = match row {
                Row::Line(line) => {
                    writeln!(f, "{line}")?;
                    continue;
                }
                Row::Cells(cells) => cells,
            };
            let last = cells.len().saturating_sub(1);
            let mut line = String::new();
            for (column, (cell, &width)) in cells.iter().zip(&self.widths).enumerate() {
                if width == 0 {
                    continue;
                }
                line += &if is_number(cell) && column < last {
                    format!("{cell:>width$}  ")
                } else {
                    format!("{cell:<width$}  ")
                };
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// A number, with a unit perhaps.
fn is_number(cell: &str) -> bool {
    let number = cell.strip_suffix("/s").unwrap_or(cell);
    let number = number.strip_suffix(['k', 'M', 'G', 'T']).unwrap_or(number);
    number.starts_with(|first: char| first.is_ascii_digit()) && number.parse::<f64>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(table: &mut Table, cells: [&str; 4]) {
        table.row(cells.map(str::to_owned));
    }

    #[test]
    fn numbers_stand_to_the_right_unless_they_come_last() {
        let mut table = Table::default();
        row(&mut table, ["name", "count", "", "help"]);
        table.line("a line that is longer than all columns together");
        row(&mut table, ["10.9.0.1", "7", "", "7"]);
        row(&mut table, ["a", "1.5M", "", "help"]);
        let expected = "\
name      count  help
a line that is longer than all columns together
10.9.0.1      7  7
a          1.5M  help
";
        assert_eq!(table.to_string(), expected);
    }

    #[test]
    fn what_comes_later_stands_below() {
        let mut table = Table::default();
        row(&mut table, ["a", "b", "c", "d"]);
        row(&mut table, ["wide", "b", "c", "d"]);
        assert_eq!(table.take(), "a     b  c  d\nwide  b  c  d\n");
        row(&mut table, ["a", "b", "c", "d"]);
        assert_eq!(table.take(), "a     b  c  d\n");
        assert_eq!(table.take(), "");
    }

    #[test]
    fn no_cell_and_no_line_moves_the_cursor() {
        let mut table = Table::default();
        table.row(["\u{1b}[2Jevil".to_owned()]);
        table.line("\u{9b}31m");
        assert_eq!(table.to_string(), "\u{fffd}[2Jevil\n\u{fffd}31m\n");
    }
}
