//! A PostgreSQL on this machine that pods can reach; ends with the test, however that ends.

use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::ensure;

use crate::scenario::PATIENCE;
use crate::wait;

/// Runs a server until its standard input ends, as it does when the test does.
const GUARD: &str = r#""$@" & server=$!; read -r _; kill -s INT $server; wait $server"#;

/// With the role `drover`, and its database of that name.
pub struct Postgres {
    pub port: u16,
    guard: Child,
    _folder: tempfile::TempDir,
}

impl Postgres {
    /// Listens at this address for everybody who has the password.
    pub async fn start(address: &str, password: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("data");
        prepare(folder.path(), &data, password);
        let free = TcpListener::bind((address, 0)).expect("a free port");
        let port = free.local_addr().expect("its number").port();
        drop(free);
        let log_path = folder.path().join("log");
        let log = File::create(&log_path).expect("a log");
        let mut command = as_postgres("postgres");
        command.extend(["-D".to_owned(), data.display().to_string()]);
        command.extend(["-p".to_owned(), port.to_string()]);
        for setting in [
            &format!("listen_addresses={address}"),
            "unix_socket_directories=",
            "fsync=off",
            "shared_buffers=16MB",
        ] {
            command.extend(["-c".to_owned(), setting.to_owned()]);
        }
        let guard = Command::new("sh")
            .args(["-c", GUARD, "guard"])
            .args(&command)
            .stdin(Stdio::piped())
            .stdout(log.try_clone().expect("the log"))
            .stderr(log)
            .spawn()
            .expect("run sh");
        let server = Self {
            port,
            guard,
            _folder: folder,
        };
        wait::until(
            "PostgreSQL",
            PATIENCE,
            || async { Ok(fs::read_to_string(&log_path)?) },
            |log| log.contains("ready to accept connections"),
        )
        .await;
        make_database(address, port, password)
            .await
            .expect("make the database");
        server
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
    }
}

fn prepare(folder: &Path, data: &Path, password: &str) {
    let everyone = fs::Permissions::from_mode(0o755);
    fs::set_permissions(folder, everyone).expect("let others in");
    let file = folder.join("password");
    fs::write(&file, password).expect("write the password");
    fs::create_dir(data).expect("a folder");
    fs::set_permissions(data, fs::Permissions::from_mode(0o700)).expect("keep others out");
    if is_root() {
        let given = Command::new("chown").arg("postgres:").arg(data).status();
        assert!(given.expect("run chown").success());
    }
    let mut initdb = as_postgres("initdb");
    initdb.push(format!("--pgdata={}", data.display()));
    initdb.push(format!("--pwfile={}", file.display()));
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
        .current_dir(folder)
        .output();
    let made = made.expect("run initdb");
    assert!(made.status.success(), "{made:?}");
    let rules = data.join("pg_hba.conf");
    fs::write(rules, "host all all all scram-sha-256\n").expect("let pods in");
}

async fn make_database(address: &str, port: u16, password: &str) -> anyhow::Result<()> {
    let mut config = tokio_postgres::Config::new();
    config.host(address).port(port).user("drover");
    config.password(password).dbname("postgres");
    let (client, connection) = config.connect(tokio_postgres::NoTls).await?;
    let serving = tokio::spawn(connection);
    client.batch_execute("CREATE DATABASE drover").await?;
    drop(client);
    ensure!(serving.await?.is_ok(), "the connection ends well");
    Ok(())
}

/// One of its programs, as a user that it runs as: it refuses root.
fn as_postgres(program: &str) -> Vec<String> {
    let versions = fs::read_dir("/usr/lib/postgresql");
    let found = versions
        .into_iter()
        .flatten()
        .map(|entry| entry.expect("an entry").path().join("bin"))
        .find(|bin: &PathBuf| bin.join("postgres").exists());
    let bin = found.expect("no PostgreSQL server is installed; make setup installs it");
    let mut command: Vec<String> = Vec::new();
    if is_root() {
        let other = [
            "setpriv",
            "--reuid=postgres",
            "--regid=postgres",
            "--clear-groups",
        ];
        command.extend(other.map(str::to_owned));
    }
    command.push(bin.join(program).display().to_string());
    command
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}
