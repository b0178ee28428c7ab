//! The public certificate authorities, for brokers that the world can reach. The image holds nothing
//! but the binary, so they are in the binary: Mozilla's list.

use std::fmt::Write;
use std::sync::OnceLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// As PEM.
pub(super) fn public() -> &'static str {
    static PEM: OnceLock<String> = OnceLock::new();
    PEM.get_or_init(|| {
        let mut pem = String::new();
        for certificate in webpki_root_certs::TLS_SERVER_ROOT_CERTS {
            pem.push_str("-----BEGIN CERTIFICATE-----\n");
            let text = STANDARD.encode(certificate);
            // RFC 7468: lines of 64 characters.
            for line in text.as_bytes().chunks(64) {
                // Writing to a String does not fail, and Base64 is ASCII.
                let _ = writeln!(pem, "{}", String::from_utf8_lossy(line));
            }
            pem.push_str("-----END CERTIFICATE-----\n");
        }
        pem
    })
}
