//! Rows on standard output: a table for people, or one JSON object a line.

use std::io::Write;

use anyhow::Result;
use comfy_table::{Table, presets};
use serde::Serialize;
use serde_json::Value;

/// Prints these columns of the rows; as JSON all members of each row.
///
/// # Errors
/// Standard output is closed.
pub fn print<R: Serialize>(columns: &[&str], rows: &[R], as_json: bool) -> Result<()> {
    let mut out = std::io::stdout().lock();
    if as_json {
        for row in rows {
            writeln!(out, "{}", serde_json::to_string(row)?)?;
        }
        return Ok(());
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(columns);
    for row in rows {
        let row = serde_json::to_value(row)?;
        table.add_row(columns.iter().map(|column| cell(&row[*column])));
    }
    Ok(writeln!(out, "{table}")?)
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
