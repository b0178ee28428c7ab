//! Certificates for servers of tests.

use std::path::PathBuf;
use std::process::Command;

/// A CA (`ca`), a server's certificate of it for 127.0.0.1 (`server`), one for another name (`elsewhere`),
/// one whose time is over (`expired`), and a client's (`client`); and a CA that has signed none of them
/// (`other`).
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
        let here = "subjectAltName=IP:127.0.0.1";
        all.sign("server", here, 2);
        all.sign("elsewhere", "subjectAltName=DNS:elsewhere.example", 2);
        all.sign_for("expired", here, "20200101000000Z", "20210101000000Z");
        all.sign("client", "extendedKeyUsage=clientAuth", 2);
        all
    }

    /// A certificate of `ca` that ends in so many days, its key, and both in one file.
    fn sign(&self, name: &str, extension: &str, days: u32) {
        self.request(name, extension);
        self.openssl(&format!(
            "x509 -req -in {name}.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days {days} \
             -extfile {name}.ext -out {name}.crt"
        ));
        self.put_together(name);
    }

    /// The same for a time that begins and ends then.
    fn sign_for(&self, name: &str, extension: &str, begin: &str, end: &str) {
        self.request(name, extension);
        // `x509` of OpenSSL 3.0 knows no other beginning than now.
        let authority = "[ca]\ndefault_ca = here\n[here]\ndatabase = issued\nnew_certs_dir = .\n\
                         rand_serial = yes\ndefault_md = sha256\npolicy = named\n[named]\ncommonName = supplied\n";
        std::fs::write(self.path("authority.cnf"), authority).unwrap();
        std::fs::write(self.path("issued"), "").unwrap();
        self.openssl(&format!(
            "ca -batch -config authority.cnf -cert ca.crt -keyfile ca.key -notext -in {name}.csr \
             -startdate {begin} -enddate {end} -extfile {name}.ext -out {name}.crt"
        ));
        self.put_together(name);
    }

    fn request(&self, name: &str, extension: &str) {
        self.openssl(&format!(
            "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN={name} \
             -keyout {name}.key -out {name}.csr"
        ));
        let extensions = self.path(&format!("{name}.ext"));
        std::fs::write(&extensions, format!("{extension}\n")).unwrap();
    }

    fn put_together(&self, name: &str) {
        let read = |kind: &str| std::fs::read_to_string(self.path(&format!("{name}.{kind}")));
        let both = read("key").unwrap() + &read("crt").unwrap();
        std::fs::write(self.path(&format!("{name}.pem")), both).unwrap();
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
