use super::*;

fn place() -> Place {
    Place {
        topic: "orders".to_owned(),
        partition: 2,
        offset: 7,
    }
}

#[test]
fn a_value_is_short_and_nothing_that_a_terminal_obeys() {
    let value = format!("\u{1b}[31mred\n{}", "x".repeat(200));
    let record = News::Record {
        place: place(),
        attempt: 1,
        content: Some(Content {
            key: Some("k\r".to_owned()),
            bytes: Some(value.len()),
            value: Some(value),
            ..Content::default()
        }),
    };
    let text = record.text();
    assert!(
        text.starts_with(r"orders/2@7  key k\r  \u{1b}[31mred\nxx"),
        "{text}"
    );
    assert!(text.ends_with("x…") && text.len() < 200, "{text}");
}

#[test]
fn of_a_long_key_the_beginning_is_shown_and_how_long_it_is() {
    let line = |key: String, bytes| {
        let content = Content {
            key: Some(key),
            key_bytes: Some(bytes),
            value: Some("v".to_owned()),
            bytes: Some(1),
            ..Content::default()
        };
        News::Record {
            place: place(),
            attempt: 1,
            content: Some(content),
        }
        .text()
    };
    let begin = "k".repeat(100);
    assert_eq!(
        line("k".repeat(1 << 20), 1 << 20),
        format!("orders/2@7  key {begin}… (1048576 bytes)  v")
    );
    assert_eq!(
        line(begin.clone(), 100),
        format!("orders/2@7  key {begin}  v")
    );
}

#[test]
fn no_value_is_not_an_empty_one() {
    let line = |value: Option<&str>, bytes| {
        let content = Content {
            value: value.map(str::to_owned),
            bytes,
            ..Content::default()
        };
        News::Record {
            place: place(),
            attempt: 1,
            content: Some(content),
        }
        .text()
    };
    assert_eq!(line(None, None), "orders/2@7  tombstone");
    assert_eq!(line(Some(""), Some(0)), "orders/2@7  ");
    assert_eq!(line(None, Some(3)), "orders/2@7  3 bytes");
}

#[test]
fn the_last_attempt_is_said_to_be_the_last() {
    let answer = |attempt| {
        News::Answer {
            place: place(),
            attempt,
            attempts: 2,
            outcome: "retry",
            took_ms: 3,
            again_in_ms: None,
            failure: Some(Failed {
                class: "HttpStatus",
                status: Some(500),
                message: "the handler answered 500".to_owned(),
            }),
        }
        .text()
    };
    assert_eq!(
        answer(1),
        "orders/2@7  failed, is tried again (3 ms, attempt 1 of 2): HttpStatus: the handler answered 500"
    );
    assert!(answer(2).contains("failed for the last time"));
}

#[test]
fn what_waits_says_for_how_long() {
    let answer = |outcome, again_in_ms| {
        News::Answer {
            place: place(),
            attempt: 1,
            attempts: 5,
            outcome,
            took_ms: 3,
            again_in_ms,
            failure: Some(Failed {
                class: "HttpStatus",
                status: Some(503),
                message: "why".to_owned(),
            }),
        }
        .text()
    };
    for (outcome, wait, words) in [
        ("slowDown", 3_599_900, "asks for less, again in 1h (3 ms): "),
        ("slowDown", 400, "asks for less, again in 400ms (3 ms): "),
        (
            "retry",
            1_234,
            "failed, is tried again in 1s (3 ms, attempt 1 of 5): ",
        ),
    ] {
        let text = answer(outcome, Some(wait));
        assert!(text.contains(words), "{text}");
    }
}

#[test]
fn a_stall_that_costs_no_attempt_counts_none() {
    let stalled = |attempts| {
        News::Stalled {
            place: place(),
            attempts,
            failure: Failed {
                class: "Redirect",
                status: Some(302),
                message: "why".to_owned(),
            },
        }
        .text()
    };
    assert!(stalled(0).contains("STALLED, which costs it no attempt; "));
    assert!(stalled(2).contains("STALLED, after 2 attempts; "));
}

#[test]
fn an_open_breaker_is_told_by_its_name_with_its_cause_and_that_all_others_wait() {
    let open = News::Breaker {
        open: true,
        why: Some(Broken {
            bad: 49,
            of: 60,
            failure: Failed {
                class: "HttpStatus",
                status: Some(400),
                message: "400 Bad Request".to_owned(),
            },
        }),
    };
    let text = open.text();
    for part in [
        "the breaker is open: ",
        "(49 of 60, the last with HttpStatus: 400 Bad Request)",
        "those not tried yet wait as well",
    ] {
        assert!(text.contains(part), "{text}");
    }
    let json = serde_json::to_value(&open).unwrap();
    assert_eq!(json["event"], "breaker");
    assert_eq!(
        (json["open"].clone(), json["of"].clone()),
        (true.into(), 60.into())
    );
    assert_eq!(json["class"], "HttpStatus");
    let closed = News::Breaker {
        open: false,
        why: None,
    };
    assert!(closed.text().starts_with("the breaker is closed: "));
    let json = serde_json::to_value(&closed).unwrap();
    assert_eq!(
        json,
        serde_json::json!({ "event": "breaker", "open": false })
    );
}

#[test]
fn a_handler_that_is_not_there_does_not_ask_for_less() {
    let waits = |class| {
        News::Answer {
            place: place(),
            attempt: 1,
            attempts: 5,
            outcome: "slowDown",
            took_ms: 3,
            again_in_ms: None,
            failure: Some(Failed {
                class,
                status: None,
                message: "why".to_owned(),
            }),
        }
        .text()
    };
    assert_eq!(
        waits("Connect"),
        "orders/2@7  waits: the handler cannot be reached (3 ms): Connect: why"
    );
    assert!(waits("Start").contains("the command does not run"));
    assert!(waits("HttpStatus").contains("the handler asks for less"));
}

fn begins(encrypts: Option<Encrypts>) -> String {
    let begins = News::Begins {
        consumer: "shop/orders".to_owned(),
        brokers: "127.0.0.1:4012".to_owned(),
        embedded: true,
        topics: vec!["orders".to_owned()],
        group: "orders.dev.ann".to_owned(),
        handler: "http://localhost:3000/".to_owned(),
        dead_letters: None,
        encrypts,
    };
    begins.text()
}

#[test]
fn what_feeds_a_fleet_of_encrypted_records_encrypts() {
    let feed = "--topic orders --key k '{\"id\":1}'";
    assert!(begins(None).ends_with(feed), "{}", begins(None));
    let how = |file: &str| Encrypts {
        file: file.to_owned(),
        ..Encrypts::default()
    };
    let encrypted = begins(Some(how("shop.yaml")));
    let feed = "--topic orders --key k --encrypt-for shop.yaml '{\"id\":1}'";
    assert!(encrypted.ends_with(feed), "{encrypted}");
    let elsewhere = begins(Some(Encrypts {
        secrets: vec!["ann's keys.yaml".to_owned()],
        pointer: Some("/a~1b/payload".to_owned()),
        ..how("shop.yaml")
    }));
    let feed =
        r#" --encrypt-for shop.yaml --secrets 'ann'\''s keys.yaml' '{"a/b":{"payload":{"id":1}}}'"#;
    assert!(elsewhere.ends_with(feed), "{elsewhere}");
}
