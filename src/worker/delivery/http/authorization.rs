//! The header `authorization` of requests to a handler that asks who calls.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use zeroize::Zeroizing;

/// What stands for a secret that a handler repeated.
const HIDDEN: &str = "…";

/// This many characters of a secret may be shown where a text was cut within it.
const TELLS_NOTHING: usize = 2;

/// A value of the header, and what of it is secret.
#[derive(Clone)]
pub struct Authorization {
    /// As it is sent.
    pub value: HeaderValue,
    /// Longest first.
    secrets: Vec<Zeroizing<String>>,
}

impl Authorization {
    /// The value in a file: all but the line's end that editors and `echo` add.
    ///
    /// # Errors
    /// In words with the field, and without the value.
    pub fn read(file: &Path) -> Result<Self, String> {
        let text = Zeroizing::new(std::fs::read_to_string(file).map_err(|error| {
            let file = file.display();
            format!("read spec.handler.http.authorizationSecret in {file}: {error}")
        })?);
        let text = text.trim_end_matches(['\r', '\n']);
        let value = HeaderValue::from_str(text);
        let mut value = value.ok().filter(|value| !value.is_empty()).ok_or(
            "spec.handler.http.authorizationSecret holds no value that a header can have; write one line of visible ASCII, such as Bearer and a token",
        )?;
        value.set_sensitive(true);
        let secrets = secrets(text);
        Ok(Self { value, secrets })
    }

    /// Leaves out of a handler's words what is secret: it may repeat what it was sent, and the words may have
    /// been cut within that.
    pub fn hide(&self, words: &mut String) {
        for secret in &self.secrets {
            if words.contains(secret.as_str()) {
                *words = words.replace(secret.as_str(), HIDDEN);
            }
        }
        let ends = self
            .secrets
            .iter()
            .filter_map(|secret| begun(words, secret));
        if let Some(at) = ends.min() {
            words.truncate(at);
            words.push_str(HIDDEN);
        }
    }
}

/// Where at the end of `words` a secret begins that goes on after it.
fn begun(words: &str, secret: &str) -> Option<usize> {
    let lengths = (TELLS_NOTHING + 1..secret.len()).rev();
    let mut beginnings = lengths.filter_map(|length| secret.get(..length));
    let begun = beginnings.find(|beginning| words.ends_with(beginning))?;
    Some(words.len() - begun.len())
}

/// What must not be repeated of a header's value: what comes after its scheme (RFC 9110, section 11.6.2), and
/// the password in it where the scheme is `Basic` (RFC 7617).
fn secrets(value: &str) -> Vec<Zeroizing<String>> {
    let (scheme, credentials) = match value.split_once(' ') {
        Some((scheme, credentials)) => (scheme, credentials.trim()),
        None => ("", value),
    };
    let mut secrets = vec![Zeroizing::new(credentials.to_owned())];
    if scheme.eq_ignore_ascii_case("basic") {
        let decoded = STANDARD.decode(credentials).ok().map(Zeroizing::new);
        let decoded = decoded
            .as_deref()
            .and_then(|bytes| str::from_utf8(bytes).ok());
        let password = decoded.and_then(|login| Some(login.split_once(':')?.1));
        secrets.extend(password.map(|password| Zeroizing::new(password.to_owned())));
    }
    secrets.retain(|secret| !secret.is_empty());
    secrets
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> Result<Authorization, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Authorization::read(file.path())
    }

    #[test]
    fn the_line_s_end_of_the_file_is_none_of_it() {
        for text in [
            &b"Bearer s3cret\n"[..],
            b"Bearer s3cret",
            b"Bearer s3cret\r\n",
        ] {
            assert_eq!(read(text).ok().unwrap().value, "Bearer s3cret");
        }
    }

    #[test]
    fn what_no_header_can_have_is_refused_without_being_shown() {
        for text in [
            &b"s3cret\nx-other: 1"[..],
            b"",
            b"\n",
            b"s3cret\0",
            b"s3cret\xff",
        ] {
            let error = read(text).err().unwrap();
            assert!(
                error.contains("spec.handler.http.authorizationSecret"),
                "{error}"
            );
            assert!(!error.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn what_a_handler_repeats_of_it_is_hidden() {
        // The encoded ones: me:pa:ss, whose password has a colon, and what is no login.
        for (value, words, hidden) in [
            ("Bearer s3cret-1", "no Bearer s3cret-1", "no Bearer …"),
            (
                "Bearer s3cret-1",
                "s3cret-1 is not s3cret-1!",
                "… is not …!",
            ),
            ("Bearer s3cret-1", "token s3cr", "token …"),
            ("Bearer s3cret-1", "token s3", "token s3"),
            ("s3cret-1", "no s3cret-1", "no …"),
            ("bearer  s3cret-1", "no s3cret-1", "no …"),
            ("Bearer s3cret-1", "403 Forbidden", "403 Forbidden"),
            ("Basic bWU6cGE6c3M=", "not bWU6cGE6c3M=", "not …"),
            ("Basic bWU6cGE6c3M=", "no me with pa:ss", "no me with …"),
            ("Basic bm90aGluZw==", "bm90aGluZw==", "…"),
        ] {
            let authorization = read(value.as_bytes()).ok().unwrap();
            let mut found = words.to_owned();
            authorization.hide(&mut found);
            assert_eq!(found, hidden, "{words:?} for {value:?}");
        }
    }
}
