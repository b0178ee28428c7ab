//! Brokers to begin with, as an argument that knows whether somebody wrote it.

use std::ffi::OsStr;

use clap::builder::{NonEmptyStringValueParser, TypedValueParser};
use clap::parser::ValueSource;
use clap::{Arg, Command};

/// Where the environment names them.
pub(super) const VARIABLE: &str = "DROVER_BOOTSTRAP";

/// `host:port`, several with commas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bootstrap {
    /// As they were named.
    pub servers: String,
    /// The environment named them, and not the command.
    pub from_environment: bool,
}

/// For clap.
#[derive(Clone, Debug)]
pub(super) struct BootstrapParser;

impl TypedValueParser for BootstrapParser {
    type Value = Bootstrap;

    fn parse_ref(
        &self,
        command: &Command,
        arg: Option<&Arg>,
        value: &OsStr,
    ) -> Result<Self::Value, clap::Error> {
        self.parse_ref_(command, arg, value, ValueSource::CommandLine)
    }

    fn parse_ref_(
        &self,
        command: &Command,
        arg: Option<&Arg>,
        value: &OsStr,
        source: ValueSource,
    ) -> Result<Self::Value, clap::Error> {
        let servers = NonEmptyStringValueParser::new().parse_ref(command, arg, value)?;
        Ok(Bootstrap {
            servers,
            from_environment: source == ValueSource::EnvVariable,
        })
    }
}
