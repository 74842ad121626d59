//! How data is printed: tables for people, json and tsv for programs; never a raw control character.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write};

use anyhow::Context;
use clap::ValueEnum;
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

/// Form of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// Columns for people, fitted to the terminal.
    Table,
    /// Columns for people, not fitted.
    Wide,
    /// One JSON object.
    Json,
    /// One JSON object a line.
    Ndjson,
    /// Tab-separated values.
    Tsv,
    /// A Markdown table.
    Md,
}

/// Rows with their headings.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) headings: Vec<&'static str>,
    pub(super) rows: Vec<Vec<String>>,
}

/// Prints rows in the wanted form; `whole` is the answer as JSON, `entries` the same line by line.
pub(super) fn print<T: Serialize>(
    format: Format,
    no_headers: bool,
    whole: &impl Serialize,
    (entries, rows): (&[T], &Rows),
) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match format {
        Format::Json => {
            serde_json::to_writer_pretty(&mut out, whole).context("writing JSON")?;
            writeln!(out)?;
        }
        Format::Ndjson => {
            for entry in entries {
                serde_json::to_writer(&mut out, entry).context("writing JSON")?;
                writeln!(out)?;
            }
        }
        Format::Tsv => {
            if !no_headers {
                writeln!(out, "{}", rows.headings.join("\t"))?;
            }
            for row in &rows.rows {
                let cells: Vec<String> = row
                    .iter()
                    .map(|it| escape(it).replace('\t', "\\t"))
                    .collect();
                writeln!(out, "{}", cells.join("\t"))?;
            }
        }
        Format::Md => {
            if !no_headers {
                writeln!(out, "| {} |", rows.headings.join(" | "))?;
                writeln!(out, "|{}", " --- |".repeat(rows.headings.len()))?;
            }
            for row in &rows.rows {
                let cells: Vec<String> = row
                    .iter()
                    .map(|it| escape(it).replace('|', "\\|"))
                    .collect();
                writeln!(out, "| {} |", cells.join(" | "))?;
            }
        }
        Format::Table | Format::Wide => writeln!(out, "{}", table(format, no_headers, rows))?,
    }
    out.flush()?;
    Ok(())
}

fn table(format: Format, no_headers: bool, rows: &Rows) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    if format == Format::Table && std::io::stdout().is_terminal() {
        table.set_content_arrangement(ContentArrangement::Dynamic);
    }
    if !no_headers {
        table.set_header(rows.headings.iter().map(|it| it.to_uppercase()));
    }
    for row in &rows.rows {
        table.add_row(row.iter().map(|it| escape(it)));
    }
    table
}

/// Returns a field of a JSON object as a cell of a table; `-` if it is null or absent.
pub(super) fn cell(value: &serde_json::Value, name: &str) -> String {
    match value.get(name) {
        None | Some(serde_json::Value::Null) => "-".to_owned(),
        Some(serde_json::Value::String(it)) => it.clone(),
        Some(serde_json::Value::Number(it)) if it.is_f64() => {
            format!("{:.1}", it.as_f64().unwrap_or_default())
        }
        Some(other) => other.to_string(),
    }
}

/// Prints text to stdout as it is, with control characters made visible.
pub(super) fn say(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()?;
    Ok(())
}

/// Prints a hint to stderr. A closed stderr is nobody's trouble.
pub(super) fn hint(text: &str) {
    writeln!(std::io::stderr(), "{text}").ok();
}

/// Prints an error to stderr: what we were doing, then each cause.
pub(super) fn complain(error: &anyhow::Error) {
    let mut text = format!("fatalmonitor: {error}");
    let mut last = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        if !last.contains(&cause) {
            text.push_str("\n  because: ");
            text.push_str(&cause);
        }
        last = cause;
    }
    hint(&text);
}

/// Makes control, direction and zero-width characters visible, so that log text cannot steer a terminal.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for it in text.chars() {
        match it {
            '\n' => out.push_str("\\n"),
            '\t' => out.push('\t'),
            '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' => {
                write!(out, "\\x{:02x}", it as u32).ok();
            }
            '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{2069}'
            | '\u{feff}' => {
                write!(out, "\\u{{{:x}}}", it as u32).ok();
            }
            _ => out.push(it),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn control_and_direction_characters_become_visible() {
        assert_eq!(
            escape("a\u{1b}[31mb\u{9b}c\u{202e}d\u{7f}"),
            "a\\x1b[31mb\\x9bc\\u{202e}d\\x7f"
        );
        assert_eq!(escape("Zażółć ✓"), "Zażółć ✓");
    }
}
