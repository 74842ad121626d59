//! The configuration in force, each value with where it comes from.

use std::fmt;

use super::Config;

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// The configuration file.
    File,
    /// A `FATALMONITOR_*` variable or a flag.
    Override,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Default => "default",
            Self::File => "file",
            Self::Override => "flag or environment",
        })
    }
}

/// One line of the configuration in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective {
    /// Dotted key.
    pub key: String,
    /// Value, secrets masked.
    pub value: String,
    /// Where it comes from.
    pub origin: Origin,
}

impl Config {
    /// Lists every value of this configuration, given the one that the file alone makes.
    pub fn effective(&self, file: &Self, file_text: &str) -> Vec<Effective> {
        let defaults = flat(&Self::default());
        let from_file = flat(file);
        let set: toml::Table = toml::from_str(file_text).unwrap_or_default();
        let mut lines = Vec::new();
        for (key, value) in flat(self) {
            let in_file = from_file.iter().any(|it| it.0 == key && it.1 == value);
            let is_default = defaults.iter().any(|it| it.0 == key && it.1 == value);
            let origin = if in_file && names(&set, &key) {
                Origin::File
            } else if in_file && is_default {
                Origin::Default
            } else if in_file {
                Origin::File
            } else {
                Origin::Override
            };
            lines.push(Effective { key, value, origin });
        }
        lines
    }
}

fn names(table: &toml::Table, key: &str) -> bool {
    match key.split_once(['.', '[']) {
        None => table.contains_key(key),
        Some((head, rest)) => match table.get(head) {
            Some(toml::Value::Table(inner)) => names(inner, rest),
            Some(_) => true,
            None => false,
        },
    }
}

fn flat(config: &Config) -> Vec<(String, String)> {
    let mut lines = Vec::new();
    if let Ok(value) = toml::Value::try_from(config) {
        walk("", &value, &mut lines);
    }
    lines
}

fn walk(key: &str, value: &toml::Value, lines: &mut Vec<(String, String)>) {
    match value {
        toml::Value::Table(table) => {
            for (name, inner) in table {
                let key = if key.is_empty() {
                    name.clone()
                } else {
                    format!("{key}.{name}")
                };
                walk(&key, inner, lines);
            }
        }
        toml::Value::Array(items) if items.iter().any(toml::Value::is_table) => {
            for (place, inner) in items.iter().enumerate() {
                walk(&format!("{key}[{place}]"), inner, lines);
            }
        }
        other => lines.push((key.to_owned(), other.to_string())),
    }
}
