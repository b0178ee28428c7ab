//! The command line: `drover`, also `kubectl drover`.

use std::process::ExitCode;

fn main() -> ExitCode {
    drover::cli::main(std::env::args_os())
}
