//! Plain grids: columns two spaces apart, no lines, numbers to the right.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

/// A grid with a header; the first `left` columns are text, the others numbers.
pub(super) fn grid(header: Vec<String>, rows: Vec<Vec<String>>, left: usize) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .force_no_tty()
        .set_header(header)
        .add_rows(rows);
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if index >= left {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let mut out = table.trim_fmt();
    out.push('\n');
    out
}

/// Breaks a policy's name after each hyphen, so that nine of them fit a line.
pub(super) fn narrow(name: &str) -> String {
    name.replace('-', "-\n")
}

/// `text` in lines of at most `width` characters, each after the first indented by two.
pub(super) fn wrapped(text: &str, width: usize) -> String {
    let mut out = String::new();
    let mut column = 0;
    for word in text.split_whitespace() {
        let len = word.chars().count();
        if column > 0 && column + 1 + len > width {
            out.push_str("\n  ");
            column = 2;
        } else if column > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += len;
    }
    out.push('\n');
    out
}
