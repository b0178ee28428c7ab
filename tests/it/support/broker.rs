//! A real broker on loopback, or three, that a test may take away and bring back.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A broker that ends with the process, however that ends.
pub struct Broker {
    pub servers: String,
    pub folder: PathBuf,
    /// Its standard input is a pipe that only this process holds; never read, only held.
    _guard: Option<Child>,
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cluster/cluster")
}

impl Broker {
    /// Starts one, in a folder of this process's own that `name` tells from others.
    pub fn start(name: &str, arguments: &[&str]) -> Result<Self, String> {
        let folder = std::env::temp_dir().join(format!("drover-it-{name}-{}", std::process::id()));
        let guard = Command::new("sh")
            .args([
                "-c",
                r#"read -r _; exec "$0" broker down --dir "$1" >/dev/null 2>&1"#,
            ])
            .arg(script())
            .arg(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .map_err(|error| format!("start the guard: {error}"))?;
        let servers = cluster(&folder, &[&["broker", "up"], arguments].concat())?;
        Ok(Self {
            servers,
            folder,
            _guard: Some(guard),
        })
    }

    /// One that runs already.
    pub fn at(servers: String) -> Self {
        Self {
            servers,
            folder: PathBuf::new(),
            _guard: None,
        }
    }

    /// Says something to `tests/cluster/cluster` about it, such as `stop kafka --kill`.
    pub fn tell(&self, arguments: &[&str]) -> Result<String, String> {
        cluster(&self.folder, arguments)
    }
}

fn cluster(folder: &Path, arguments: &[&str]) -> Result<String, String> {
    // Behind the name of one of Kafka's tools everything is that tool's.
    let (first, rest) = match arguments {
        ["kafka", rest @ ..] => (&arguments[..1], rest),
        all => (all, &[][..]),
    };
    let output = Command::new(script())
        .args(first)
        .arg("--dir")
        .arg(folder)
        .args(rest)
        .output()
        .map_err(|error| format!("run {}: {error}", script().display()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{arguments:?}: {said}"));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
