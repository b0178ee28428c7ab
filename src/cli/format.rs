//! How a result is written: for people, or for programs.

use anyhow::anyhow;
use clap::ValueEnum;
use serde_json::Value;

use super::output;
use crate::yaml;

/// How a result is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Table,
    /// One JSON document.
    Json,
    /// One YAML document.
    Yaml,
}

/// How resources are listed, as kubectl lists them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Listing {
    /// For people.
    #[default]
    Table,
    /// The table with what each is to do: handler, group, topics, promise.
    Wide,
    /// Only names, as kubectl takes them.
    Name,
    /// One JSON document.
    Json,
    /// One YAML document.
    Yaml,
}

impl Listing {
    /// What it is for programs, where it is for them.
    pub(super) fn document(self) -> Option<Format> {
        match self {
            Self::Json => Some(Format::Json),
            Self::Yaml => Some(Format::Yaml),
            Self::Table | Self::Wide | Self::Name => None,
        }
    }
}

impl Format {
    /// Writes `value` for programs, or `text` for people, to standard output.
    pub(super) fn print(
        self,
        value: impl FnOnce() -> Value,
        text: impl FnOnce() -> String,
    ) -> anyhow::Result<()> {
        let whole = match self {
            Self::Table => text(),
            Self::Json => serde_json::to_string_pretty(&value())?,
            Self::Yaml => yaml::to_string(&value()).map_err(|error| anyhow!(error))?,
        };
        output::print(&format!("{}\n", whole.trim_end()))
    }
}
