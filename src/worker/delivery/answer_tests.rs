use super::*;
use crate::topic::Offset;

fn answer(status: u16, headers: &[(&'static str, &str)]) -> Verdict {
    let headers = headers
        .iter()
        .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()))
        .collect();
    let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    verdict(StatusCode::from_u16(status).unwrap(), &headers, "", || now)
}

fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Done => "done",
        Verdict::Skip => "skip",
        Verdict::Retry(_) => "retry",
        Verdict::Reject(_) => "reject",
        Verdict::SlowDown { .. } => "slow-down",
        Verdict::Misconfigured(_) => "misconfigured",
        Verdict::Duplicate => "duplicate",
        Verdict::Postponed { .. } => "postponed",
        Verdict::Undeliverable { .. } | Verdict::NotYet(_) => "not given to a handler",
        Verdict::Cancelled => "cancelled",
    }
}

#[test]
fn each_status_means_what_the_reference_says() {
    let of = |statuses: &[u16], meaning| {
        let pairs = statuses.iter().map(|status| (*status, meaning));
        pairs.collect::<Vec<(u16, &str)>>()
    };
    for (status, meaning) in [
        of(&[200, 201, 202, 203, 204, 205, 206, 226, 299], "done"),
        of(&[300, 301, 302, 303, 304, 307, 308, 399], "misconfigured"),
        // 431: headers that are too large for it.
        of(
            &[400, 401, 403, 404, 405, 409, 410, 413, 414, 415],
            "reject",
        ),
        of(&[421, 422, 425, 426, 431, 451, 499], "reject"),
        of(&[408], "retry"),
        of(&[429, 503], "slow-down"),
        of(&[500, 501, 502, 504, 505, 507, 511, 599], "retry"),
        // No class of status.
        of(&[600, 799, 999], "retry"),
    ]
    .concat()
    {
        assert_eq!(word(&answer(status, &[])), meaning, "{status}");
    }
}

#[test]
fn a_redirect_says_where_it_leads_and_one_that_leads_nowhere_what_to_look_at() {
    let message = |status: u16, location: Option<&'static str>| {
        let headers: Vec<_> = location.iter().map(|to| ("location", *to)).collect();
        match answer(status, &headers) {
            Verdict::Misconfigured(failure) => failure.message,
            verdict => panic!("{}", word(&verdict)),
        }
    };
    let to = message(302, Some("https://shop/login?state=secret#a"));
    assert!(to.contains("302 to https://shop/login; "), "{to}");
    assert!(
        to.ends_with("set the handler's URL to where it leads"),
        "{to}"
    );
    let long = "/a-rather-long-path/of-sixty-characters/and-many-more-of-them/of-no-use";
    assert!(message(308, Some(long)).ends_with("to where it leads"));
    for nowhere in [None, Some(""), Some("https://me:secret@shop/")] {
        let text = message(301, nowhere);
        assert!(text.contains("301 and not where to"), "{text}");
        assert!(!text.contains("secret"), "{text}");
    }
    let cached = message(304, None);
    for part in ["304", "a cache", "2xx"] {
        assert!(cached.contains(part), "{cached}");
    }
    assert!(!cached.contains("where it leads"), "{cached}");
}

#[test]
fn drover_result_overrides_the_status() {
    for (result, meaning) in [
        ("done", "done"),
        ("Skip", "skip"),
        ("retry", "retry"),
        ("reject", "reject"),
        ("slow-down", "slow-down"),
        ("dnoe", "misconfigured"),
    ] {
        for status in [200, 404, 500] {
            assert_eq!(
                word(&answer(status, &[(RESULT.as_str(), result)])),
                meaning,
                "{result}"
            );
        }
    }
}

#[test]
fn results_that_contradict_each_other_are_none() {
    for (results, meaning) in [
        (&["skip", "Skip "][..], "skip"),
        (&["skip,skip"], "skip"),
        (&["done", "retry"], "misconfigured"),
        (&["done, retry"], "misconfigured"),
        (&["done", ""], "misconfigured"),
        (&[""], "misconfigured"),
    ] {
        let said: Vec<_> = results
            .iter()
            .map(|said| (RESULT.as_str(), *said))
            .collect();
        assert_eq!(word(&answer(200, &said)), meaning, "{results:?}");
    }
}

#[test]
fn a_body_that_is_encoded_is_not_taken_for_text() {
    let gzip = |status: u16| Answer {
        status: StatusCode::from_u16(status).unwrap(),
        headers: [(CONTENT_ENCODING, "gzip".parse().unwrap())]
            .into_iter()
            .collect(),
        body: vec![0x1f, 0x8b, 8, 0],
        whole: true,
    };
    let Verdict::Reject(failure) = gzip(422).verdict() else {
        panic!("422 rejects");
    };
    assert!(
        failure
            .message
            .ends_with(": (a body in Content-Encoding gzip)")
    );
    let verdicts = gzip(200).verdicts(&[&record(0), &record(1)]);
    let Verdict::Misconfigured(failure) = &verdicts[1] else {
        panic!("{verdicts:?}");
    };
    assert!(
        failure.message.contains("Content-Encoding gzip"),
        "{failure:?}"
    );
    let mut plain = gzip(422);
    plain.body = b"no such user".to_vec();
    for coding in ["", "identity", "Identity, "] {
        let coding = coding.parse().unwrap();
        plain.headers.insert(CONTENT_ENCODING, coding);
        let Verdict::Reject(failure) = plain.verdict() else {
            panic!("422 rejects");
        };
        assert!(failure.message.ends_with("no such user"), "{failure:?}");
    }
    // With a good status it is a failure's body if a header says so.
    plain.status = StatusCode::OK;
    plain.headers.insert(&RESULT, "reject".parse().unwrap());
    let Verdict::Reject(failure) = plain.verdict() else {
        panic!("it rejects");
    };
    assert_eq!(failure.message, "200 OK: no such user");
    // What says nothing needs no reading.
    let mut empty = gzip(200);
    empty.body.clear();
    assert!(matches!(
        empty.verdicts(&[&record(0), &record(1)])[..],
        [Verdict::Done, Verdict::Done]
    ));
}

#[test]
fn retry_after_is_seconds_or_a_date() {
    for (text, wait) in [
        ("7", Some(7)),
        ("Thu, 01 Jan 2026 00:00:30 GMT", Some(30)),
        ("Thursday, 01-Jan-26 00:00:30 GMT", Some(30)),
        ("Thu Jan  1 00:00:30 2026", Some(30)),
        ("Wed, 31 Dec 2025 23:59:00 GMT", Some(0)),
        ("Thu, 1 Jan 2026 01:00:30 +0100", Some(30)),
        ("Fri, 31 Dec 9999 23:59:59 GMT", Some(3600)),
        ("soon", None),
        ("999999999", Some(3600)),
        ("99999999999999999999999", Some(3600)),
        ("", None),
    ] {
        let Verdict::SlowDown { after, .. } = answer(503, &[("retry-after", text)]) else {
            panic!("{text}");
        };
        assert_eq!(after, wait.map(Duration::from_secs), "{text}");
    }
}

#[test]
fn a_message_is_one_short_line() {
    let failure = failure(
        class::STATUS,
        None,
        &format!("a\n  b\u{7} {}", "x".repeat(500)),
    );
    assert!(failure.message.starts_with("a b x"));
    assert_eq!(failure.message.chars().count(), 200);
}

fn record(offset: i64) -> Record {
    Record {
        topic: "orders".into(),
        partition: 3,
        offset: Offset(offset),
        timestamp: None,
        key: None,
        value: None,
        headers: Vec::new(),
    }
}

/// Of a batch of the records at 41 and 42.
fn answers(status: u16, headers: &[(&'static str, &str)], body: &str) -> Vec<&'static str> {
    let answer = Answer {
        status: StatusCode::from_u16(status).unwrap(),
        headers: headers
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()))
            .collect(),
        body: body.as_bytes().to_vec(),
        whole: true,
    };
    let verdicts = answer.verdicts(&[&record(41), &record(42)]);
    verdicts.iter().map(word).collect()
}

#[test]
fn a_batch_is_answered_as_a_whole_or_record_by_record() {
    for (status, body, meaning) in [
        (204, "", ["done", "done"]),
        (200, " ", ["done", "done"]),
        (200, "\r\n", ["done", "done"]),
        (200, r#"{"results":["done","retry"]}"#, ["done", "retry"]),
        (200, r#"{"results":["done"]}"#, ["misconfigured"; 2]),
        (200, r#"{"result":"skip"}"#, ["skip"; 2]),
        (
            200,
            r#"{"results":[{"result":"done","offset":41},{"result":"retry","offset":42}]}"#,
            ["done", "retry"],
        ),
        // In another order than asked, or of one of them only.
        (
            200,
            r#"{"results":[{"result":"retry","offset":42},{"result":"done","offset":41}]}"#,
            ["misconfigured"; 2],
        ),
        (
            200,
            r#"{"result":"done","offset":41}"#,
            ["misconfigured"; 2],
        ),
        (200, "OK", ["misconfigured"; 2]),
        (500, r#"{"results":["done","done"]}"#, ["retry"; 2]),
        (503, "", ["slow-down"; 2]),
        (302, "", ["misconfigured"; 2]),
        // Each is tried alone.
        (413, "", ["retry"; 2]),
        (422, "", ["retry"; 2]),
    ] {
        assert_eq!(answers(status, &[], body), meaning, "{status} {body}");
    }
    let said = [(RESULT.as_str(), "reject")];
    assert_eq!(answers(200, &said, "whatever"), ["reject"; 2]);
}
