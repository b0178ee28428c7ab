//! Certificates for servers of tests.

use std::path::PathBuf;
use std::process::Command;

/// A CA, and a server's certificate of it for 127.0.0.1.
pub struct Certificates {
    folder: tempfile::TempDir,
}

impl Certificates {
    pub fn make() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let everyone = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(folder.path(), everyone).unwrap();
        let all = Self { folder };
        for ca in ["ca", "other"] {
            all.openssl(&format!(
                "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
                 -subj /CN={ca} -keyout {ca}.key -out {ca}.crt"
            ));
        }
        all.openssl(
            "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=store \
             -keyout server.key -out server.csr",
        );
        let names = all.path("names");
        std::fs::write(&names, "subjectAltName=IP:127.0.0.1\n").unwrap();
        all.openssl(
            "x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 \
             -extfile names -out server.crt",
        );
        all
    }

    fn openssl(&self, arguments: &str) {
        let made = Command::new("openssl")
            .args(arguments.split_whitespace())
            .current_dir(self.folder.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&made.stderr);
        assert!(made.status.success(), "openssl {arguments}: {said}");
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }
}
