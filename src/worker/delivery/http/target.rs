//! Where the handler is.

use http::{HeaderValue, Uri};

/// Where requests go, taken apart once.
#[derive(Clone, Debug)]
pub struct Target {
    /// Of the handler.
    pub host: String,
    /// Of the handler.
    pub port: u16,
    /// With the query.
    pub path: Uri,
    /// For the header `Host`.
    pub authority: HeaderValue,
}

impl Target {
    /// Takes a handler's URL apart; the error says what is wrong with it.
    pub fn parse(url: &str) -> Result<Self, String> {
        let wrong = |what: &str| format!("handler URL {url:?}: {what}");
        let uri: Uri = url.parse().map_err(|error| wrong(&format!("{error}")))?;
        if uri.scheme_str() != Some("http") {
            return Err(wrong("must begin with http://"));
        }
        let authority = uri.authority().ok_or_else(|| wrong("names no host"))?;
        if authority.as_str().contains('@') {
            return Err(wrong("must not carry a user or password"));
        }
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        Ok(Self {
            // An IPv6 address stands in brackets in a URL, and without them elsewhere.
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port: authority.port_u16().unwrap_or(80),
            path: path.parse().map_err(|error| wrong(&format!("{error}")))?,
            authority: HeaderValue::from_str(authority.as_str())
                .map_err(|error| wrong(&format!("{error}")))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_that_cannot_be_posted_to_is_refused_with_the_reason() {
        for (url, what) in [
            ("https://users/kafka", "must begin with http://"),
            ("users:3000", "must begin with http://"),
            ("http://me:secret@users/", "must not carry a user"),
        ] {
            let error = Target::parse(url).unwrap_err();
            assert!(error.contains(what), "{error}");
        }
        let address = Target::parse("http://[::1]:8080").unwrap();
        assert_eq!((address.host.as_str(), address.port), ("::1", 8080));
    }
}
