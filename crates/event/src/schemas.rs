//! The documents in `schemas/` say what the code does: their tables are drawn from it.
//!
//! A table stands between `<!-- drawn: NAME -->` and `<!-- end -->`; the prose around it is written
//! by hand. `UPDATE_SCHEMAS=1 cargo test -p keytrail-event schemas` draws the tables anew; the
//! change is then reviewed like code.

#![expect(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::fmt::Write as _;
use std::path::Path;

use crate::layout::{CONTAINERS, EXTRA, Member, NULL, Place};
use crate::{COLUMNS, Cell, Kind, col, samples, split};

/// Compares a drawn table with the code, or draws it anew.
fn check(document: &str, table: &str, drawn: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas").join(document);
    let text = std::fs::read_to_string(&path).unwrap();
    let (head, rest) = text.split_once(&format!("<!-- drawn: {table} -->\n")).unwrap();
    let (found, tail) = rest.split_once("<!-- end -->\n").unwrap();
    if update_is_wanted() {
        let text = format!("{head}<!-- drawn: {table} -->\n{drawn}<!-- end -->\n{tail}");
        std::fs::write(&path, text).unwrap();
        return;
    }
    assert_eq!(found, drawn, "{document}, {table}: UPDATE_SCHEMAS=1 draws it anew");
}

#[expect(clippy::disallowed_methods, reason = "whether to rewrite is the developer's choice")]
fn update_is_wanted() -> bool {
    std::env::var_os("UPDATE_SCHEMAS").is_some()
}

#[test]
fn the_columns_are_drawn() {
    let mut table =
        "| column | kind | code | member | meaning |\n|---|---|---|---|---|\n".to_owned();
    for column in COLUMNS {
        let kind = match column.kind {
            Kind::Text => "text",
            Kind::Json => "JSON",
            Kind::Bool => "boolean",
            Kind::Time => "time",
        };
        let code = column.code.map_or(String::new(), |code| format!("`{code}`"));
        let member = match column.path {
            [] => "(derived)".to_owned(),
            path => format!("`{}`", path.join(".")),
        };
        writeln!(table, "| `{}` | {kind} | {code} | {member} | {} |", column.name, column.doc)
            .unwrap();
    }
    check("record-columns.md", "columns", &table);
}

#[test]
fn the_layout_codes_are_drawn() {
    let mut table = "| code | meaning |\n|---|---|\n".to_owned();
    for container in CONTAINERS {
        let (open, close, path) = (container.open, container.close, container.path.join("."));
        writeln!(table, "| `{open}` … `{close}` | `{path}`, an object, and its members |").unwrap();
    }
    writeln!(table, "| `{NULL}` and a code | that member, with the value `null` |").unwrap();
    writeln!(table, "| `{EXTRA}` | the next member of `extra` |").unwrap();
    check("record-columns.md", "layout codes", &table);
}

/// The order is read off the layout of a record that has every member.
#[test]
fn the_member_order_is_drawn() {
    let text = samples::full().to_json();
    let row = split(text.as_bytes()).unwrap();
    assert_eq!((row.extra.as_ref(), row.raw.as_ref()), (None, None), "{text}");
    let mut table = "| member | example |\n|---|---|\n".to_owned();
    for code in row.layout.bytes() {
        let Some(member) = Member::coded(code) else { continue };
        let (path, example) = match member.place {
            Place::Container(container) => (container.path, String::new()),
            Place::Column(index, _) => (COLUMNS[index].path, example(index, &row.cells[index])),
        };
        writeln!(table, "| `{}` | {example} |", path.join(".")).unwrap();
    }
    check("record.md", "members", &table);
}

fn example(column: usize, cell: &Cell<'_>) -> String {
    match cell {
        Cell::Null => "`null`".to_owned(),
        Cell::Text(text) if COLUMNS[column].kind == Kind::Json => format!("`{text}`"),
        Cell::Text(text) => format!("`\"{text}\"`"),
        Cell::Bool(value) => format!("`{value}`"),
        Cell::Time(_) => format!("`\"{}\"`", samples::full().event_time),
    }
}

#[test]
fn a_full_record_leaves_only_foreign_columns_empty() {
    let text = samples::full().to_json();
    let row = split(text.as_bytes()).unwrap();
    let empty: Vec<&str> = COLUMNS
        .iter()
        .enumerate()
        .filter(|(index, _)| row.cells[*index] == Cell::Null)
        .map(|(_, column)| column.name)
        .collect();
    assert_eq!(
        empty,
        ["addendum", "edge_device_details", "event_context", "insight_details"],
        "a native record has no such members"
    );
    assert_eq!(row.cells[col::KEY_ARN], row.cells[col::KEY_ARN2]);
}
