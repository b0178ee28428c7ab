//! What OpenTelemetry's environment variables say about where spans go and how.
//!
//! Names and defaults are those of its specification ("OpenTelemetry Environment Variable Specification",
//! "OpenTelemetry Protocol Exporter"). Endpoint, headers and compression are read again by the exporter,
//! sampler and limits by the SDK; here is what they do not look at, and what would go wrong in silence.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use http::Uri;

/// Where spans go and how.
#[derive(Debug, PartialEq)]
pub(super) struct Settings {
    /// For people: scheme, host and port.
    pub collector: String,
    /// It is spoken to over TLS.
    pub tls: bool,
    /// A file with the certificates by which the collector is known; none for the system's.
    pub certificate: Option<PathBuf>,
    /// For one request.
    pub timeout: Duration,
    /// Spans in the queue at most.
    pub queue: usize,
    /// Spans in a request at most.
    pub batch: usize,
    /// The longest that a span waits for others.
    pub delay: Duration,
}

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
const ONLY_PROTOCOL: &str = "http/protobuf";

impl Settings {
    /// None where no spans are wanted; the error names a variable and what to do about it.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, String> {
        // A variable that is empty is one that is not set.
        let variable = |name: &str| {
            let value = variable(name)?.trim().to_owned();
            (!value.is_empty()).then_some(value)
        };
        let of_traces = |what: &str| {
            [
                format!("OTEL_EXPORTER_OTLP_TRACES_{what}"),
                format!("OTEL_EXPORTER_OTLP_{what}"),
            ]
            .into_iter()
            .find_map(|name| variable(&name).map(|value| (name, value)))
        };
        let Some((name, endpoint)) = of_traces("ENDPOINT") else {
            return Ok(None);
        };
        let is_off = variable("OTEL_SDK_DISABLED").is_some_and(|v| v.eq_ignore_ascii_case("true"));
        if is_off || variable("OTEL_TRACES_EXPORTER").is_some_and(|exporter| exporter == "none") {
            return Ok(None);
        }
        if let Some((name, protocol)) = of_traces("PROTOCOL")
            && protocol != ONLY_PROTOCOL
        {
            return Err(format!(
                "{name} is {protocol}; the worker speaks {ONLY_PROTOCOL} only: set that, and in {name_of_endpoint} the collector's port for it, usually 4318",
                name_of_endpoint = if variable(TRACES_ENDPOINT).is_some() {
                    TRACES_ENDPOINT
                } else {
                    ENDPOINT
                },
            ));
        }
        let (collector, tls) = collector(&name, &endpoint)?;
        let timeout = of_traces("TIMEOUT").map(|(_, millis)| millis);
        let batch = number(variable("OTEL_BSP_MAX_EXPORT_BATCH_SIZE"), 512);
        Ok(Some(Self {
            collector,
            tls,
            certificate: of_traces("CERTIFICATE").map(|(_, file)| file.into()),
            timeout: Duration::from_millis(number(timeout, 10_000)),
            queue: number(variable("OTEL_BSP_MAX_QUEUE_SIZE"), 2048).max(batch),
            batch,
            delay: Duration::from_millis(number(variable("OTEL_BSP_SCHEDULE_DELAY"), 5_000)),
        }))
    }
}

/// What is no number, or none that makes sense, stands for the default, as the specification has it.
fn number<T: FromStr + PartialOrd + From<u8>>(text: Option<String>, default: T) -> T {
    let number = text.and_then(|text| text.parse().ok());
    number.filter(|n| *n >= T::from(1)).unwrap_or(default)
}

/// Scheme, host and port: the rest of a URL may hold secrets.
fn collector(name: &str, endpoint: &str) -> Result<(String, bool), String> {
    let uri: Option<Uri> = endpoint.parse().ok();
    let parts = uri.as_ref().and_then(|uri| {
        let scheme = uri.scheme_str().filter(|s| ["http", "https"].contains(s))?;
        Some((scheme, uri.host()?, uri.port_u16()))
    });
    let Some((scheme, host, port)) = parts else {
        return Err(format!(
            "{name} is no URL with http:// or https://; write one such as http://collector:4318"
        ));
    };
    let port = port.map_or(String::new(), |port| format!(":{port}"));
    Ok((format!("{scheme}://{host}{port}"), scheme == "https"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Option<Settings>, String> {
        Settings::read(|name| {
            let found = variables.iter().find(|(n, _)| *n == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn nothing_is_exported_unless_there_is_somewhere_to_export_to() {
        let endpoint = (ENDPOINT, "http://collector:4318");
        for variables in [
            &[][..],
            &[("OTEL_SERVICE_NAME", "orders")],
            &[(ENDPOINT, " ")],
            &[endpoint, ("OTEL_SDK_DISABLED", "True")],
            &[endpoint, ("OTEL_TRACES_EXPORTER", "none")],
        ] {
            assert_eq!(read(variables), Ok(None), "{variables:?}");
        }
    }

    #[test]
    fn what_is_not_said_is_as_the_specification_has_it() {
        let settings = read(&[(ENDPOINT, "http://collector:4318")]);
        let expected = Settings {
            collector: "http://collector:4318".to_owned(),
            tls: false,
            certificate: None,
            timeout: Duration::from_secs(10),
            queue: 2048,
            batch: 512,
            delay: Duration::from_secs(5),
        };
        assert_eq!(settings, Ok(Some(expected)));
    }

    #[test]
    fn what_is_said_of_traces_counts_before_what_is_said_of_all() {
        let settings = read(&[
            (ENDPOINT, "http://all:4318"),
            (
                TRACES_ENDPOINT,
                "https://me:secret@traces/v1/traces?token=x",
            ),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "1"),
            ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "2500"),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/etc/ca.pem"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "10"),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "20"),
            ("OTEL_BSP_SCHEDULE_DELAY", "soon"),
        ]);
        let expected = Settings {
            // Without what may be secret.
            collector: "https://traces".to_owned(),
            tls: true,
            certificate: Some("/etc/ca.pem".into()),
            timeout: Duration::from_millis(2500),
            queue: 20,
            batch: 20,
            delay: Duration::from_secs(5),
        };
        assert_eq!(settings, Ok(Some(expected)));
    }

    #[test]
    fn what_cannot_work_is_told_with_the_variable_and_the_remedy() {
        let endpoint = (ENDPOINT, "http://collector:4317");
        for (variables, parts) in [
            (
                &[endpoint, ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")][..],
                &[
                    "OTEL_EXPORTER_OTLP_PROTOCOL is grpc",
                    "http/protobuf",
                    ENDPOINT,
                    "4318",
                ][..],
            ),
            (
                &[(TRACES_ENDPOINT, "collector:4318")],
                &[TRACES_ENDPOINT, "http://"],
            ),
        ] {
            let error = read(variables).unwrap_err();
            for part in parts {
                assert!(error.contains(part), "{error}");
            }
        }
    }
}
