//! Redis and PostgreSQL for one test: in a folder of their own, on a free port of loopback, ended
//! with the test, however that ends.

use std::io::Read as _;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use drover::worker_config::{Postgres, Redis, StoreKind};
use tempfile::TempDir;

use super::DEADLINE;

pub const PASSWORD: &str = "correct horse";

/// Runs a server until its standard input ends, as it does when the test does.
const GUARD: &str =
    r#"signal=$1; shift; "$@" & server=$!; read -r _; kill -s "$signal" $server; wait $server"#;

/// A server and what is needed to start it again.
pub struct Server {
    pub port: u16,
    pub folder: TempDir,
    command: Vec<String>,
    signal: &'static str,
    guard: Option<Child>,
}

impl Server {
    /// Starts it at a free port; another test may be quicker to take that.
    fn start(
        folder: TempDir,
        signal: &'static str,
        command: impl Fn(u16, &Path) -> Vec<String>,
    ) -> Self {
        let mut server = Self {
            port: 0,
            folder,
            command: Vec::new(),
            signal,
            guard: None,
        };
        for _ in 0..10 {
            server.port = TcpListener::bind("127.0.0.1:0")
                .and_then(|listener| listener.local_addr())
                .unwrap()
                .port();
            server.command = command(server.port, server.folder.path());
            if server.begin() {
                return server;
            }
        }
        panic!("{:?} does not start: {}", server.command, server.log());
    }

    /// True once it listens; false if it ended before.
    #[allow(clippy::disallowed_methods, reason = "a deadline for a condition")]
    fn begin(&mut self) -> bool {
        let log = std::fs::File::create(self.log_path()).unwrap();
        let mut guard = Command::new("sh")
            .args(["-c", GUARD, "guard", self.signal])
            .args(&self.command)
            .stdin(Stdio::piped())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let begun = Instant::now();
        let ready = loop {
            let log = self.log();
            if log.contains("eady to accept connections") {
                break true;
            }
            let failed =
                log.contains("in use") || log.contains("FATAL") || log.contains("# Failed");
            if failed || begun.elapsed() > DEADLINE {
                break false;
            }
            std::thread::park_timeout(Duration::from_millis(20));
        };
        if !ready {
            drop(guard.stdin.take());
            let _ = guard.wait();
            return false;
        }
        self.guard = Some(guard);
        true
    }

    /// Ends it; what it has written stays.
    pub fn stop(&mut self) {
        if let Some(mut guard) = self.guard.take() {
            drop(guard.stdin.take());
            guard.wait().unwrap();
        }
    }

    /// Starts it again, as it was.
    pub fn start_again(&mut self) {
        assert!(self.begin(), "it does not start again: {}", self.log());
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("server.log")
    }

    fn log(&self) -> String {
        let mut text = String::new();
        if let Ok(mut file) = std::fs::File::open(self.log_path()) {
            let _ = file.read_to_string(&mut text);
        }
        text
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A Redis that keeps what it was told, also over a restart, and asks for a password.
pub fn redis(options: &[&str]) -> Server {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("password"), format!("{PASSWORD}\n")).unwrap();
    Server::start(folder, "TERM", |port, folder| {
        let port = port.to_string();
        let tls = options.contains(&"--tls-cert-file");
        let mut command = vec!["redis-server"];
        if tls {
            command.extend(["--port", "0", "--tls-port", &port]);
        } else {
            command.extend(["--port", &port]);
        }
        let folder = folder.to_str().unwrap();
        let common = [
            "--bind",
            "127.0.0.1",
            "--dir",
            folder,
            "--save",
            "",
            "--appendonly",
            "yes",
            "--appendfsync",
            "always",
            "--requirepass",
            PASSWORD,
        ];
        command.extend(common);
        command.extend(options);
        command.into_iter().map(str::to_owned).collect()
    })
}

pub fn redis_store(server: &Server) -> StoreKind {
    StoreKind::Redis(Redis {
        address: server.address(),
        database: 1,
        username: None,
        password_file: Some(server.folder.path().join("password")),
        ca_file: None,
    })
}

/// A PostgreSQL with a role that owns its database.
pub fn postgres(options: &[&str]) -> Server {
    let folder = tempfile::tempdir().unwrap();
    let everyone = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(folder.path(), everyone).unwrap();
    let password = folder.path().join("password");
    std::fs::write(&password, PASSWORD).unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    give_to_postgres(&data);
    let bin = postgres_programs();
    let mut initdb = as_postgres();
    initdb.extend([
        bin.join("initdb").display().to_string(),
        format!("--pgdata={}", data.display()),
        format!("--pwfile={}", password.display()),
    ]);
    initdb.extend(
        [
            "--username=drover",
            "--auth=scram-sha-256",
            "--no-sync",
            "--no-locale",
            "--encoding=UTF8",
        ]
        .map(str::to_owned),
    );
    let made = Command::new(&initdb[0])
        .args(&initdb[1..])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "{initdb:?}: {said}");
    Server::start(folder, "INT", |port, folder| {
        let mut command = as_postgres();
        command.extend([
            bin.join("postgres").display().to_string(),
            "-D".to_owned(),
            folder.join("data").display().to_string(),
            "-p".to_owned(),
            port.to_string(),
        ]);
        let settings = [
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "fsync=off",
            "shared_buffers=16MB",
        ];
        for setting in settings.iter().chain(options) {
            command.extend(["-c".to_owned(), (*setting).to_owned()]);
        }
        command
    })
}

pub fn postgres_store(server: &Server) -> StoreKind {
    StoreKind::Postgres(Postgres {
        address: server.address(),
        database: "postgres".to_owned(),
        username: "drover".to_owned(),
        password_file: Some(server.folder.path().join("password")),
        table: "drover_idempotency".to_owned(),
        ca_file: None,
    })
}

/// A client of the test's own.
pub async fn postgres_client(server: &Server, user: &str) -> tokio_postgres::Client {
    let mut config = tokio_postgres::Config::new();
    config
        .host("127.0.0.1")
        .port(server.port)
        .user(user)
        .password(PASSWORD)
        .dbname("postgres");
    let (client, connection) = config.connect(tokio_postgres::NoTls).await.unwrap();
    tokio::task::spawn_local(connection);
    client
}

/// Where Debian and others have them; not in anybody's PATH.
fn postgres_programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql");
    let found = versions
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path().join("bin"))
        .find(|bin| bin.join("postgres").exists());
    found.expect("no PostgreSQL server is installed; make setup installs it")
}

/// The server refuses to run as root.
fn as_postgres() -> Vec<String> {
    if is_root() {
        [
            "setpriv",
            "--reuid=postgres",
            "--regid=postgres",
            "--clear-groups",
        ]
        .map(str::to_owned)
        .to_vec()
    } else {
        vec!["env".to_owned()]
    }
}

pub fn give_to_postgres(path: &Path) {
    let mode = if path.is_dir() { 0o700 } else { 0o600 };
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    if is_root() {
        let given = Command::new("chown").arg("postgres:").arg(path).status();
        assert!(given.unwrap().success());
    }
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

/// Nothing listens there any more, or not yet.
pub fn is_silent(server: &Server) -> bool {
    TcpStream::connect(server.address()).is_err()
}
