//! Results that a handler says in JSON: one, or one for each record of a batch.
//!
//! A result is a word (`"done"`), or an object with the word in `result` and, if it likes, `error` in
//! words and `retryAfter` in seconds. The reference is `docs/batches.md`. Of results that name their record it is checked
//! that it is the one that was asked for.

use std::time::Duration;

use serde_json::Value;

use super::answer::{LONGEST_WAIT, class, failure};
use crate::engine::Verdict;
use crate::worker::record::Record;

/// `{"results": […]}` with a result for each of `records`, in their order, or one result for all of them; `Err` says why it is
/// neither. A result that names a record by `offset`, `partition`, `topic` or `idempotencyKey` must name the one in its place:
/// a handler may say a result twice, or in the order in which it came to them.
pub fn of(text: &[u8], records: &[&Record]) -> Result<Vec<Verdict>, String> {
    let value = json(text)?;
    let verdicts = read(&value, records.len())?;
    match value.get("results").and_then(Value::as_array) {
        Some(each) => {
            let mut pairs = each.iter().zip(records);
            pairs.try_for_each(|(result, record)| is_of(result, record))?;
        }
        // What is said of all of them can name none that one of them is not.
        None => (records.iter()).try_for_each(|record| is_of(&value, record))?,
    }
    Ok(verdicts)
}

fn is_of(result: &Value, record: &Record) -> Result<(), String> {
    let Record {
        topic,
        partition,
        offset,
        ..
    } = record;
    let check = |name: &str, asked: &dyn Fn() -> String| {
        // Nearly always none. Who has a place for it and nothing to say there names none either.
        let Some(said) = result.get(name).filter(|said| !said.is_null()) else {
            return Ok(());
        };
        let asked = asked();
        let words = match said {
            // Who cannot count so far, or has maps of texts only, says a number as text.
            Value::String(said) => said.clone(),
            other => other.to_string(),
        };
        let why = || {
            format!("the result of another record: its {name} is {said}, and {asked} was asked for")
        };
        (words == asked).then_some(()).ok_or_else(why)
    };
    check("topic", &|| topic.to_string())?;
    check("partition", &|| partition.to_string())?;
    check("offset", &|| offset.0.to_string())?;
    check("idempotencyKey", &|| record.name())
}

fn json(text: &[u8]) -> Result<Value, String> {
    serde_json::from_slice(text).map_err(|error| format!("no JSON: {error}"))
}

fn read(value: &Value, count: usize) -> Result<Vec<Verdict>, String> {
    let Some(results) = value.get("results") else {
        return Ok(vec![result(value)?; count]);
    };
    let results = results.as_array().ok_or("\"results\" that are no list")?;
    if results.len() != count {
        return Err(format!("{} results for {count} records", results.len()));
    }
    results.iter().map(result).collect()
}

fn result(value: &Value) -> Result<Verdict, String> {
    let word = match value {
        Value::String(word) => word.as_str(),
        Value::Object(object) => object
            .get("result")
            .and_then(Value::as_str)
            .ok_or("a result without the text \"result\"")?,
        _ => return Err("a result that is neither a text nor an object".to_owned()),
    };
    let error = value.get("error").and_then(Value::as_str);
    let because = || failure(class::RESULT, None, error.unwrap_or(word));
    match word.to_ascii_lowercase().as_str() {
        "done" => Ok(Verdict::Done),
        "skip" => Ok(Verdict::Skip),
        "retry" => Ok(Verdict::Retry(because())),
        "reject" => Ok(Verdict::Reject(because())),
        "slow-down" => Ok(Verdict::SlowDown {
            after: value.get("retryAfter").and_then(seconds),
            failure: because(),
        }),
        _ => Err(format!(
            "the result {word:?}, which is none of done, skip, retry, reject, slow-down"
        )),
    }
}

fn seconds(value: &Value) -> Option<Duration> {
    let seconds = value.as_f64().filter(|seconds| *seconds >= 0.0)?;
    Some(Duration::from_secs_f64(
        seconds.min(LONGEST_WAIT.as_secs_f64()),
    ))
}

/// The record is finished with it: whatever comes after it in order may be as well.
pub fn finishes(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Done | Verdict::Skip | Verdict::Duplicate)
}

/// Records that are handled in order: what comes after the first that is not finished counts as not
/// attempted, and is delivered again after it.
pub fn keep_order(verdicts: &mut [Verdict]) {
    let first = verdicts.iter().position(|verdict| !finishes(verdict));
    if let Some(first) = first {
        verdicts[first + 1..].fill(Verdict::Cancelled);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::topic::Offset;

    /// The results of so many records, whichever they are.
    fn all(text: &[u8], count: usize) -> Result<Vec<Verdict>, String> {
        read(&json(text)?, count)
    }

    fn one(text: &[u8]) -> Result<Verdict, String> {
        Ok(all(text, 1)?.remove(0))
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
            Verdict::Undeliverable { .. } => "undeliverable",
            Verdict::NotYet(_) => "not-yet",
            Verdict::Cancelled => "cancelled",
        }
    }

    #[test]
    fn a_result_is_a_word_or_an_object() {
        for (text, meaning) in [
            (r#""done""#, "done"),
            (r#""Skip""#, "skip"),
            ("\"done\"\r", "done"),
            (r#"{"result":"retry"}"#, "retry"),
            (r#" {"result":"reject","error":"no such user"} "#, "reject"),
            (
                r#"{"result":"slow-down","retryAfter":1.5,"more":1}"#,
                "slow-down",
            ),
        ] {
            assert_eq!(word(&one(text.as_bytes()).unwrap()), meaning, "{text}");
        }
        for text in ["", "done", "1", "[]", "{}", r#""dnoe""#, r#"{"result":1}"#] {
            assert!(one(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn words_of_a_result_are_kept_and_a_wait_is_bounded() {
        let Verdict::Reject(failure) =
            one(br#"{"result":"reject","error":"no such user"}"#).unwrap()
        else {
            panic!("no reject");
        };
        assert_eq!(
            (failure.class, &*failure.message),
            (class::RESULT, "no such user")
        );
        for (wait, after) in [
            ("1.5", Some(1_500)),
            ("1e300", Some(3_600_000)),
            ("-1", None),
            ("\"1\"", None),
        ] {
            let text = format!(r#"{{"result":"slow-down","retryAfter":{wait}}}"#);
            let Verdict::SlowDown { after: found, .. } = one(text.as_bytes()).unwrap() else {
                panic!("{text}");
            };
            assert_eq!(found, after.map(Duration::from_millis), "{text}");
        }
    }

    #[test]
    fn results_must_be_as_many_as_records() {
        let text = br#"{"results":["done",{"result":"retry"}]}"#;
        let words = |verdicts: &[Verdict]| verdicts.iter().map(word).collect::<Vec<_>>();
        assert_eq!(words(&all(text, 2).unwrap()), ["done", "retry"]);
        assert_eq!(all(text, 3).unwrap_err(), "2 results for 3 records");
        assert_eq!(
            words(&all(br#"{"result":"retry"}"#, 2).unwrap()),
            ["retry", "retry"]
        );
        for text in ["", "[]", "OK", r#"{"ok":true}"#, r#"{"results":{}}"#] {
            assert!(all(text.as_bytes(), 2).is_err(), "{text}");
        }
    }

    #[test]
    fn a_result_that_names_its_record_must_name_the_right_one() {
        let record = |offset| Record {
            topic: "orders".into(),
            partition: 3,
            offset: Offset(offset),
            timestamp: None,
            key: None,
            value: None,
            headers: Vec::new(),
        };
        let (first, second) = (record(41), record(42));
        for (text, right) in [
            (r#""done""#, true),
            (r#"{"result":"done"}"#, true),
            (r#"{"result":"done","offset":42}"#, true),
            (
                r#"{"result":"done","offset":42,"partition":3,"topic":"orders"}"#,
                true,
            ),
            (r#"{"result":"done","offset":41}"#, false),
            (r#"{"result":"done","offset":"42"}"#, true),
            (r#"{"result":"done","offset":"41"}"#, false),
            (r#"{"result":"done","offset":null,"topic":null}"#, true),
            (r#"{"result":"done","offset":42,"partition":2}"#, false),
            (r#"{"result":"done","offset":42,"topic":"users"}"#, false),
            (r#"{"result":"done","idempotencyKey":"orders/3/42"}"#, true),
            (r#"{"result":"done","idempotencyKey":"orders/3/41"}"#, false),
            (r#"{"result":"done","offset":[42]}"#, false),
            (r#"{"results":[{"result":"done","offset":42}]}"#, true),
            (r#"{"results":[{"result":"done","offset":41}]}"#, false),
        ] {
            let read = of(text.as_bytes(), &[&second]);
            assert_eq!(read.is_ok(), right, "{text}: {read:?}");
        }
        let both = br#"{"results":[{"result":"done","offset":41},{"result":"done","offset":42}]}"#;
        assert!(of(both, &[&first, &second]).is_ok());
        let why = of(both, &[&second, &first]).unwrap_err();
        assert_eq!(
            why,
            "the result of another record: its offset is 41, and 42 was asked for"
        );
        // One for all of them is of one of them only, if it says so.
        for (text, right) in [
            (r#"{"result":"done","topic":"orders","partition":3}"#, true),
            (r#"{"result":"done","offset":41}"#, false),
        ] {
            let read = of(text.as_bytes(), &[&first, &second]);
            assert_eq!(read.is_ok(), right, "{text}: {read:?}");
        }
    }

    fn any_word() -> impl Strategy<Value = &'static str> {
        prop_oneof![
            Just("done"),
            Just("skip"),
            Just("retry"),
            Just("reject"),
            Just("slow-down")
        ]
    }

    proptest! {
        /// No bytes make the decoders fall over, or count for what nobody said.
        #[test]
        fn any_bytes_are_results_or_not(text: Vec<u8>, count in 0..4_usize) {
            let _ = one(&text);
            if let Ok(verdicts) = all(&text, count) {
                prop_assert_eq!(verdicts.len(), count);
            }
        }

        /// Almost right is looked at with the same care.
        #[test]
        fn mangled_results_are_results_or_not(
            words in proptest::collection::vec(any_word(), 0..4),
            at: prop::sample::Index,
            byte: u8,
        ) {
            let mut text = serde_json::to_vec(&serde_json::json!({ "results": words })).unwrap();
            let whole = all(&text, words.len()).unwrap();
            let said: Vec<_> = whole.iter().map(word).collect();
            prop_assert_eq!(said, words.clone());
            let at = at.index(text.len());
            text[at] = byte;
            if let Ok(verdicts) = all(&text, words.len()) {
                prop_assert_eq!(verdicts.len(), words.len());
            }
        }

        #[test]
        fn nothing_is_finished_after_what_is_not(
            words in proptest::collection::vec(any_word(), 0..12),
        ) {
            let text = serde_json::to_vec(&serde_json::json!({ "results": words })).unwrap();
            let mut verdicts = all(&text, words.len()).unwrap();
            let said = verdicts.clone();
            keep_order(&mut verdicts);
            let first = said.iter().position(|verdict| !finishes(verdict));
            let first = first.unwrap_or(said.len());
            for (index, (now, before)) in verdicts.iter().zip(&said).enumerate() {
                let expected = if index <= first { before } else { &Verdict::Cancelled };
                prop_assert_eq!(now, expected);
            }
        }
    }
}
