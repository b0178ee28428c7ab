//! The worker's command line and environment.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::{env, fs};

use clap::Parser;

use crate::telemetry::http::everywhere;
use crate::telemetry::log::Format;
use crate::worker_config::replay::{ENV_REPLAY, RESULT_FILE, ReplayConfig};
use crate::worker_config::{ADMIN_PORT, ENV_CONFIG, ENV_JOURNAL, WorkerConfig};

/// Delivers the records of Kafka topics to a handler.
///
/// Runs in a pod that Drover's controller makes; its configuration is written by the controller.
#[derive(Parser, Debug)]
#[command(name = "drover-worker", version)]
pub struct Args {
    /// A file with the configuration that the controller writes [default: the text itself in the
    /// environment variable DROVER_CONFIG].
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// This pod's name, for logs, reports and the broker [default: the host's name].
    #[arg(long, env = "POD_NAME")]
    pub pod: Option<String>,
    /// Where /livez, /readyz and /metrics are answered.
    #[arg(long, env = "DROVER_ADMIN_ADDRESS", default_value_t = everywhere(ADMIN_PORT))]
    pub admin_address: SocketAddr,
    /// How log lines look.
    #[arg(
        long,
        env = "DROVER_LOG_FORMAT",
        value_enum,
        ignore_case = true,
        default_value_t
    )]
    pub log_format: Format,
    /// What is logged, such as info,drover=debug,librdkafka=warn [default: RUST_LOG, else info].
    #[arg(long, env = "DROVER_LOG")]
    pub log: Option<String>,
    /// A folder that outlives the container: what a command has is written there, so that a record that has the
    /// container killed is found [default: none, and it is not].
    #[arg(long, env = ENV_JOURNAL, value_name = "FOLDER")]
    pub journal: Option<PathBuf>,
    /// Copies this program to a path and ends: how it gets into a container of another image.
    #[arg(long, value_name = "PATH")]
    pub copy_to: Option<PathBuf>,
    /// Waits until the first process of the container listens for signals, and ends: what a container runs before it
    /// is stopped. A signal that comes before is lost.
    #[arg(long)]
    pub wait_for_signals: bool,
    /// Replays dead letters, as the environment variable DROVER_REPLAY says, and ends: what the Job of
    /// a DeadLetterReplay runs.
    #[arg(long)]
    pub replay: bool,
    /// Where a replay leaves what became of it.
    #[arg(long, value_name = "FILE", default_value = RESULT_FILE)]
    pub replay_result: PathBuf,
}

/// Copies the program that runs to `path`, executable for all.
pub fn copy_program(path: &Path) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt as _;
    let failed = |error: std::io::Error| format!("copy the program to {}: {error}", path.display());
    // Beside it first: whoever finds it finds all of it.
    let beside = path.with_extension("new");
    std::fs::copy("/proc/self/exe", &beside).map_err(failed)?;
    let everyone = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&beside, everyone).map_err(failed)?;
    std::fs::rename(&beside, path).map_err(failed)
}

/// Reads the configuration, from `file` or from the environment; the error is one line that says
/// what is wrong and where.
pub fn read_config(file: Option<&Path>) -> Result<WorkerConfig, String> {
    let text = match file {
        Some(file) => fs::read_to_string(file).map_err(|error| error.to_string()),
        None => {
            env::var(ENV_CONFIG).map_err(|error| format!("{error}; is this a pod of Drover's?"))
        }
    };
    let read = text.and_then(|text| serde_json::from_str(&text).map_err(|error| error.to_string()));
    read.map_err(|what| {
        let place = file.map_or(ENV_CONFIG.into(), |file| file.display().to_string());
        format!(
            "configuration {place}: {what}; it is written by Drover's controller, whose version must fit the worker's"
        )
    })
}

/// Reads what is to be replayed from the environment; the error is one line.
pub fn read_replay() -> Result<ReplayConfig, String> {
    let text = env::var(ENV_REPLAY)
        .map_err(|error| format!("{ENV_REPLAY}: {error}; is this a pod of a DeadLetterReplay?"))?;
    serde_json::from_str(&text).map_err(|error| {
        format!(
            "{ENV_REPLAY}: {error}; it is written by Drover's controller, whose version must fit the worker's"
        )
    })
}

/// The host's name, which in a pod is the pod's.
pub fn host_name() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "unknown" } else { name }.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_file_the_configuration_is_the_environments() {
        assert_eq!(Args::parse_from(["drover-worker"]).config, None);
        // No test may set it: the environment is every test's.
        let error = read_config(None).unwrap_err();
        assert!(
            error.contains("configuration DROVER_CONFIG") && !error.contains('\n'),
            "{error}"
        );
    }

    #[test]
    fn a_configuration_that_cannot_be_read_is_told_in_one_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("worker.json");
        for content in [
            None,
            Some("{"),
            Some("{\"consumer\": 5}"),
            Some("{\"unknown\": 1}"),
        ] {
            if let Some(content) = content {
                fs::write(&path, content).unwrap();
            }
            let error = read_config(Some(&path)).unwrap_err();
            assert!(
                error.contains("worker.json") && !error.contains('\n'),
                "{error}"
            );
        }
    }
}
