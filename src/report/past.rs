//! Offsets that are finished but for records of some keys, as two words of a report.
//!
//! ```text
//! but=1f00aa21,1:0a1b2c,17:ffee01 past=1-400,402-9000
//! ```
//!
//! Of the keys all are told, or nothing: what is left out would be taken for finished, and lost.

use std::ops::Range;

use super::Past;
use super::text::{bad, push, push_ranges, ranges};
use super::{NotAReport, Report};
use crate::topic::Offset;

impl Report {
    pub(super) fn push_past(&self, text: &mut String, committed: Offset, most: usize) {
        let Some(past) = &self.past else {
            return;
        };
        let mut words = format!(" but={:08x}", past.hashing);
        for (from, tag) in &past.but {
            let place = from.saturating_sub(committed.0).max(0);
            push(&mut words, format_args!(",{place}:{tag:06x}"));
        }
        let before = words.len();
        let room = most.saturating_sub(text.len());
        push_ranges(&mut words, " past=", &past.ranges, committed, room);
        if words.len() > before && words.len() <= room {
            text.push_str(&words);
        }
    }
}

/// The two words as one, where both are there.
pub(super) fn past(but: &str, past: &str, at: i64) -> Result<Past, NotAReport> {
    let hex = |text: &str| u32::from_str_radix(text, 16).ok();
    let mut words = but.split(',');
    let hashing = words.next().and_then(hex).ok_or(bad("but"))?;
    let key = |word: &str| {
        let (place, tag) = word.split_once(':')?;
        let place: i64 = place.parse().ok().filter(|place| *place >= 0)?;
        Some((at.checked_add(place)?, hex(tag)?))
    };
    let but: Option<Vec<_>> = words.map(key).collect();
    let ranges: Vec<Range<i64>> = ranges(past, at, "past")?;
    Ok(Past {
        hashing,
        but: but.ok_or(bad("but"))?,
        ranges,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::report::{MAX_BYTES, Tries};

    const AT: Offset = Offset(500);

    fn report(past: Past, count: usize) -> Report {
        let tries = (0..).map(|number| Tries {
            offset: AT.0 + number,
            attempts: 6,
            next_at: Some(1_800_000_000),
        });
        Report {
            pod: "users-7f-x2".to_owned(),
            tries: tries.take(count).collect(),
            past: Some(past),
            ..Report::default()
        }
    }

    fn some() -> Past {
        Past {
            hashing: 0x1f00_aa21,
            but: vec![(501, 0x0a_1b2c), (490, 0xff_ee01)],
            ranges: vec![501..901, 902..9501],
        }
    }

    #[test]
    fn keys_and_ranges_are_told_in_two_words() {
        let text = report(some(), 0).encode(AT);
        let words = " but=1f00aa21,1:0a1b2c,0:ffee01 past=1-400,402-9000 ";
        assert!(text.contains(words), "{text}");
        let read = Report::decode(&text, AT).unwrap().past.unwrap();
        // What lies before the committed offset is nobody's matter.
        let but = vec![(501, 0x0a_1b2c), (500, 0xff_ee01)];
        assert_eq!(read, Past { but, ..some() });
        assert_eq!(Report::decode(&text, Offset(499)).unwrap().past, None);
    }

    #[test]
    fn without_room_for_every_key_nothing_is_told_of_any() {
        let many = |keys: u32| Past {
            but: (0..keys).map(|tag| (500 + i64::from(tag), tag)).collect(),
            ..some()
        };
        let told = |keys| {
            let text = report(many(keys), 0).encode(AT);
            assert!(text.len() <= MAX_BYTES);
            Report::decode(&text, AT).unwrap().past
        };
        assert_eq!(told(300), Some(many(300)));
        assert_eq!(told(400), None);
    }

    #[test]
    fn words_that_make_no_sense_are_refused_and_one_alone_is_passed_over() {
        let text = |words: &str| {
            let said =
                format!("drover/1 at=5 pod=a done=1 busy-ms=1 slots=1 fail=0 slow=0 {words}");
            format!("{said} sum={:08x}", super::super::text::sum(&said))
        };
        for but in ["", "x", "1,", "1,2", "1,-1:0", "1,0:x", "1,0:0:0"] {
            let read = Report::decode(&text(&format!("but={but} past=1")), Offset(5));
            assert_eq!(read, Err(NotAReport::Damaged("but")), "{but}");
        }
        let read = Report::decode(&text("but=1,0:0 past=2-1"), Offset(5));
        assert_eq!(read, Err(NotAReport::Damaged("past")));
        for alone in ["but=1,0:0", "past=1"] {
            let read = Report::decode(&text(alone), Offset(5)).unwrap();
            assert_eq!(read.past, None, "{alone}");
        }
    }

    proptest! {
        /// Whatever else there is to be told.
        #[test]
        fn all_keys_are_told_or_nothing_is(
            tries in 0..200_usize,
            but in proptest::collection::vec((500..9_000_000_i64, 0..1_u32 << 24), 0..400),
            steps in proptest::collection::vec((1..5_000_i64, 1..5_000_i64), 0..400),
        ) {
            let mut end = AT.0;
            let ranges = steps.into_iter().map(|(gap, length)| {
                let start = end + gap;
                end = start + length;
                start..end
            });
            let past = Past { hashing: 7, but, ranges: ranges.collect() };
            let text = report(past.clone(), tries).encode(AT);
            prop_assert!(text.len() <= MAX_BYTES);
            if let Some(read) = Report::decode(&text, AT).unwrap().past {
                prop_assert_eq!(&read.but, &past.but);
                prop_assert!(past.ranges.starts_with(&read.ranges));
            }
        }
    }
}
