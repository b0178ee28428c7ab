//! `docs/commands.md`: every command with every flag, in the words of `--help`.

use std::fmt::Write as _;

use clap::{Arg, ArgAction, Command, CommandFactory};

use crate::cli::Cli;

/// The page.
pub(super) fn page() -> String {
    let mut command = Cli::command();
    command.build();
    let mut text = "# Every command and flag\n\nWritten from the program by `make generate`; what belongs together is told in [cli](cli.md).\n".to_owned();
    for below in command.get_subcommands() {
        section(below, 2, &mut text);
    }
    text
}

fn section(command: &Command, level: usize, text: &mut String) {
    if command.is_hide_set() {
        return;
    }
    let name = command.get_bin_name().unwrap_or(command.get_name());
    let _ = writeln!(text, "\n{} `{name}`\n", "#".repeat(level));
    let about = command.get_long_about().or(command.get_about());
    if let Some(about) = about {
        let _ = writeln!(text, "{}.\n", about.to_string().trim_end_matches('.'));
    }
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ");
    for line in usage.lines() {
        let _ = writeln!(text, "    {}", line.trim());
    }
    let shown =
        |arg: &&Arg| !arg.is_hide_set() && !["help", "version"].contains(&arg.get_id().as_str());
    let mut args = command.get_arguments().filter(shown).peekable();
    if args.peek().is_some() {
        text.push_str("\n| | |\n|---|---|\n");
    }
    for arg in args {
        let _ = writeln!(text, "| {} | {} |", form(arg), explained(arg));
    }
    for below in command.get_subcommands() {
        section(below, level + 1, text);
    }
}

/// `-n`, `--namespace <NAMESPACE>`
fn form(arg: &Arg) -> String {
    let names = arg.get_value_names().unwrap_or_default();
    let takes = matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
    let value = names
        .iter()
        .map(|name| format!("<{name}>"))
        .collect::<Vec<_>>()
        .join(" ");
    if arg.is_positional() {
        let many = arg
            .get_num_args()
            .is_some_and(|range| range.max_values() > 1);
        return format!("`{value}{}`", if many { "…" } else { "" });
    }
    let short = arg.get_short().map(|short| format!("`-{short}`, "));
    let long = arg.get_long().unwrap_or_default();
    let value = if takes {
        format!(" {value}")
    } else {
        String::new()
    };
    format!("{}`--{long}{value}`", short.unwrap_or_default())
}

/// Its help, its values, its default and its variable.
fn explained(arg: &Arg) -> String {
    let help = arg.get_long_help().or(arg.get_help());
    let mut text = help.map(ToString::to_string).unwrap_or_default();
    text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let values: Vec<_> = arg
        .get_possible_values()
        .iter()
        .filter(|value| !value.is_hide_set())
        .map(|value| format!("`{}`", value.get_name()))
        .collect();
    let takes = matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
    if takes && !values.is_empty() {
        let _ = write!(text, ": {}", values.join(", "));
    }
    let defaults = arg.get_default_values().iter();
    let default = defaults
        .map(|value| value.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ");
    if takes && !default.is_empty() && !arg.is_hide_default_value_set() {
        let _ = write!(text, " (default `{default}`)");
    }
    if let Some(variable) = arg.get_env() {
        let _ = write!(text, " (variable `{}`)", variable.to_string_lossy());
    }
    text.replace('|', "\\|").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_there_with_its_flags_and_none_that_is_hidden() {
        let text = page();
        for words in [
            "## `drover status`",
            "### `drover dlq replay`",
            "| `-n`, `--namespace <NAMESPACE>` | ",
            "(variable `DROVER_BOOTSTRAP`)",
            "(default `30s`)",
        ] {
            assert!(text.contains(words), "{words}");
        }
        assert!(!text.contains("drover docs"), "{text}");
    }
}
