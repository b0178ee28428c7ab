//! The worker's command line and environment.

use std::net::{Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use clap::Parser;

use crate::telemetry::log::Format;
use crate::worker_config::{ADMIN_PORT, WorkerConfig};

/// Delivers the records of Kafka topics to a handler.
///
/// Runs in a pod that Drover's controller makes; its configuration is written by the controller.
#[derive(Parser, Debug)]
#[command(name = "drover-worker", version)]
pub struct Args {
    /// The configuration that the controller writes.
    #[arg(long, env = "DROVER_CONFIG", default_value = "/etc/drover/worker.json")]
    pub config: PathBuf,
    /// This pod's name, for logs, reports and the broker [default: the host's name].
    #[arg(long, env = "POD_NAME")]
    pub pod: Option<String>,
    /// Where /livez, /readyz and /metrics are answered.
    #[arg(long, env = "DROVER_ADMIN_ADDRESS", default_value_t = SocketAddr::from((Ipv6Addr::UNSPECIFIED, ADMIN_PORT)))]
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
}

/// Reads the configuration; the error is one line that says what is wrong and where.
pub fn read_config(path: &Path) -> Result<WorkerConfig, String> {
    let wrong = |what: String| {
        format!(
            "configuration {}: {what}; it is written by Drover's controller, whose version must fit the worker's",
            path.display()
        )
    };
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))
}

/// The host's name, which in a pod is the pod's.
pub fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "unknown" } else { name }.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_path_is_where_the_config_map_is_mounted() {
        use crate::worker_config::{FILE_NAME, MOUNT_PATH};
        let path = Args::parse_from(["drover-worker"]).config;
        assert_eq!(path, Path::new(MOUNT_PATH).join(FILE_NAME));
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
                std::fs::write(&path, content).unwrap();
            }
            let error = read_config(&path).unwrap_err();
            assert!(
                error.contains("worker.json") && !error.contains('\n'),
                "{error}"
            );
        }
    }
}
