//! An eye on a file: looked at now and then, which works on every file system and with every editor.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::sleep;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(250);

/// Knows what the file held when it was looked at last.
#[derive(Debug)]
pub(super) struct Eye {
    file: PathBuf,
    known: Option<Vec<u8>>,
}

impl Eye {
    /// From now on.
    pub fn on(file: &Path) -> Self {
        Self {
            file: file.to_owned(),
            known: std::fs::read(file).ok(),
        }
    }

    /// Comes back when the file holds something else, for two looks the same: an editor writes it in
    /// pieces, or takes it away for a moment.
    pub async fn change(&mut self) {
        let mut last = None;
        loop {
            sleep(LOOK).await;
            let now = tokio::fs::read(&self.file).await.ok();
            if now.is_some() && now != self.known && now == last {
                self.known = now;
                return;
            }
            last = now;
        }
    }
}
