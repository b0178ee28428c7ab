use proptest::prelude::*;

use super::*;

/// Reads `bytes`, which come in pieces of `piece` bytes, and then the connection's end.
fn read(bytes: &[u8], piece: usize, kept: usize) -> Result<(Answer, bool, usize), String> {
    let mut incoming = Incoming::new(kept);
    let (mut held, mut taken) = (Vec::new(), 0);
    for part in bytes.chunks(piece) {
        held.extend_from_slice(part);
        let count = incoming.take(&held)?;
        held.drain(..count);
        taken += count;
        if incoming.is_over() {
            break;
        }
    }
    incoming.end()?;
    let (answer, stays_open) = incoming.into_answer();
    Ok((answer, stays_open, taken))
}

fn whole(text: &str) -> Result<(u16, String, bool), String> {
    let said = |piece| {
        let (answer, stays_open, _) = read(text.as_bytes(), piece, 1024)?;
        let body = String::from_utf8_lossy(&answer.body).into_owned();
        Ok::<_, String>((answer.status.as_u16(), body, stays_open))
    };
    let at_once = said(usize::MAX);
    for piece in [1, 2, 7] {
        assert_eq!(said(piece), at_once, "in pieces of {piece}: {text:?}");
    }
    at_once
}

#[test]
fn heads_with_many_headers_or_folded_ones_are_heads() {
    let many = "x-a: 1\r\n".repeat(3_000);
    for headers in [many.as_str(), "x-a: one\r\n two\r\n", "x-a:\r\n\tone\r\n"] {
        let text = format!("HTTP/1.1 200 OK\r\n{headers}drover-result: skip\r\n\r\n");
        let (answer, ..) = read(text.as_bytes(), 999, 0).unwrap();
        assert_eq!(answer.headers["drover-result"], "skip", "{headers:.30}");
    }
}

#[test]
fn a_folded_value_is_one_with_spaces() {
    let text = "HTTP/1.1 503 Busy\r\nretry-after: Thu, 01 Jan 2026\r\n\t 00:00:30 GMT\r\ndrover-result:\r\n skip,\r\n retry\r\ncontent-length: 0\r\n\r\n";
    let (answer, ..) = read(text.as_bytes(), 7, 0).unwrap();
    assert_eq!(
        answer.headers["retry-after"],
        "Thu, 01 Jan 2026 00:00:30 GMT"
    );
    assert_eq!(answer.headers["drover-result"], "skip, retry");
}

#[test]
fn a_handler_that_only_says_that_its_answer_comes_is_not_listened_to_for_ever() {
    let soon = "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n";
    let answer = "HTTP/1.1 204 No Content\r\n\r\n";
    let said = |times: usize| whole(&(soon.repeat(times) + answer));
    assert!(said(100).is_ok());
    assert!(said(2_000).is_err());
}

#[test]
fn bodies_are_as_long_as_their_framing_says() {
    for (text, status, body, stays_open) in [
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
            200,
            "ok",
            true,
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            200,
            "",
            true,
        ),
        ("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", 200, "", true),
        (
            "HTTP/1.1 999 No\r\nContent-Length: 0\r\n\r\n",
            999,
            "",
            true,
        ),
        ("HTTP/1.1 204 No Content\r\n\r\n", 204, "", true),
        (
            "HTTP/1.1 304 Not Modified\r\ncontent-length: 7\r\n\r\n",
            304,
            "",
            true,
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 2, 2\r\n\r\nok",
            200,
            "ok",
            true,
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\nok",
            200,
            "ok",
            true,
        ),
        (
            "HTTP/1.1 500 Oops\r\nconnection: close\r\n\r\nall of this",
            500,
            "all of this",
            false,
        ),
        (
            "HTTP/1.1 200 OK\r\n\r\nto the end",
            200,
            "to the end",
            false,
        ),
        (
            "HTTP/1.1 200 OK\r\nconnection: x, Close\r\ncontent-length: 1\r\n\r\n1",
            200,
            "1",
            false,
        ),
        (
            "HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\n1",
            200,
            "1",
            false,
        ),
        (
            "HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 1\r\n\r\n1",
            200,
            "1",
            true,
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n",
            200,
            "abcde",
            true,
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, Chunked\r\n\r\n1\r\na\r\n0\r\nx-sum: 1\r\n\r\n",
            200,
            "a",
            true,
        ),
        // No coding at all.
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: identity\r\ncontent-length: 1\r\n\r\n1",
            200,
            "1",
            true,
        ),
        // The coding counts, not the length: RFC 9112, 6.3.
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 9\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
            200,
            "a",
            true,
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 9\r\n\r\n1\r\na\r\n0\r\n\r\n",
            200,
            "a",
            true,
        ),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n1",
            200,
            "1",
            true,
        ),
        ("HTTP/1.1 200 OK\ncontent-length: 1\n\n1", 200, "1", true),
    ] {
        assert_eq!(
            whole(text),
            Ok((status, body.to_owned(), stays_open)),
            "{text:?}"
        );
    }
}

#[test]
fn what_is_no_answer_is_said() {
    for (text, what) in [
        ("", "without an answer"),
        ("HTTP/1.1 200 OK\r\n", "without an answer"),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nabc",
            "in the middle",
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n",
            "in the middle",
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n",
            "size of a chunk",
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nabc\r\n",
            "longer than it says",
        ),
        ("HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n", "no number"),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: +1\r\n\r\n1",
            "no number",
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\n",
            "no number",
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n12",
            "two lengths",
        ),
        (
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n",
            "status 101",
        ),
        ("SSH-2.0-OpenSSH\r\n", "no HTTP/1.1"),
        ("HTTP/2 200\r\n\r\n", "no HTTP/1.1"),
    ] {
        let error = whole(text).unwrap_err();
        assert!(error.contains(what), "{text:?}: {error}");
    }
}

#[test]
fn heads_and_trailers_have_an_end() {
    let many = "x: y\r\n".repeat(MOST_HEADERS);
    let long = "x".repeat(HEAD + 1);
    for text in [
        format!("HTTP/1.1 200 OK\r\n{many}\r\n"),
        format!("HTTP/1.1 200 OK\r\nx: {long}"),
        format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx: {long}"),
        format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;{long}"),
        format!(
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n{}",
            "a: bcdefgh\r\n".repeat(HEAD / 8)
        ),
    ] {
        read(text.as_bytes(), 1000, 1024).unwrap_err();
    }
}

#[test]
fn of_a_long_body_the_beginning_is_kept_and_the_connection_given_up_when_it_is_too_long() {
    for (length, stays_open) in [
        (2000, true),
        (65_536, true),
        (65_537, true),
        (200_000, false),
    ] {
        let text = format!(
            "HTTP/1.1 500 Oops\r\ncontent-length: {length}\r\n\r\n{}",
            "x".repeat(length)
        );
        // In one piece all of it is there, whatever its length.
        let (answer, kept_open, _) = read(text.as_bytes(), 4096, 1024).unwrap();
        assert_eq!((answer.body.len(), answer.whole), (1024, false));
        assert_eq!(kept_open, stays_open, "{length}");
    }
}

#[test]
fn what_may_mean_done_is_read_to_its_end_however_long_it_is() {
    let bodies = [
        "content-length: 1000000\r\n\r\n",
        "transfer-encoding: chunked\r\n\r\nf4240\r\n",
    ];
    for (head, body) in ["200 OK", "500 Oops\r\ndrover-result: done"]
        .into_iter()
        .flat_map(|head| bodies.map(|body| (head, body)))
    {
        let mut text = format!("HTTP/1.1 {head}\r\n{body}{}", "x".repeat(1_000_000));
        if body.contains("chunked") {
            text.push_str("\r\n0\r\n\r\n");
        }
        let (answer, stays_open, taken) = read(text.as_bytes(), 4096, 1024).unwrap();
        assert_eq!((answer.body.len(), answer.whole), (1024, false));
        assert!(stays_open && taken == text.len());
        let broken = &text.as_bytes()[..text.len() - 10];
        read(broken, 4096, 1024).unwrap_err();
    }
}

#[test]
fn of_the_headers_those_are_kept_that_mean_something() {
    let text = "HTTP/1.1 503 Busy\r\nRetry-After:  7 \r\nDrover-Result: skip\r\ndrover-result: done\r\nx: y\r\nContent-encoding: gzip\r\ncontent-length: 0\r\n\r\n";
    let (answer, ..) = read(text.as_bytes(), 5, 1024).unwrap();
    assert_eq!(answer.headers["retry-after"], "7");
    assert_eq!(answer.headers["drover-result"], "skip");
    assert_eq!(answer.headers["content-encoding"], "gzip");
    assert_eq!(answer.headers.len(), 4);
}

#[test]
fn what_comes_after_an_answer_is_left() {
    let text = "HTTP/1.1 204 No Content\r\n\r\n";
    let twice = text.repeat(2);
    let (.., taken) = read(twice.as_bytes(), usize::MAX, 10).unwrap();
    assert_eq!(taken, text.len());
}

proptest! {
    /// Whatever comes, in whatever pieces: no panic, and pieces make no difference.
    #[test]
    fn anything_may_come(
        bytes in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..300),
            "(HTTP/1\\.[01] [0-9]{3} OK\r\n((content-length|transfer-encoding|connection): (chunked|close|[0-9]{1,3}|gzip)\r\n){0,3}\r\n([0-9a-f]{1,2}\r\n)?[ -~]{0,40}(\r\n0\r\n\r\n)?){1,2}".prop_map(String::into_bytes),
        ],
        piece in 1_usize..40,
    ) {
        let outcome = |piece| read(&bytes, piece, 16).map(|(answer, open, _)| (answer.status, answer.body, open));
        prop_assert_eq!(outcome(piece), outcome(usize::MAX));
    }
}
