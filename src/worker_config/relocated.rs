//! The same configuration where Secrets are files of another folder.

use std::path::{Path, PathBuf};

use super::security::Certificate;
use super::{Handler, SECRETS_PATH, StoreKind, WorkerConfig};

impl WorkerConfig {
    /// With the files below [`SECRETS_PATH`] below `folder` instead.
    #[must_use]
    pub fn with_secrets_in(mut self, folder: &Path) -> Self {
        let moved = |path: &mut PathBuf| {
            if let Ok(file) = path.strip_prefix(SECRETS_PATH) {
                *path = folder.join(file);
            }
        };
        if let Handler::Http(http) = &mut self.handler {
            http.authorization_file.iter_mut().for_each(moved);
            if let Some(tls) = &mut http.tls {
                tls.ca_file.iter_mut().for_each(moved);
                tls.certificate
                    .iter_mut()
                    .for_each(|pair| pair.move_by(moved));
            }
        }
        if let Some(tls) = &mut self.security.tls {
            tls.ca_file.iter_mut().for_each(moved);
            tls.certificate
                .iter_mut()
                .for_each(|pair| pair.move_by(moved));
        }
        if let Some(sasl) = &mut self.security.sasl {
            moved(&mut sasl.password_file);
        }
        if let Some(oauth) = &mut self.security.oauth {
            moved(&mut oauth.client_secret_file);
            oauth.ca_file.iter_mut().for_each(moved);
        }
        if let Some(encryption) = &mut self.encryption {
            encryption.primary_key_files.iter_mut().for_each(moved);
            encryption.deterministic_key_file.iter_mut().for_each(moved);
            moved(&mut encryption.salt_file);
        }
        match self.idempotency.as_mut().map(|known| &mut known.store) {
            Some(StoreKind::Redis(redis)) => {
                redis.password_file.iter_mut().for_each(moved);
                redis.ca_file.iter_mut().for_each(moved);
            }
            Some(StoreKind::Postgres(postgres)) => {
                postgres.password_file.iter_mut().for_each(moved);
                postgres.ca_file.iter_mut().for_each(moved);
            }
            Some(StoreKind::Memory { .. }) | None => {}
        }
        self
    }
}

impl Certificate {
    fn move_by(&mut self, moved: impl Fn(&mut PathBuf)) {
        moved(&mut self.certificate_file);
        moved(&mut self.key_file);
    }
}
