//! What Drover reads from others, changed at random: known texts (`tests/corpora`, `tests/vectors`), a
//! few bytes of which are flipped, cut, doubled, or taken from another.
//!
//! The seed is the same each time unless `DROVER_FUZZ_SEED` says another; `DROVER_FUZZ_TIMES` has more tried.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use drover::encryption::{Envelope, Key, Keyring, Scheme};
use drover::report::Report;
use drover::topic::Offset;
use drover::worker::delivery::http::incoming::Incoming;
use drover::worker::delivery::results;
use drover::worker::record::Record;
use serde_json::Value;

use chance::Chance;

#[path = "../storms/chance.rs"]
#[allow(dead_code, reason = "the other test binary uses more of it")]
pub mod chance;

/// What often lies at the edge of something.
const ODD: &[&[u8]] = &[
    b"",
    b"0",
    b"-1",
    b"18446744073709551616",
    b"9223372036854775807",
    b"1e999",
    b"\0",
    b"\xff",
    b"\xed\xa0\x80",
    b"\r\n",
    b"\r\n\r\n",
    b"\"",
    b"\\u0000",
    b"{",
    b"[",
    b"}",
    b"]",
    b",",
    b"=",
    b" ",
    b"%",
    b"ffffffffffffffff",
    b"null",
    b"true",
    b"content-length: 1\r\n",
    b"HTTP/1.1 100 \r\n\r\n",
];

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpora");
    let mut files: Vec<_> = std::fs::read_dir(folder.join(name))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    // A folder's order is not the same everywhere.
    files.sort();
    assert!(!files.is_empty(), "{name}");
    let read = |file| std::fs::read(file).unwrap();
    files.iter().map(read).collect()
}

pub fn told(name: &str, otherwise: u64) -> u64 {
    let told = std::env::var(name).ok();
    told.map_or(otherwise, |text| text.parse().unwrap())
}

fn below(chance: &mut Chance, limit: usize) -> usize {
    usize::try_from(chance.below(u64::try_from(limit).unwrap())).unwrap()
}

/// A part of `text`, mostly a short one.
fn part(chance: &mut Chance, text: &[u8]) -> std::ops::Range<usize> {
    let from = below(chance, text.len() + 1);
    let most = if chance.below(8) == 0 { text.len() } else { 12 };
    from..(from + below(chance, most + 1)).min(text.len())
}

/// One of `seeds`, changed in up to six places.
fn mutant(chance: &mut Chance, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut text = chance.one_of(seeds).clone();
    for _ in 0..=chance.below(6) {
        let place = part(chance, &text);
        match chance.below(6) {
            0 if !text.is_empty() => {
                let at = place.start.min(text.len() - 1);
                text[at] ^= 1 << chance.below(8);
            }
            1 => _ = text.splice(place, chance.one_of(ODD).iter().copied()),
            2 => _ = text.drain(place),
            3 => {
                let copy = text[place.clone()].repeat(1 + below(chance, 3));
                text.splice(place.end..place.end, copy);
            }
            4 => text.truncate(place.start),
            _ => {
                let other = chance.one_of(seeds);
                let theirs = part(chance, other);
                text.splice(place, other[theirs].iter().copied());
            }
        }
    }
    text
}

/// Gives `look` many mutants; what it panics at is named.
fn fuzz(name: &str, seeds: &[Vec<u8>], mut look: impl FnMut(&[u8], &mut Chance)) {
    let (seed, times) = (
        told("DROVER_FUZZ_SEED", 1),
        told("DROVER_FUZZ_TIMES", 20_000),
    );
    let mut chance = Chance::of(seed);
    for turn in 0..times {
        let text = mutant(&mut chance, seeds);
        let looked = catch_unwind(AssertUnwindSafe(|| look(&text, &mut chance)));
        if looked.is_err() {
            let shown = text.escape_ascii();
            panic!("{name}: DROVER_FUZZ_SEED={seed}, text {turn}: b\"{shown}\"");
        }
    }
}

/// FNV-1a, as the report's own sum: without a right one nothing else of a changed report is read.
fn with_right_sum(text: &str) -> String {
    let said = text.rsplit_once(" sum=").map_or(text, |(said, _)| said);
    let step = |sum: u32, byte| (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    let sum = said.bytes().fold(0x811c_9dc5, step);
    format!("{said} sum={sum:08x}")
}

/// A report is refused, or says something that can be said: ranges ahead of the offset and in their
/// order, and the same again when it is written and read.
#[test]
fn changed_reports_are_refused_or_make_sense() {
    let (mut read, mut refused) = (0, 0);
    fuzz("report", &corpus("report"), |text, chance| {
        let text = String::from_utf8_lossy(text);
        let at = Offset(*chance.one_of(&[0, 500, i64::MAX - 1, 9_223_372_036_854_000_000]));
        let _ = Report::decode(&text, at);
        let Ok(report) = Report::decode(&with_right_sum(&text), at) else {
            refused += 1;
            return;
        };
        read += 1;
        let mut last = at.0;
        for range in &report.ahead {
            assert!(last <= range.start && range.start < range.end, "{report:?}");
            last = range.end;
        }
        let again = Report::decode(&report.encode(at), at).unwrap();
        assert_eq!(again.done, report.done);
        assert!(report.ahead.starts_with(&again.ahead), "{report:?}");
    });
    assert!(
        read > 100 && refused > 100,
        "{read} read, {refused} refused"
    );
}

/// Results of a batch, and of a command: as many as there are records, or none.
#[test]
fn changed_results_are_refused_or_as_many_as_records() {
    let record = |offset| Record {
        topic: "orders".into(),
        partition: 3,
        offset: Offset(offset),
        timestamp: None,
        key: None,
        value: None,
        headers: Vec::new(),
    };
    let records: Vec<Record> = (42..48).map(record).collect();
    let (mut read, mut refused) = (0, 0);
    fuzz("results", &corpus("results"), |text, chance| {
        let count = 1 + below(chance, 5);
        match results::of(text, &records[..count].iter().collect::<Vec<_>>()) {
            Ok(verdicts) => {
                assert_eq!(verdicts.len(), count);
                read += 1;
            }
            Err(why) => {
                assert!(!why.is_empty());
                refused += 1;
            }
        }
    });
    assert!(
        read > 100 && refused > 100,
        "{read} read, {refused} refused"
    );
}

/// An answer means the same in whatever pieces it comes.
#[test]
fn changed_answers_are_refused_or_read_alike_in_all_pieces() {
    fn read(bytes: &[u8], piece: usize) -> Result<(u16, Vec<u8>, bool), String> {
        let mut incoming = Incoming::new(64);
        let mut held = Vec::new();
        for part in bytes.chunks(piece) {
            held.extend_from_slice(part);
            let taken = incoming.take(&held)?;
            held.drain(..taken);
            if incoming.is_over() {
                break;
            }
        }
        incoming.end()?;
        let (answer, stays_open) = incoming.into_answer();
        Ok((answer.status.as_u16(), answer.body, stays_open))
    }
    let mut answered = 0;
    fuzz("http", &corpus("http"), |text, chance| {
        let whole = read(text, usize::MAX);
        let piece = 1 + below(chance, 9);
        assert_eq!(read(text, piece), whole, "in pieces of {piece}");
        answered += usize::from(whole.is_ok());
    });
    assert!(answered > 100, "{answered}");
}

/// An encrypted message is refused, or gives no more than it may.
#[test]
fn changed_messages_are_refused_or_bounded() {
    const MOST: u64 = 64 << 10;
    let vectors =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/active-record-encryption.json");
    let document: Value = serde_json::from_slice(&std::fs::read(vectors).unwrap()).unwrap();
    let (mut seeds, mut keys) = (Vec::new(), std::collections::BTreeSet::new());
    for vector in document["vectors"].as_array().unwrap() {
        if let Some(text) = vector["ciphertext"]
            .as_str()
            .filter(|text| text.len() < 4096)
        {
            seeds.push(text.as_bytes().to_vec());
        }
        let derived = vector["derived_keys_hex"].as_array();
        keys.extend(
            derived
                .into_iter()
                .flatten()
                .filter_map(|key| key.as_str().map(key_of)),
        );
    }
    // Not all of them: each message is tried with each.
    let keys: Vec<_> = keys.iter().take(4).map(Key::from_bytes).collect();
    let scheme = Scheme {
        keys,
        envelope: Envelope::WhenPresent,
    };
    let keyring = Keyring::of(vec![scheme], MOST);
    fuzz("encryption", &seeds, |text, _| {
        if let Ok(decrypted) = keyring.decrypt(text) {
            assert!(decrypted.bytes.len() as u64 <= MOST.max(text.len() as u64));
        }
    });
}

fn key_of(hex: &str) -> [u8; 32] {
    let byte = |index| u8::from_str_radix(&hex[2 * index..2 * index + 2], 16).unwrap();
    std::array::from_fn(byte)
}
