//! Texts that others have written, or that errors repeat of them: what people may be shown of these.

use rustls::pki_types::pem::Error;

/// What anybody may have written, so that nothing in it moves a cursor, ends a line or turns the direction of reading.
pub fn printable(text: &str) -> String {
    let turns = |c| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => safe.push(' '),
            c if c.is_control() || turns(c) => safe.extend(c.escape_default()),
            c => safe.push(c),
        }
    }
    safe
}

/// Why a text is not PEM. The error's own words repeat the line that cannot be read, and of a key that has lost its line
/// ends that is all of it.
pub fn pem_error(error: &Error) -> String {
    match error {
        Error::MissingSectionEnd { .. } => {
            "a section has no END line of its own; PEM needs its line ends".to_owned()
        }
        Error::IllegalSectionStart { .. } => {
            "a BEGIN line does not end in five dashes; PEM needs its line ends".to_owned()
        }
        Error::Base64Decode(_) => {
            "between BEGIN and END there is something that is not Base64".to_owned()
        }
        Error::Io(error) => error.to_string(),
        Error::NoItemsFound => "there is nothing of that kind in it".to_owned(),
        _ => "it cannot be read as PEM".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};

    use super::*;

    #[test]
    fn nothing_moves_the_cursor() {
        assert_eq!(
            printable("a\nb\u{1b}[2J\u{9b}1m\u{202e}ä"),
            "a b\\u{1b}[2J\\u{9b}1m\\u{202e}ä"
        );
    }

    #[test]
    fn of_a_key_that_is_no_pem_nothing_is_said() {
        let shapes = [
            "-----BEGIN RSA PRIVATE KEY-----MIIEsecret-----END RSA PRIVATE KEY-----",
            "-----BEGIN RSA PRIVATE KEY-----MIIEsecret",
            "-----BEGIN PRIVATE KEY-----\nMIIE\u{0}secret\n-----END PRIVATE KEY-----\n",
            "-----BEGIN PRIVATE KEY-----\nMIIEsecret\n",
            "MIIEsecret",
        ];
        // As it would be in the bytes that an error shows: "secret".
        let bytes = "115, 101, 99, 114, 101, 116";
        for shape in shapes {
            let key = PrivateKeyDer::from_pem_slice(shape.as_bytes()).map(|_| ());
            let certificates = CertificateDer::pem_slice_iter(shape.as_bytes());
            let certificates = certificates.collect::<Result<Vec<_>, _>>().map(|_| ());
            for error in [key, certificates].into_iter().filter_map(Result::err) {
                let said = pem_error(&error);
                assert!(!said.contains("secret") && !said.contains(bytes), "{said}");
            }
        }
    }
}
