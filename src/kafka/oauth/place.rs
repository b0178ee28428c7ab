//! Which addresses tokens are fetched from. Pure.
//!
//! Who edits a KafkaConsumer names the address, and workers and controller go there: never to the link of their
//! node, where clouds tell whose machine it is, and to themselves only where the address says so openly.

use std::net::IpAddr;

use http::Uri;

/// What an address must be, for a client's secret to be sent there.
///
/// # Errors
/// In words, with what to do.
pub fn check(address: &Uri, allow_http: bool) -> Result<(), String> {
    let host = host(address);
    if host.is_empty() {
        return Err("it has no host; correct it".to_owned());
    }
    if let Ok(ip) = host.parse::<IpAddr>()
        && is_out_of_bounds(ip)
    {
        return Err("from addresses of the link no token is fetched".to_owned());
    }
    match address.scheme_str() {
        Some("https") => Ok(()),
        Some("http") if allow_http || is_loopback(host) => Ok(()),
        Some("http") => Err(
            "over http:// the client's secret would be sent in the clear; use https://, or set allowHttp where the network is trusted"
                .to_owned(),
        ),
        _ => Err("it is neither https:// nor http://; correct it".to_owned()),
    }
}

/// Whom an address names, without the brackets of IPv6.
pub fn host(address: &Uri) -> &str {
    let host = address.host().unwrap_or_default();
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    bare.unwrap_or(host)
}

/// It says openly that it is this machine, or this pod.
pub fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<IpAddr>()
            .is_ok_and(|ip| ip.to_canonical().is_loopback())
}

/// Whether the name `host` may stand for `ip`. A name that anybody can register must not lead to what listens
/// only where it thinks itself alone.
pub fn may_stand_for(host: &str, ip: IpAddr) -> bool {
    !is_out_of_bounds(ip) && (!ip.to_canonical().is_loopback() || is_loopback(host))
}

/// Link-local, or no address of anybody's: Linux takes it for loopback.
fn is_out_of_bounds(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.is_link_local() || ip.is_unspecified() || ip.is_broadcast(),
        // The last is where one cloud has over IPv6 what others have on the link.
        IpAddr::V6(ip) => {
            ip.is_unicast_link_local()
                || ip.is_unspecified()
                || ip.segments() == [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(address: &str, allow_http: bool) -> Result<(), String> {
        check(&address.parse().unwrap(), allow_http)
    }

    #[test]
    fn a_secret_is_sent_in_the_clear_only_to_oneself_or_where_that_is_wanted() {
        for address in [
            "https://login.example.com/token",
            "http://localhost:8080/token",
            "http://127.0.0.1/token",
            "http://[::1]:80/token",
        ] {
            assert_eq!(checked(address, false), Ok(()), "{address}");
        }
        for address in ["http://login.example.com/token", "http://10.0.0.1/token"] {
            let error = checked(address, false).unwrap_err();
            assert!(error.contains("in the clear"), "{address}: {error}");
            assert_eq!(checked(address, true), Ok(()), "{address}");
        }
        assert!(checked("ftp://login.example.com/", true).is_err());
        assert!(checked("/token", true).is_err());
    }

    #[test]
    fn the_link_is_out_of_bounds_in_every_spelling() {
        for address in [
            "http://169.254.169.254/token",
            "https://[fe80::1]/token",
            "https://[::ffff:169.254.169.254]/token",
            "https://[fd00:ec2::254]/token",
            "http://0.0.0.0:9090/token",
            "http://[::]:9090/token",
        ] {
            let error = checked(address, true).unwrap_err();
            assert!(
                error.contains("addresses of the link"),
                "{address}: {error}"
            );
        }
    }

    #[test]
    fn a_name_leads_neither_to_the_link_nor_to_loopback() {
        for (host, ip, may) in [
            ("login.example.com", "192.0.2.1", true),
            ("login.example.com", "10.1.2.3", true),
            ("login.example.com", "169.254.169.254", false),
            ("login.example.com", "127.0.0.1", false),
            ("login.example.com", "::1", false),
            ("login.example.com", "::ffff:127.0.0.1", false),
            ("localhost", "127.0.0.1", true),
            ("localhost", "169.254.169.254", false),
        ] {
            assert_eq!(may_stand_for(host, ip.parse().unwrap()), may, "{host} {ip}");
        }
    }
}
