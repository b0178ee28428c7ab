use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;

use super::*;

/// What a secret looks like in every form that it is sent in.
const SECRET: &str = "hunter2 &c.";

fn grant(address: &str) -> Grant {
    Grant {
        token_endpoint: address.to_owned(),
        client_id: "orders".to_owned(),
        client_secret: SECRET.to_owned(),
        scope: None,
        audience: None,
        extensions: Vec::new(),
        ca: None,
        allow_http: false,
    }
}

/// A server that says `answer` to everybody; its address, and what it was asked.
fn server(answer: impl Fn(&mut TcpStream) + Send + 'static) -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/token", listener.local_addr().unwrap());
    let (sender, asked) = mpsc::channel();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = [0; 4096];
            let read = stream.read(&mut request).unwrap_or(0);
            let _ = sender.send(String::from_utf8_lossy(&request[..read]).into_owned());
            answer(&mut stream);
        }
    });
    (address, asked)
}

/// Who hangs up while it is written to has heard enough.
fn says(text: String) -> impl Fn(&mut TcpStream) + Send + 'static {
    move |stream| _ = stream.write_all(text.as_bytes())
}

fn with_length(status: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
}

fn ask(grant: Grant, patience: Duration) -> Result<Token, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut endpoint = Endpoint::new(grant)?;
    endpoint.patience = patience;
    runtime.block_on(endpoint.token())
}

fn refused(answer: impl Fn(&mut TcpStream) + Send + 'static) -> String {
    let (address, _asked) = server(answer);
    let error = ask(grant(&address), Duration::from_secs(60)).unwrap_err();
    assert!(error.starts_with(&format!("token endpoint {address}: ")));
    error
}

#[test]
fn names_and_secrets_are_sent_as_forms_have_them() {
    assert_eq!(form_encoded("a b+c:d/é"), "a+b%2Bc%3Ad%2F%C3%A9");
    let given = with_length("200 OK", r#"{"access_token":"t","expires_in":60}"#);
    let (address, asked) = server(says(given));
    let wanted = Grant {
        scope: Some("read write".to_owned()),
        audience: Some("https://kafka".to_owned()),
        ..grant(&address)
    };
    let token = ask(wanted, Duration::from_secs(60)).unwrap();
    assert_eq!((token.value.as_str(), token.holds_for.as_secs()), ("t", 60));
    let asked = asked.recv().unwrap();
    let login = STANDARD.encode("orders:hunter2+%26c.");
    assert!(asked.starts_with("POST /token HTTP/1.1\r\n"), "{asked}");
    assert!(asked.contains(&format!("authorization: Basic {login}\r\n")));
    let form = "grant_type=client_credentials&scope=read+write&audience=https%3A%2F%2Fkafka";
    assert!(asked.ends_with(form), "{asked}");
}

#[test]
fn a_redirect_is_not_followed() {
    let (elsewhere, asked_elsewhere) = server(says(with_length("200 OK", "{}")));
    for status in ["302 Found", "307 Temporary Redirect"] {
        let away =
            format!("HTTP/1.1 {status}\r\nLocation: {elsewhere}\r\nContent-Length: 0\r\n\r\n");
        let error = refused(says(away));
        assert!(
            error.contains("a redirect, which is not followed"),
            "{error}"
        );
    }
    assert!(asked_elsewhere.try_recv().is_err());
}

#[test]
fn an_answer_has_a_size_and_a_time() {
    let large = "x".repeat(LARGEST + 1);
    let error = refused(says(with_length("200 OK", &large)));
    assert!(
        error.contains("its answer has more than 256 KiB"),
        "{error}"
    );
    // One that never ends is not read for ever, either.
    let error = refused(move |stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
        while stream.write_all(large.as_bytes()).is_ok() {}
    });
    assert!(
        error.contains("its answer has more than 256 KiB"),
        "{error}"
    );

    // Held open without a word.
    let held = std::sync::Mutex::new(Vec::new());
    let (address, _asked) = server(move |stream| {
        held.lock().unwrap().push(stream.try_clone());
    });
    let error = ask(grant(&address), Duration::from_millis(100)).unwrap_err();
    assert!(error.contains("it does not answer within 100ms"), "{error}");
}

#[test]
fn what_keeps_tokens_away_is_told_apart() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let nowhere = format!("http://{}/token", free.local_addr().unwrap());
    drop(free);
    let error = ask(grant(&nowhere), Duration::from_secs(60)).unwrap_err();
    assert!(error.contains("it cannot be reached: "), "{error}");
    assert!(error.contains("refused"), "{error}");

    let error = refused(says("SSH-2.0-OpenSSH\r\n\r\n".to_owned()));
    assert!(error.contains("no answer of HTTP comes from it"), "{error}");
    let cut = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{".to_owned();
    let error = refused(says(cut));
    assert!(error.contains("ends before it is complete"), "{error}");
    let error = refused(says(with_length("200 OK", "<html>")));
    assert!(error.contains("its answer is not JSON"), "{error}");

    let error = Endpoint::new(grant("http://login.example.com/token")).err();
    assert!(error.unwrap().contains("in the clear"));
    let error = Endpoint::new(grant("https://169.254.169.254/token")).err();
    assert!(error.unwrap().contains("addresses of the link"));
}

#[test]
fn another_spelling_of_loopback_or_link_does_not_lead_there() {
    let given = with_length("200 OK", r#"{"access_token":"t","expires_in":60}"#);
    let (address, asked) = server(says(given));
    // What looks up names takes all of these for addresses.
    for spelling in ["127.1", "2130706433", "0x7f000001"] {
        let spelled = Grant {
            allow_http: true,
            ..grant(&address.replace("127.0.0.1", spelling))
        };
        let error = ask(spelled, Duration::from_secs(60)).unwrap_err();
        assert!(
            error.contains("nothing but loopback or the link"),
            "{error}"
        );
    }
    assert!(asked.try_recv().is_err());
}

#[test]
fn an_endpoint_that_repeats_the_secret_does_not_make_us_tell_it() {
    let login = STANDARD.encode("orders:hunter2+%26c.");
    let body = format!(
        r#"{{"error":"invalid_client","error_description":"got {SECRET} as hunter2+%26c. in {login}"}}"#
    );
    let error = refused(says(with_length("401 Unauthorized", &body)));
    assert!(error.contains("invalid_client: got … as … in …"), "{error}");
}

#[test]
fn the_public_authorities_are_in_the_binary_and_others_are_read() {
    assert!(authorities(None).unwrap().len() > 50);
    let error = authorities(Some("nonsense")).unwrap_err();
    assert!(error.contains("there is none in PEM"), "{error}");
}
