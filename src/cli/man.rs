//! `drover man`: a man page for each command, in the words of `--help`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, CommandFactory};

use super::{Cli, output};

/// Arguments of `drover man`.
#[derive(Args, Clone, Debug)]
pub struct ManArgs {
    /// Where to; made if it is not there
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
}

/// Writes them.
///
/// # Errors
/// If the folder cannot be written to.
pub(super) fn run(args: &ManArgs) -> anyhow::Result<ExitCode> {
    write(&args.folder)?;
    let folder = args.folder.display();
    output::print(&format!(
        "man pages are in {folder}; man {folder}/drover.1\n"
    ))?;
    Ok(ExitCode::SUCCESS)
}

fn write(folder: &Path) -> anyhow::Result<()> {
    let name = folder.display();
    let into = || format!("write man pages into {name}; name a folder that you may write to");
    std::fs::create_dir_all(folder).with_context(into)?;
    clap_mangen::generate_to(Cli::command(), folder).with_context(into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_man_page() {
        let folder = tempfile::tempdir().unwrap();
        let into = folder.path().join("share/man1");
        write(&into).unwrap();
        for name in ["drover.1", "drover-dev.1", "drover-dlq-replay.1"] {
            let page = std::fs::read_to_string(into.join(name)).unwrap();
            assert!(page.contains(".SH SYNOPSIS"), "{name}");
        }
        // What is not in the help is not in the manual.
        assert!(!into.join("drover-docs.1").exists());
    }

    #[test]
    fn what_is_no_folder_is_said_with_what_to_do() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = format!("{:#}", write(&file.path().join("man1")).unwrap_err());
        assert!(
            error.contains("name a folder that you may write to"),
            "{error}"
        );
    }
}
