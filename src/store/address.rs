//! `host:port`, as `text::address` of the resource has it, and files of Secrets.

use std::path::Path;

/// Host and port of `host:port` or `[v6]:port`.
pub(super) fn parts(address: &str) -> Result<(String, u16), String> {
    let wrong = || format!("{address} is no address; write host:port");
    let (host, port) = address.rsplit_once(':').ok_or_else(wrong)?;
    let port = port.parse().map_err(|_| wrong())?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() {
        return Err(wrong());
    }
    Ok((host.to_owned(), port))
}

/// The password in a file: all but the line's end that editors and `echo` add.
pub(super) fn password(file: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| format!("read the password in {}: {error}", file.display()))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// The bytes of a file with certificates.
pub(super) fn certificates(file: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(file)
        .map_err(|error| format!("read the certificates in {}: {error}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_and_port_are_told_apart() {
        for (address, wanted) in [
            ("redis:6379", Ok(("redis".to_owned(), 6379))),
            ("[::1]:5432", Ok(("::1".to_owned(), 5432))),
            ("redis", Err(())),
            (":6379", Err(())),
            ("redis:x", Err(())),
        ] {
            assert_eq!(parts(address).map_err(|_| ()), wanted, "{address}");
        }
    }
}
