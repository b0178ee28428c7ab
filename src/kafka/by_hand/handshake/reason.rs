//! From what rustls says of a handshake to what is the matter, and what to do about it.
//!
//! Pure: an error goes in, a sentence comes out. Nothing of keys or certificates is in it but dates and names, which
//! every client of the port is shown.

use jiff::Timestamp;
use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error};

/// Names of a certificate that are told; it may have hundreds.
const TOLD: usize = 5;

/// Why a broker and we do not come to an encrypted connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The time of its certificate is over, since then.
    Expired(Option<Timestamp>),
    /// The time of its certificate has not begun; it begins then.
    NotYetValid(Option<Timestamp>),
    /// None of the authorities that we believe has signed it.
    UnknownAuthority,
    /// One that bears the name of an authority of ours has signed it, with another key.
    OtherKey,
    /// It is for these names, and not for the one by which the broker is called.
    OtherName(Vec<String>),
    /// Its owner may be no server.
    NotForServers,
    /// The broker does not take our certificate, or wants one and is shown none.
    Refused(AlertDescription),
    /// What is there speaks Kafka, but not TLS.
    PlainKafka,
    /// What is there speaks something else.
    NoTls,
}

/// With whom the handshake was, and what we brought.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    /// The name or the address by which the broker was called.
    pub host: &'a str,
    /// Its port.
    pub port: u16,
    /// Its certificate has to be of authorities that a Secret names, not of the public ones.
    pub has_authorities: bool,
    /// We have a certificate to show.
    pub has_certificate: bool,
}

impl Reason {
    /// None where it is not told better than librdkafka tells it.
    pub fn of(error: &Error) -> Option<Self> {
        match error {
            Error::InvalidCertificate(error) => Self::of_certificate(error),
            // About a certificate a client hears only what its own is found to be.
            Error::AlertReceived(
                alert @ (AlertDescription::CertificateRequired
                | AlertDescription::BadCertificate
                | AlertDescription::UnsupportedCertificate
                | AlertDescription::CertificateRevoked
                | AlertDescription::CertificateExpired
                | AlertDescription::CertificateUnknown
                | AlertDescription::UnknownCA
                | AlertDescription::AccessDenied),
            ) => Some(Self::Refused(*alert)),
            Error::InvalidMessage(_) => Some(Self::NoTls),
            _ => None,
        }
    }

    fn of_certificate(error: &CertificateError) -> Option<Self> {
        Some(match error {
            CertificateError::Expired => Self::Expired(None),
            CertificateError::ExpiredContext { not_after, .. } => Self::Expired(time(*not_after)),
            CertificateError::NotValidYet => Self::NotYetValid(None),
            CertificateError::NotValidYetContext { not_before, .. } => {
                Self::NotYetValid(time(*not_before))
            }
            CertificateError::UnknownIssuer => Self::UnknownAuthority,
            CertificateError::BadSignature => Self::OtherKey,
            CertificateError::NotValidForName => Self::OtherName(Vec::new()),
            CertificateError::NotValidForNameContext { presented, .. } => {
                Self::OtherName(presented.iter().filter_map(|name| bare(name)).collect())
            }
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
                Self::NotForServers
            }
            _ => return None,
        })
    }

    /// What is the matter, and what to do.
    pub fn words(&self, attempt: &Attempt<'_>) -> String {
        let Attempt { host, port, .. } = attempt;
        let broker = if host.contains(':') {
            format!("[{host}]:{port}")
        } else {
            format!("{host}:{port}")
        };
        match self {
            Self::Expired(since) => format!(
                "the certificate of broker {broker} has expired{}; have it renewed there",
                at(" at ", *since)
            ),
            Self::NotYetValid(begins) => format!(
                "the certificate of broker {broker} is not valid yet{}; have the clocks there and here compared, or another one made",
                at(", only from ", *begins)
            ),
            Self::UnknownAuthority if attempt.has_authorities => format!(
                "the certificate of broker {broker} is of an authority that is not in spec.kafka.tls.caSecret; write its authority's certificate into that Secret"
            ),
            Self::UnknownAuthority => format!(
                "the certificate of broker {broker} is of no public authority; name its authority in spec.kafka.tls.caSecret"
            ),
            Self::OtherKey => format!(
                "the certificate of broker {broker} names an authority that is trusted, and that authority's key has not signed it; if the authority was made anew, write its new certificate into the Secret of spec.kafka.tls.caSecret"
            ),
            Self::OtherName(names) => format!(
                "the certificate of broker {broker} is for {}, not for {host}; call the broker by a name that is in it (spec.kafka.bootstrapServers, advertised.listeners at the broker), or have it made for {host} too",
                listed(names)
            ),
            Self::NotForServers => format!(
                "the certificate of broker {broker} may not be a server's; have one made there with the extended key usage serverAuth"
            ),
            Self::Refused(_) if !attempt.has_certificate => format!(
                "broker {broker} asks for a certificate of ours, and is shown none; name one in spec.kafka.tls.certSecret"
            ),
            Self::Refused(AlertDescription::CertificateExpired) => format!(
                "broker {broker} refuses our certificate, which has expired; renew it in the Secret of spec.kafka.tls.certSecret"
            ),
            Self::Refused(alert) => format!(
                "broker {broker} refuses our certificate ({alert:?}); write one that it trusts and that is still valid into the Secret of spec.kafka.tls.certSecret"
            ),
            Self::PlainKafka => format!(
                "broker {broker} speaks no TLS on this port; name a port with TLS in spec.kafka.bootstrapServers, or leave spec.kafka.tls out"
            ),
            Self::NoTls => format!(
                "what answers at {broker} speaks no TLS, nor Kafka; correct host and port in spec.kafka.bootstrapServers"
            ),
        }
    }
}

fn time(time: UnixTime) -> Option<Timestamp> {
    Timestamp::from_second(i64::try_from(time.as_secs()).ok()?).ok()
}

fn at(before: &str, time: Option<Timestamp>) -> String {
    time.map_or_else(String::new, |time| format!("{before}{time}"))
}

/// `kafka.example` of `DnsName("kafka.example")`, which is how webpki writes it; none for what is no host. Whoever has
/// made the certificate may have written anything.
fn bare(presented: &str) -> Option<String> {
    let named = |kind: &str, end: &str| presented.strip_prefix(kind)?.strip_suffix(end);
    let name = named("DnsName(\"", "\")").or_else(|| named("IpAddress(", ")"))?;
    let is_host = |letter: char| letter.is_ascii_alphanumeric() || ".-_*:".contains(letter);
    (!name.is_empty() && name.len() < 256 && name.chars().all(is_host)).then(|| name.to_owned())
}

fn listed(names: &[String]) -> String {
    let told = names.iter().take(TOLD).map(String::as_str);
    let told = told.collect::<Vec<_>>().join(", ");
    match names.len() {
        0 => "no host".to_owned(),
        all if all > TOLD => format!("{told} and {} others", all - TOLD),
        _ => told,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustls::pki_types::ServerName;

    use super::*;

    const ATTEMPT: Attempt<'_> = Attempt {
        host: "kafka",
        port: 9093,
        has_authorities: true,
        has_certificate: true,
    };

    fn unix(secs: u64) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(secs))
    }

    fn words(error: impl Into<Error>) -> String {
        let reason = Reason::of(&error.into()).expect("a reason");
        reason.words(&ATTEMPT)
    }

    fn for_names(presented: &[&str]) -> CertificateError {
        CertificateError::NotValidForNameContext {
            expected: ServerName::try_from("kafka").unwrap(),
            presented: presented.iter().map(|&name| name.to_owned()).collect(),
        }
    }

    #[test]
    fn what_is_wrong_with_a_brokers_certificate_is_told_apart_with_dates_and_names() {
        let expired = CertificateError::ExpiredContext {
            time: unix(1_800_000_000),
            not_after: unix(1_767_323_045),
        };
        let early = CertificateError::NotValidYetContext {
            time: unix(1),
            not_before: unix(1_767_323_045),
        };
        let renamed = for_names(&["DnsName(\"*.example.com\")", "IpAddress(10.0.0.1)"]);
        for (error, expected) in [
            (
                expired,
                "the certificate of broker kafka:9093 has expired at 2026-01-02T03:04:05Z; have it renewed there",
            ),
            (
                early,
                "is not valid yet, only from 2026-01-02T03:04:05Z; have the clocks",
            ),
            (
                CertificateError::UnknownIssuer,
                "is of an authority that is not in spec.kafka.tls.caSecret",
            ),
            (CertificateError::BadSignature, "key has not signed it"),
            (renamed, "is for *.example.com, 10.0.0.1, not for kafka;"),
            (
                CertificateError::InvalidPurpose,
                "may not be a server's; have one made",
            ),
        ] {
            let words = words(error);
            assert!(words.contains(expected), "{words}");
        }
    }

    #[test]
    fn without_authorities_of_ours_the_remedy_is_to_name_one() {
        let public = Attempt {
            has_authorities: false,
            ..ATTEMPT
        };
        let words = Reason::UnknownAuthority.words(&public);
        assert!(
            words.ends_with(
                "is of no public authority; name its authority in spec.kafka.tls.caSecret"
            ),
            "{words}"
        );
    }

    #[test]
    fn a_certificate_of_ours_that_is_refused_is_told_from_one_that_is_missing() {
        let refused = |alert| words(Error::AlertReceived(alert));
        let expired = refused(AlertDescription::CertificateExpired);
        assert!(
            expired.contains("our certificate, which has expired"),
            "{expired}"
        );
        let unknown = refused(AlertDescription::UnknownCA);
        assert!(unknown.contains("our certificate (UnknownCA)"), "{unknown}");
        let without = Attempt {
            has_certificate: false,
            ..ATTEMPT
        };
        let wanted = Reason::Refused(AlertDescription::BadCertificate).words(&without);
        assert!(
            wanted.contains("asks for a certificate of ours"),
            "{wanted}"
        );
    }

    #[test]
    fn what_is_no_matter_of_certificates_is_left_to_librdkafka() {
        for alert in [
            AlertDescription::HandshakeFailure,
            AlertDescription::ProtocolVersion,
            AlertDescription::InternalError,
        ] {
            assert_eq!(Reason::of(&Error::AlertReceived(alert)), None);
        }
        assert_eq!(Reason::of(&Error::DecryptError), None);
        let other = CertificateError::ApplicationVerificationFailure;
        assert_eq!(Reason::of(&other.into()), None);
    }

    #[test]
    fn of_many_names_a_few_are_told_and_of_odd_ones_none() {
        let many: Vec<_> = (0..9).map(|n| format!("DnsName(\"b{n}\")")).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        let told = words(for_names(&many));
        assert!(
            told.contains("b0, b1, b2, b3, b4 and 4 others, not"),
            "{told}"
        );
        let odd = [
            "DnsName(\"a\nb\")",
            "UniformResourceIdentifier(\"x\")",
            "DirectoryName",
        ];
        let told = words(for_names(&odd));
        assert!(told.contains("is for no host, not for kafka"), "{told}");
    }

    #[test]
    fn an_address_of_the_sixth_version_has_its_brackets() {
        let attempt = Attempt {
            host: "::1",
            ..ATTEMPT
        };
        assert!(
            Reason::PlainKafka
                .words(&attempt)
                .starts_with("broker [::1]:9093 ")
        );
    }
}
