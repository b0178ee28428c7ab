//! A configured text that nobody may see.

use std::fmt;

use zeroize::Zeroizing;

/// A key or salt as it was configured. Overwritten when it is dropped, never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// The bytes of a file or variable. One line break at the end is taken for the editor's, not
    /// for a part of the secret. None if nothing is left.
    pub fn of(bytes: Vec<u8>) -> Option<Self> {
        let mut bytes = Zeroizing::new(bytes);
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
            if bytes.last() == Some(&b'\r') {
                bytes.pop();
            }
        }
        (!bytes.is_empty()).then_some(Self(bytes))
    }

    pub(super) fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_break_at_the_end_is_not_part_of_a_secret() {
        let exposed = |text: &str| Secret::of(text.into()).map(|s| s.expose().to_vec());
        for (written, meant) in [
            ("key", Some("key")),
            ("key\n", Some("key")),
            ("key\r\n", Some("key")),
            ("key\n\n", Some("key\n")),
            (" key ", Some(" key ")),
            ("key\r", Some("key\r")),
            ("", None),
            ("\n", None),
        ] {
            assert_eq!(exposed(written), meant.map(Into::into), "{written:?}");
        }
    }

    #[test]
    fn a_secret_is_not_printed() {
        let secret = Secret::of(b"hunter2".to_vec()).unwrap();
        assert_eq!(format!("{secret:?}"), "Secret(…)");
    }
}
