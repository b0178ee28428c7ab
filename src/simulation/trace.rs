//! A load over time, as a file of two columns says it.
//!
//! ```text
//! # where it is from
//! t_seconds,messages_per_second
//! 0,226.7
//! 60,209.7
//! ```
//!
//! A value holds from its line's time to the next line's.

/// Records per second over time.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// Seconds from the beginning, and records per second from then on; ascending.
    points: Vec<(f64, f64)>,
    /// The usual time from one line to the next, seconds.
    step: f64,
    /// Values are averages of a second or less: counts, to be replayed as they are.
    counts: bool,
}

/// Why a text is no trace; `line` counts from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotATrace {
    /// A line that is not two numbers.
    #[error(
        "line {line}: \"{text}\" is not SECONDS,RECORDS_PER_SECOND; write for example 60,209.7"
    )]
    Line {
        /// Its number.
        line: usize,
        /// What it says.
        text: String,
    },
    /// A number that is no rate.
    #[error("line {line}: {text} records per second cannot be; write 0 or more")]
    Rate {
        /// The line's number.
        line: usize,
        /// What it says.
        text: String,
    },
    /// Time stands still or goes back.
    #[error("line {line}: time {text} is not after the line before; times must ascend")]
    Order {
        /// The line's number.
        line: usize,
        /// What it says.
        text: String,
    },
    /// It lasts for longer than any recording.
    #[error(
        "line {line}: time {text} is more than ten years after the first; times are seconds: are these milliseconds?"
    )]
    Long {
        /// The line's number.
        line: usize,
        /// What it says.
        text: String,
    },
    /// Times that no clock has shown yet.
    #[error("line {line}: time {text} is no time in seconds; divide milliseconds by 1000")]
    Far {
        /// The line's number.
        line: usize,
        /// What it says.
        text: String,
    },
    /// Less than two lines with numbers.
    #[error("lines with numbers: {lines}; a trace needs at least two")]
    Short {
        /// How many there are.
        lines: usize,
    },
}

/// Seconds since 1970 are below this for three thousand years; milliseconds are not.
const FAR: f64 = 1e11;
/// Ten years, in seconds.
const LONGEST: f64 = 3.2e8;

impl Trace {
    /// Reads the text of a file. Lines that begin with `#`, and words above the columns, are
    /// passed over; time may begin anywhere.
    pub fn read(text: &str) -> Result<Self, NotATrace> {
        let mut points: Vec<(f64, f64)> = Vec::new();
        let mut heading = false;
        let mut first = 0.0;
        // What editors on Windows put before a text would make a heading of its first line.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (number, raw) in text.lines().enumerate() {
            let (line, row) = (number + 1, raw.trim());
            if row.is_empty() || row.starts_with('#') {
                continue;
            }
            let columns = row.split_once(',').map(|(t, rate)| {
                let number = |text: &str| text.trim().parse::<f64>().ok();
                (number(t), number(rate), rate.trim())
            });
            let (t, rate, written) = match columns {
                Some((Some(t), Some(rate), written)) if t.is_finite() => (t, rate, written),
                _ if points.is_empty() && !heading => {
                    heading = true;
                    continue;
                }
                _ => {
                    let text = row.to_owned();
                    return Err(NotATrace::Line { line, text });
                }
            };
            if !rate.is_finite() || rate < 0.0 {
                let text = written.to_owned();
                return Err(NotATrace::Rate { line, text });
            }
            if points.is_empty() {
                first = t;
            }
            if t.abs() > FAR {
                let text = t.to_string();
                return Err(NotATrace::Far { line, text });
            }
            if t - first > LONGEST {
                let text = t.to_string();
                return Err(NotATrace::Long { line, text });
            }
            if points.last().is_some_and(|last| t - first <= last.0) {
                let text = t.to_string();
                return Err(NotATrace::Order { line, text });
            }
            points.push((t - first, rate));
        }
        if points.len() < 2 {
            return Err(NotATrace::Short {
                lines: points.len(),
            });
        }
        Ok(Self::of(points))
    }

    fn of(points: Vec<(f64, f64)>) -> Self {
        let mut steps: Vec<f64> = points
            .windows(2)
            .map(|pair| pair[1].0 - pair[0].0)
            .collect();
        steps.sort_by(f64::total_cmp);
        let step = steps[steps.len() / 2];
        let whole = points.iter().all(|point| point.1.fract() == 0.0);
        Self {
            counts: whole && steps.iter().all(|step| *step == 1.0),
            points,
            step,
        }
    }

    /// The same rate for a while; for tests of the world.
    pub fn constant(rate: f64, seconds: f64) -> Self {
        Self::of(vec![(0.0, rate), (seconds / 2.0, rate)])
    }

    /// The same rate for a while, after records of `backlog` seconds that come within the first ten; for
    /// tests of the world.
    pub fn constant_after(backlog: f64, rate: f64, seconds: f64) -> Self {
        let first = rate * (1.0 + backlog / 10.0);
        let then = (1..(seconds / 10.0) as u32).map(|step| (10.0 * f64::from(step), rate));
        Self::of([(0.0, first)].into_iter().chain(then).collect())
    }

    /// The part from `from` on, for `length` seconds or to its end.
    pub fn cut(&self, from: f64, length: Option<f64>) -> Option<Self> {
        let until = length.map_or(f64::INFINITY, |length| from + length);
        let within = |point: &&(f64, f64)| point.0 >= from && point.0 < until;
        let points: Vec<(f64, f64)> = self.points.iter().filter(within).copied().collect();
        let first = points.first()?.0;
        let points = points.into_iter().map(|(t, rate)| (t - first, rate));
        let cut = Self {
            points: points.collect(),
            ..*self
        };
        (cut.points.len() >= 2).then_some(cut)
    }

    /// The same shape with `factor` times the records.
    #[must_use]
    pub fn times(&self, factor: f64) -> Self {
        let points = self.points.iter().map(|(t, rate)| (*t, rate * factor));
        Self {
            points: points.collect(),
            counts: self.counts && factor == 1.0,
            step: self.step,
        }
    }

    /// Seconds from its beginning to its end.
    pub fn length(&self) -> f64 {
        self.points.last().map_or(0.0, |last| last.0) + self.step
    }

    /// Whether its values are counts of single seconds, which are replayed as they are.
    pub(super) fn is_counts(&self) -> bool {
        self.counts
    }

    /// The mean, records per second.
    pub fn mean(&self) -> f64 {
        let ends = self.points.iter().skip(1).map(|point| point.0);
        let ends = ends.chain([self.length()]);
        let records = self.points.iter().zip(ends);
        let records: f64 = records.map(|((t, rate), end)| rate * (end - t)).sum();
        records / self.length()
    }

    /// The highest average over `window` seconds, records per second.
    pub fn busiest(&self, window: f64) -> f64 {
        let length = self.length();
        let window = window.min(length);
        let mut sum = Sum::new(self);
        let mut from = Sum::new(self);
        let mut best: f64 = 0.0;
        let step = self.step.max(1.0);
        let mut at = window;
        while at <= length + 1e-9 {
            let records = sum.until(at) - from.until(at - window);
            best = best.max(records / window);
            at += step;
        }
        best
    }

    /// Walks through it once.
    pub(super) fn walk(&self) -> Walk<'_> {
        Walk {
            trace: self,
            index: 0,
            sum: Sum::new(self),
        }
    }
}

/// Records up to a time that only goes on.
struct Sum<'a> {
    trace: &'a Trace,
    index: usize,
    before: f64,
}

impl<'a> Sum<'a> {
    fn new(trace: &'a Trace) -> Self {
        Self {
            trace,
            index: 0,
            before: 0.0,
        }
    }

    fn until(&mut self, at: f64) -> f64 {
        let points = &self.trace.points;
        while let Some(next) = points.get(self.index + 1).filter(|next| next.0 <= at) {
            let (t, rate) = points[self.index];
            self.before += rate * (next.0 - t);
            self.index += 1;
        }
        let (t, rate) = points[self.index];
        self.before + rate * (at - t).max(0.0)
    }
}

/// The rate in seconds that only go on.
pub(super) struct Walk<'a> {
    trace: &'a Trace,
    index: usize,
    sum: Sum<'a>,
}

impl Walk<'_> {
    /// Records per second in the second that begins at `second`. Where values are averages of more
    /// than that, the rate goes straight from the middle of one to the middle of the next.
    pub(super) fn rate(&mut self, second: u32) -> f64 {
        let second = f64::from(second);
        if self.trace.step <= 1.0 {
            let before = self.sum.until(second);
            return self.sum.until(second + 1.0) - before;
        }
        let at = second + 0.5;
        let points = &self.trace.points;
        while points.get(self.index + 1).is_some_and(|next| next.0 <= at) {
            self.index += 1;
        }
        let (_, rate) = points[self.index];
        let centre = |index: usize| {
            let end = points
                .get(index + 1)
                .map_or(self.trace.length(), |next| next.0);
            (points[index].0 + end) / 2.0
        };
        let here = centre(self.index);
        let other = if at >= here {
            self.index + 1
        } else {
            self.index.wrapping_sub(1)
        };
        let Some(&(_, other_rate)) = points.get(other) else {
            return rate;
        };
        let share = (at - here) / (centre(other) - here);
        rate + share * (other_rate - rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_whatever_stands_above_its_numbers() {
        let trace =
            Trace::read("# from here\n\nt_seconds,messages_per_second\n100,2\n101, 4\n102,0\n");
        let trace = trace.unwrap();
        assert_eq!(trace.points, [(0.0, 2.0), (1.0, 4.0), (2.0, 0.0)]);
        assert!(trace.is_counts());
        assert_eq!((trace.length(), trace.mean()), (3.0, 2.0));
        assert!(!Trace::read("0,1.5\n1,2\n").unwrap().is_counts());
        assert!(!Trace::read("0,1\n60,2\n").unwrap().is_counts());
    }

    #[test]
    fn a_byte_order_mark_does_not_take_the_first_line_away() {
        let text = "0,1\n1,2\n2,3\n";
        let marked = Trace::read(&format!("\u{feff}{text}"));
        assert_eq!(marked, Trace::read(text));
        assert!(Trace::read(&format!("\u{feff}# from here\na,b\n{text}")).is_ok());
    }

    #[test]
    fn what_is_no_trace_is_refused_with_its_line() {
        for (text, says) in [
            ("", "lines with numbers: 0"),
            ("0,1\n", "lines with numbers: 1"),
            (
                "1700000000000,1\n1700000060000,2\n",
                "divide milliseconds by 1000",
            ),
            ("0,1\n86400000000,2\n", "are these milliseconds?"),
            ("0,1\n1;2\n", "line 2: \"1;2\" is not"),
            ("a,b\nc,d\n0,1\n1,1\n", "line 2: \"c,d\""),
            ("0,1\n1,-2\n", "line 2: -2 records"),
            ("0,1\n1,NaN\n", "line 2: NaN records"),
            ("5,1\n5,2\n", "line 2: time 5"),
        ] {
            let error = Trace::read(text).unwrap_err().to_string();
            assert!(error.contains(says), "{text:?}: {error}");
        }
    }

    #[test]
    fn long_intervals_are_joined_from_middle_to_middle() {
        let trace = Trace::read("0,10\n61,30.5\n122,30.5\n").unwrap();
        let mut walk = trace.walk();
        let rates = [0, 30, 60, 91, 150].map(|second| walk.rate(second));
        let middle = 10.0 + 20.5 * 30.0 / 61.0;
        assert!((rates[2] - middle).abs() < 1e-9, "{rates:?}");
        assert_eq!(
            [rates[0], rates[1], rates[3], rates[4]],
            [10.0, 10.0, 30.5, 30.5]
        );
    }

    #[test]
    fn short_intervals_are_added_up_to_seconds() {
        let trace = Trace::read("0,10\n0.5,20\n1,0\n1.5,4\n").unwrap();
        let mut walk = trace.walk();
        assert_eq!([walk.rate(0), walk.rate(1)], [15.0, 2.0]);
    }

    #[test]
    fn the_busiest_window_is_found_between_and_within_lines() {
        let trace = Trace::read("0,0\n100,10\n200,0\n300,0\n").unwrap();
        assert_eq!(trace.busiest(100.0), 10.0);
        assert_eq!(trace.busiest(200.0), 5.0);
        assert_eq!(trace.busiest(9999.0), 2.5);
    }

    #[test]
    fn a_part_begins_at_zero_and_a_factor_multiplies() {
        let trace = Trace::read("0,1\n10,2\n20,3\n30,4\n").unwrap();
        let part = trace.cut(10.0, Some(20.0)).unwrap();
        assert_eq!(part.points, [(0.0, 2.0), (10.0, 3.0)]);
        assert_eq!(part.times(2.0).points, [(0.0, 4.0), (10.0, 6.0)]);
        assert_eq!(trace.cut(30.0, None), None);
    }
}
