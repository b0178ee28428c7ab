//! What a token endpoint answers (RFC 6749, sections 5.1 and 5.2). Pure.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

/// How long a token is taken to hold where nobody says it.
const UNTOLD: Duration = Duration::from_secs(300);
/// Longer than any token that is worth the name.
const FAR: Duration = Duration::from_secs(30 * 86_400);
/// Words of others are cut to so many characters.
const WORDS: usize = 200;

/// The errors that token endpoints have (RFC 6749, section 5.2; RFC 8707 for the last but two), and what to do. An
/// answer with any other may be of something that is no token endpoint: its words are nobody's business here.
const ERRORS: [(&str, &str); 10] = [
    ("invalid_client", "check clientId and clientSecret"),
    (
        "unauthorized_client",
        "allow the client to get tokens by client credentials",
    ),
    (
        "unsupported_grant_type",
        "it must give tokens by client credentials",
    ),
    ("invalid_scope", "check scope"),
    ("invalid_request", "check scope and audience"),
    ("invalid_grant", "check clientId and clientSecret"),
    ("access_denied", "check what the client may have"),
    ("invalid_target", "check audience"),
    ("server_error", "it is asked again"),
    ("temporarily_unavailable", "it is asked again"),
];

/// A token, for as long as it holds. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// As brokers are given it.
    pub value: String,
    /// For so long from when it was asked for.
    pub holds_for: Duration,
}

#[derive(Deserialize, Default)]
struct Refused {
    #[serde(default)]
    error: String,
    #[serde(default)]
    error_description: String,
}

#[derive(Deserialize)]
struct Claims {
    exp: f64,
}

impl Token {
    /// Reads an answer.
    ///
    /// # Errors
    /// In words; of the answer only what a token endpoint says of an error of its own.
    pub fn read(status: StatusCode, body: &[u8], now: Timestamp) -> Result<Self, String> {
        if !status.is_success() {
            return Err(refusal(status, body));
        }
        let answer: Value = serde_json::from_slice(body)
            .map_err(|_| "its answer is not JSON; is that where tokens are given?".to_owned())?;
        let value = answer.get("access_token").and_then(Value::as_str);
        let Some(value) = value.filter(|value| !value.is_empty()) else {
            return Err(
                "its answer has no access_token; is that where tokens are given?".to_owned(),
            );
        };
        if !value.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("its access_token has characters that no token has".to_owned());
        }
        let told = answer.get("expires_in").and_then(seconds);
        let holds_for = told.or_else(|| claimed(value, now)).unwrap_or(UNTOLD);
        if holds_for.is_zero() {
            return Err(
                "the token that it gives has expired already; are its clock and ours right?"
                    .to_owned(),
            );
        }
        Ok(Self {
            value: value.to_owned(),
            holds_for,
        })
    }
}

fn refusal(status: StatusCode, body: &[u8]) -> String {
    let mut words = format!("it answers {}", status.as_u16());
    if status.is_redirection() {
        words.push_str(", a redirect, which is not followed; write the address that gives tokens");
        return words;
    }
    let said: Refused = serde_json::from_slice(body).unwrap_or_default();
    let Some((error, remedy)) = ERRORS.iter().find(|(error, _)| *error == said.error) else {
        return words;
    };
    words.push_str(": ");
    words.push_str(error);
    let description = printable(&said.error_description);
    if !description.is_empty() {
        words.push_str(": ");
        words.push_str(&description);
    }
    words.push_str("; ");
    words.push_str(remedy);
    words
}

/// Some servers write the number as a text.
fn seconds(value: &Value) -> Option<Duration> {
    let seconds = match value {
        Value::String(text) => text.parse().ok()?,
        other => other.as_f64()?,
    };
    Some(bounded(seconds))
}

/// What a JSON Web Token says itself; any other form says nothing.
fn claimed(token: &str, now: Timestamp) -> Option<Duration> {
    let claims = token.split('.').nth(1)?;
    let claims = URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok()?;
    let claims: Claims = serde_json::from_slice(&claims).ok()?;
    Some(bounded(claims.exp - now.as_millisecond() as f64 / 1000.0))
}

fn bounded(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds.max(0.0).min(FAR.as_secs_f64()))
}

fn printable(text: &str) -> String {
    let visible = text.chars().filter(|char| !char.is_control());
    visible.take(WORDS).collect::<String>().trim().to_owned()
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("holds_for", &self.holds_for)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap()
    }

    fn read(body: &str) -> Result<Token, String> {
        Token::read(StatusCode::OK, body.as_bytes(), now())
    }

    #[test]
    fn a_token_holds_as_long_as_it_is_said_to() {
        let claims = URL_SAFE_NO_PAD.encode(r#"{"sub":"orders","exp":1800000060}"#);
        for (body, holds) in [
            (r#"{"access_token":"a","expires_in":30}"#.to_owned(), 30),
            (r#"{"access_token":"a","expires_in":"30"}"#.to_owned(), 30),
            (format!(r#"{{"access_token":"e.{claims}."}}"#), 60),
            (r#"{"access_token":"opaque"}"#.to_owned(), 300),
            (
                r#"{"access_token":"a","expires_in":1e300}"#.to_owned(),
                30 * 86_400,
            ),
        ] {
            let token = read(&body).unwrap();
            assert_eq!(token.holds_for.as_secs(), holds, "{body}");
        }
    }

    #[test]
    fn what_is_no_token_is_told_apart_and_never_shown() {
        let claims = URL_SAFE_NO_PAD.encode(r#"{"exp":1700000000}"#);
        let token = |rest: &str| format!(r#"{{"access_token":"hunter2{rest}}}"#);
        for (body, words) in [
            ("<html>hunter2".to_owned(), "is not JSON"),
            (r#""hunter2""#.to_owned(), "no access_token"),
            (r#"{"token":"hunter2"}"#.to_owned(), "no access_token"),
            (
                r#"{"access_token":["hunter2"]}"#.to_owned(),
                "no access_token",
            ),
            (r#"{"access_token":""}"#.to_owned(), "no access_token"),
            (token(" x\""), "characters that no token has"),
            (token(r#"","expires_in":0"#), "expired already"),
            (token(r#"","expires_in":-1"#), "expired already"),
            (token(&format!(r#".{claims}.""#)), "expired already"),
        ] {
            let error = read(&body).unwrap_err();
            let shown = error.contains("hunter2");
            assert!(error.contains(words) && !shown, "{body}: {error}");
        }
        let token = read(r#"{"access_token":"hunter2"}"#).unwrap();
        assert!(!format!("{token:?}").contains("hunter2"));
    }

    #[test]
    fn a_refusal_is_told_in_the_endpoints_words() {
        let said = br#"{"error":"invalid_client","error_description":"no such\u0007 client"}"#;
        let error = Token::read(StatusCode::UNAUTHORIZED, said, now()).unwrap_err();
        assert_eq!(
            error,
            "it answers 401: invalid_client: no such client; check clientId and clientSecret"
        );
        let error = Token::read(StatusCode::BAD_GATEWAY, b"<html>", now()).unwrap_err();
        assert_eq!(error, "it answers 502");
        let error = Token::read(StatusCode::FOUND, b"", now()).unwrap_err();
        assert!(
            error.contains("a redirect, which is not followed"),
            "{error}"
        );
    }

    #[test]
    fn of_something_that_is_no_token_endpoint_only_the_status_is_told() {
        for body in [
            r#"{"error":"root password is hunter2"}"#,
            r#"{"error":"other","error_description":"hunter2"}"#,
            r#"{"error":{"invalid_client":"hunter2"},"message":"hunter2"}"#,
        ] {
            let error = Token::read(StatusCode::NOT_FOUND, body.as_bytes(), now());
            assert_eq!(error.unwrap_err(), "it answers 404", "{body}");
        }
    }
}
