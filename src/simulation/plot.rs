//! A picture of a run: the load, and below it what each policy made of it, as SVG.
//!
//! All policies have the same scales, so that they can be compared at a glance. Size and lag rise
//! from zero or one; delay is logarithmic, because the promise lies far below the worst.

mod marks;
mod panels;
mod svg;
mod words;

use std::fmt::Write;

use super::measure::{Course, Figures};
use marks::{tick, whole_time};

pub use words::{Anchor, AsText, Lettering, Weight, Words};

const WIDTH: f64 = 1100.0;
/// Where the panels begin and end.
const LEFT: f64 = 76.0;
const RIGHT: f64 = 1076.0;
const TOP: f64 = 46.0;
/// Heights of the panels, and the room between policies.
const LOAD: f64 = 96.0;
const SIZE: f64 = 70.0;
const DELAY: f64 = 76.0;
const LAG: f64 = 44.0;
const GAP: f64 = 12.0;
const TITLE: f64 = 34.0;
/// Characters of a line below the title, and its height.
const CHARACTERS: usize = 150;
const LINE: f64 = 17.0;

const INK: &str = "#1f2933";
const FAINT: &str = "#7b8794";
const GRID: &str = "#e4e7eb";
const LOAD_INK: &str = "#52606d";
const BROKEN: &str = "#d64545";
/// One for each policy, in order.
const COLOURS: [&str; 6] = [
    "#0b6e99", "#c4722a", "#8a5aa8", "#5d8a3a", "#a63d57", "#55606e",
];

/// What is drawn.
pub struct Drawing<'a> {
    /// Above everything.
    pub title: &'a str,
    /// Below that, smaller; may have several lines.
    pub subtitle: &'a str,
    /// No record shall wait for longer, seconds.
    pub promise: f64,
    /// Each policy with its figures and its course; all of the same load.
    pub runs: &'a [(&'a str, &'a Figures, &'a Course)],
}

/// The picture, its words by `lettering`.
pub fn plot(drawing: &Drawing<'_>, lettering: &dyn Lettering) -> String {
    let Some((_, _, first)) = drawing.runs.first() else {
        return String::new();
    };
    let lines = wrapped(drawing.subtitle);
    let block = TITLE + SIZE + GAP + DELAY + GAP + LAG;
    let top = TOP + LINE * lines.len() as f64 + 10.0;
    let height = top + LOAD + drawing.runs.len() as f64 * block + 30.0;
    let mut svg = Svg::new(height, first, lettering);
    svg.text(
        LEFT,
        32.0,
        19.0,
        INK,
        Anchor::Start,
        Weight::SemiBold,
        drawing.title,
    );
    for (number, line) in lines.iter().enumerate() {
        let y = TOP + 8.0 + LINE * number as f64;
        svg.text(LEFT, y, 12.5, FAINT, Anchor::Start, Weight::Regular, line);
    }

    svg.load(top, first);
    let most = |value: &dyn Fn(&Course) -> f64| {
        let values = drawing.runs.iter().map(|run| value(run.2));
        values.fold(0.0, f64::max)
    };
    let largest = most(&|course| course.replicas.iter().copied().max().map_or(0.0, f64::from));
    let slowest = most(&|course| course.delay.iter().copied().fold(0.0, f64::max));
    let fullest = most(&|course| course.lag.iter().copied().max().unwrap_or(0) as f64);
    let mut top = top + LOAD;
    for (number, &(name, figures, course)) in drawing.runs.iter().enumerate() {
        let colour = COLOURS[number % COLOURS.len()];
        svg.heading(top, colour, name, figures);
        top += TITLE;
        svg.size(top, largest, colour, course);
        top += SIZE + GAP;
        svg.delay(top, slowest, drawing.promise, colour, course);
        top += DELAY + GAP;
        svg.lag(top, fullest, colour, course);
        top += LAG;
    }
    svg.close(top)
}

struct Svg<'a> {
    text: String,
    lettering: &'a dyn Lettering,
    /// Seconds that the panels are wide.
    length: f64,
    step: f64,
    ticks: f64,
}

impl<'a> Svg<'a> {
    fn new(height: f64, course: &Course, lettering: &'a dyn Lettering) -> Self {
        let length = f64::from(course.step) * course.lag.len() as f64;
        let mut text = String::new();
        let _ = write!(
            text,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
             width=\"{WIDTH}\" height=\"{height}\" \
             font-family=\"Inter, Helvetica, Arial, sans-serif\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
        );
        Self {
            text,
            lettering,
            length,
            step: f64::from(course.step),
            ticks: tick(length),
        }
    }

    fn close(mut self, bottom: f64) -> String {
        let mut at = 0.0;
        while at <= self.length {
            let words = whole_time(at);
            self.text(
                self.x(at),
                bottom + 17.0,
                10.5,
                FAINT,
                Anchor::Middle,
                Weight::Regular,
                &words,
            );
            at += self.ticks;
        }
        self.text.push_str("</svg>\n");
        self.text
    }
}

/// Lines that are not too long; each of `text`'s own begins anew.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for own in text.lines() {
        let mut line = String::new();
        for word in own.split(' ') {
            if !line.is_empty() && line.len() + word.len() >= CHARACTERS {
                lines.push(std::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn course() -> Course {
        Course {
            step: 60,
            arrivals: (0..120).map(f64::from).collect(),
            lag: (0..120).collect(),
            delay: (0..120).map(f64::from).collect(),
            replicas: (0..120).map(|n| n / 10).collect(),
        }
    }

    #[test]
    fn every_policy_is_drawn_with_its_name_and_the_promise() {
        let (course, figures) = (course(), Figures::default());
        let runs = [
            ("drover", &figures, &course),
            ("keda <a & b>", &figures, &course),
        ];
        let svg = plot(
            &Drawing {
                title: "load.csv",
                subtitle: "",
                promise: 60.0,
                runs: &runs,
            },
            &AsText,
        );
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
        for part in [">load.csv<", ">drover<", ">keda &lt;a &amp; b&gt;<"] {
            assert_eq!(svg.matches(part).count(), 1, "{part}");
        }
        assert_eq!(svg.matches(">promise<").count(), 2);
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }

    #[test]
    fn nothing_and_one_point_are_drawn_without_numbers_that_are_none() {
        let none = Drawing {
            title: "",
            subtitle: "",
            promise: 60.0,
            runs: &[],
        };
        assert_eq!(plot(&none, &AsText), "");
        let course = Course {
            step: 1,
            arrivals: vec![0.0],
            lag: vec![0],
            delay: vec![0.0],
            replicas: vec![0],
        };
        let svg = plot(
            &Drawing {
                runs: &[("idle", &Figures::default(), &course)],
                ..none
            },
            &AsText,
        );
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }

    #[test]
    fn what_is_too_long_for_a_line_goes_into_the_next() {
        assert_eq!(wrapped("one\ntwo words"), ["one", "two words"]);
        let long = "word ".repeat(60);
        let lines = wrapped(long.trim());
        assert_eq!(lines.len(), 2);
        assert_eq!(lines.join(" "), long.trim());
        assert!(lines.iter().all(|line| line.len() <= CHARACTERS));
    }
}
