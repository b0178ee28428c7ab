//! An eye on a file: looked at now and then, which works on every file system and with every editor.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::sleep;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(250);

/// So many looks in vain are not an editor's.
const AWAY: u32 = 4;

/// Knows what the file held when it was looked at last.
#[derive(Debug)]
pub(super) struct Eye {
    file: PathBuf,
    known: Option<Vec<u8>>,
    /// What it held when what runs was read from it.
    runs: Option<Vec<u8>>,
    gone: bool,
}

/// What an eye has seen.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// The file holds something new.
    Changed,
    /// It holds what it did when what runs was read.
    AsBefore,
    /// It cannot be read any more.
    Gone,
}

impl Eye {
    /// From now on.
    pub fn on(file: &Path) -> Self {
        let known = std::fs::read(file).ok();
        Self {
            file: file.to_owned(),
            runs: known.clone(),
            known,
            gone: false,
        }
    }

    /// What was seen last is what runs now.
    pub fn runs_it(&mut self) {
        self.runs.clone_from(&self.known);
    }

    /// Comes back when the file holds something else, for two looks the same: an editor writes it in
    /// pieces, or takes it away for a moment; when it has been away for longer than that; and when it is back.
    pub async fn change(&mut self) -> Seen {
        let (mut last, mut away) = (None, 0);
        loop {
            sleep(LOOK).await;
            let now = tokio::fs::read(&self.file).await.ok();
            away = if now.is_none() { away + 1 } else { 0 };
            if away >= AWAY && !self.gone {
                self.gone = true;
                return Seen::Gone;
            }
            if now.is_some() && now == last && (self.gone || now != self.known) {
                self.gone = false;
                self.known = now;
                return match self.known == self.runs {
                    true => Seen::AsBefore,
                    false => Seen::Changed,
                };
            }
            last = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_gone_back_or_new_is_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("orders.yaml");
        std::fs::write(&file, "one").unwrap();
        let mut eye = Eye::on(&file);
        std::fs::write(&file, "two").unwrap();
        assert_eq!(eye.change().await, Seen::Changed);
        // It could not be run.
        std::fs::write(&file, "one").unwrap();
        assert_eq!(eye.change().await, Seen::AsBefore);
        std::fs::remove_file(&file).unwrap();
        assert_eq!(eye.change().await, Seen::Gone);
        std::fs::write(&file, "one").unwrap();
        assert_eq!(eye.change().await, Seen::AsBefore);
        std::fs::write(&file, "three").unwrap();
        assert_eq!(eye.change().await, Seen::Changed);
        eye.runs_it();
        std::fs::write(&file, "one").unwrap();
        assert_eq!(eye.change().await, Seen::Changed);
    }
}
