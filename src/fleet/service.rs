//! The Service that a URL names, as the names of a cluster are made.

use core::net::IpAddr;

/// A Service of the cluster.
#[derive(Debug, PartialEq, Eq)]
pub struct Service<'a> {
    /// Its name.
    pub name: &'a str,
    /// Where it is.
    pub namespace: &'a str,
}

impl<'a> Service<'a> {
    /// As the names of a cluster are made: NAME, NAME.NAMESPACE or NAME.NAMESPACE.svc and the cluster's domain. A name of two
    /// parts may be one of elsewhere, such as example.com, and is taken for a Service all the same.
    pub fn of(host: &'a str, own: &'a str) -> Option<Self> {
        if host.parse::<IpAddr>().is_ok() || host == "localhost" {
            return None;
        }
        let mut parts = host.trim_end_matches('.').split('.');
        let name = parts.next().filter(|name| !name.is_empty())?;
        let namespace = parts.next();
        match parts.next() {
            None | Some("svc") => Some(Self {
                name,
                namespace: namespace.unwrap_or(own),
            }),
            Some(_) => None,
        }
    }
}

/// The host of a URL that was checked.
pub fn host(url: &str) -> Option<&str> {
    let authority = authority(url)?;
    if let Some(inside) = authority.strip_prefix('[') {
        return inside.split(']').next();
    }
    authority.split(':').next()
}

/// The port of a URL that was checked: the one that it names, else its scheme's.
pub fn port(url: &str) -> Option<u16> {
    let behind = authority(url)?.rsplit(']').next()?;
    match behind.rsplit_once(':') {
        Some((_, port)) => port.parse().ok(),
        None if url.starts_with("https://") => Some(443),
        None => Some(80),
    }
}

/// Host and port of a URL that was checked, as it has them.
pub fn authority(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    rest.split(['/', '?', '#']).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_of_a_url_is_named_as_the_cluster_names_it() {
        let service = |name, namespace| Some(Service { name, namespace });
        for (url, named, at) in [
            ("http://users", service("users", "shop"), 80),
            ("https://users", service("users", "shop"), 443),
            ("http://users:8080/kafka", service("users", "shop"), 8080),
            ("http://users.crm/kafka?a=b:1", service("users", "crm"), 80),
            ("https://users.crm.svc", service("users", "crm"), 443),
            (
                "http://users.crm.svc.cluster.local.:80/",
                service("users", "crm"),
                80,
            ),
            ("http://hooks.example.com/kafka", None, 80),
            ("http://10.0.0.7:3000/kafka", None, 3000),
            ("http://[fd00::7]:3000/kafka", None, 3000),
            ("http://[fd00::7]/kafka", None, 80),
            ("http://localhost:3000", None, 3000),
        ] {
            let found = host(url).and_then(|host| Service::of(host, "shop"));
            assert_eq!(found, named, "{url}");
            assert_eq!(port(url), Some(at), "{url}");
        }
    }
}
