//! A picture of a run: the load, and below it what each policy made of it, as SVG.
//!
//! All policies have the same scales, so that they can be compared at a glance. Size and lag rise
//! from zero or one; delay is logarithmic, because the promise lies far below the worst.

use std::fmt::Write;

use super::measure::{Course, Figures};
use super::table::{seconds, whole_seconds};

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

/// A linear or logarithmic scale from values to a panel's height.
#[derive(Clone, Copy)]
struct Scale {
    low: f64,
    high: f64,
    log: bool,
    top: f64,
    height: f64,
}

impl Scale {
    fn y(&self, value: f64) -> f64 {
        let value = value.clamp(self.low, self.high);
        let share = if self.log {
            (value / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        self.top + self.height * (1.0 - share)
    }

    fn bottom(&self) -> f64 {
        self.top + self.height
    }
}

/// The picture.
pub fn plot(drawing: &Drawing<'_>) -> String {
    let Some((_, _, first)) = drawing.runs.first() else {
        return String::new();
    };
    let lines = wrapped(drawing.subtitle);
    let block = TITLE + SIZE + GAP + DELAY + GAP + LAG;
    let top = TOP + LINE * lines.len() as f64 + 10.0;
    let height = top + LOAD + drawing.runs.len() as f64 * block + 30.0;
    let mut svg = Svg::new(height, first);
    svg.text(LEFT, 32.0, 19.0, INK, "start", "600", drawing.title);
    for (number, line) in lines.iter().enumerate() {
        let y = TOP + 8.0 + LINE * number as f64;
        svg.text(LEFT, y, 12.5, FAINT, "start", "400", line);
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

struct Svg {
    text: String,
    /// Seconds that the panels are wide.
    length: f64,
    step: f64,
    ticks: f64,
}

impl Svg {
    fn new(height: f64, course: &Course) -> Self {
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
            length,
            step: f64::from(course.step),
            ticks: tick(length),
        }
    }

    fn x(&self, at: f64) -> f64 {
        LEFT + (RIGHT - LEFT) * at / self.length
    }

    #[allow(clippy::too_many_arguments, reason = "the attributes of one element")]
    fn text(
        &mut self,
        x: f64,
        y: f64,
        size: f64,
        fill: &str,
        anchor: &str,
        weight: &str,
        text: &str,
    ) {
        let text = text
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;");
        let _ = writeln!(
            self.text,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{size}\" fill=\"{fill}\" \
             text-anchor=\"{anchor}\" font-weight=\"{weight}\">{text}</text>"
        );
    }

    fn line(&mut self, from: (f64, f64), to: (f64, f64), stroke: &str, more: &str) {
        let _ = writeln!(
            self.text,
            "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" stroke=\"{stroke}\" {more}/>",
            from.0, from.1, to.0, to.1
        );
    }

    fn path(&mut self, path: &str, style: &str) {
        let _ = writeln!(self.text, "<path d=\"{path}\" {style}/>");
    }

    /// Upright lines, lines at `marks` with their words, and what the panel shows.
    fn panel(&mut self, scale: Scale, what: &str, marks: &[(f64, String)]) {
        let mut at = 0.0;
        while at <= self.length {
            let x = self.x(at);
            self.line((x, scale.top), (x, scale.bottom()), GRID, "");
            at += self.ticks;
        }
        for (value, words) in marks {
            let y = scale.y(*value);
            self.line((LEFT, y), (RIGHT, y), GRID, "");
            self.text(LEFT - 8.0, y + 3.5, 10.0, FAINT, "end", "400", words);
        }
        let (x, y) = (14.0, scale.top + scale.height / 2.0);
        let _ = writeln!(
            self.text,
            "<text x=\"{x}\" y=\"{y:.1}\" font-size=\"10.5\" fill=\"{LOAD_INK}\" \
             text-anchor=\"middle\" transform=\"rotate(-90 {x} {y:.1})\">{what}</text>"
        );
    }

    /// A line through the middle of each step.
    fn curve(&self, scale: Scale, values: impl Iterator<Item = f64>) -> String {
        let mut path = String::new();
        for (number, value) in values.enumerate() {
            let x = self.x((number as f64 + 0.5) * self.step);
            let command = if number == 0 { 'M' } else { 'L' };
            let _ = write!(path, "{command}{x:.1} {:.1}", scale.y(value));
        }
        path
    }

    /// The same, filled down to the bottom.
    fn area(&self, scale: Scale, values: impl Iterator<Item = f64>) -> String {
        let curve = self.curve(scale, values);
        let (left, right) = (
            self.x(self.step / 2.0),
            self.x(self.length - self.step / 2.0),
        );
        let bottom = scale.bottom();
        format!("{curve}L{right:.1} {bottom:.1}L{left:.1} {bottom:.1}Z")
    }

    /// Stairs, filled down to the bottom.
    fn stairs(&self, scale: Scale, values: impl Iterator<Item = f64>) -> (String, String) {
        let mut path = String::new();
        let mut last = f64::NAN;
        for (number, value) in values.enumerate() {
            let (x, y) = (self.x(number as f64 * self.step), scale.y(value));
            if number == 0 {
                let _ = write!(path, "M{x:.1} {y:.1}");
            } else if y != last {
                let _ = write!(path, "H{x:.1}V{y:.1}");
            }
            last = y;
        }
        let _ = write!(path, "H{RIGHT}");
        let filled = format!("{path}V{:.1}H{LEFT}Z", scale.bottom());
        (path, filled)
    }

    fn load(&mut self, top: f64, course: &Course) {
        let most = course.arrivals.iter().copied().fold(0.0, f64::max);
        let (high, marks) = linear_marks(most);
        let scale = Scale {
            low: 0.0,
            high,
            log: false,
            top,
            height: LOAD,
        };
        self.panel(scale, "records/s", &marks);
        let area = self.area(scale, course.arrivals.iter().copied());
        self.path(&area, &format!("fill=\"{LOAD_INK}\" fill-opacity=\"0.18\""));
        let curve = self.curve(scale, course.arrivals.iter().copied());
        let style = format!("fill=\"none\" stroke=\"{LOAD_INK}\" stroke-width=\"1\"");
        self.path(&curve, &style);
    }

    fn heading(&mut self, top: f64, colour: &str, name: &str, figures: &Figures) {
        let y = top + TITLE - 10.0;
        let _ = writeln!(
            self.text,
            "<rect x=\"{LEFT}\" y=\"{:.1}\" width=\"10\" height=\"10\" rx=\"2\" fill=\"{colour}\"/>",
            y - 9.0
        );
        self.text(LEFT + 16.0, y, 13.5, INK, "start", "600", name);
        let over = match figures.seconds_over {
            0 => "promise kept".to_owned(),
            over => format!("{} over the promise", whole_seconds(over)),
        };
        let words = format!(
            "{:.1} pod-hours  ·  {over}  ·  p99 {}  ·  {} rebalances  ·  at most {} pods",
            figures.pod_hours,
            seconds(figures.p99),
            figures.rebalances,
            figures.peak
        );
        self.text(RIGHT, y, 12.0, LOAD_INK, "end", "400", &words);
    }

    fn size(&mut self, top: f64, most: f64, colour: &str, course: &Course) {
        let (high, marks) = linear_marks(most);
        let scale = Scale {
            low: 0.0,
            high,
            log: false,
            top,
            height: SIZE,
        };
        self.panel(scale, "pods", &marks);
        let (line, filled) = self.stairs(scale, course.replicas.iter().map(|&n| f64::from(n)));
        self.path(&filled, &format!("fill=\"{colour}\" fill-opacity=\"0.22\""));
        let style = format!("fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.3\"");
        self.path(&line, &style);
    }

    fn delay(&mut self, top: f64, most: f64, promise: f64, colour: &str, course: &Course) {
        let low = (promise / 100.0).min(1.0);
        let high = (most * 1.15).max(promise * 2.0);
        let scale = Scale {
            low,
            high,
            log: true,
            top,
            height: DELAY,
        };
        let steps = [
            0.01, 0.1, 1.0, 10.0, 60.0, 600.0, 3600.0, 36_000.0, 360_000.0,
        ];
        // What would lie on the promise's own words is left out.
        let clear = |value: &f64| {
            *value >= low
                && *value <= high
                && (value / promise).ln().abs() > (high / low).ln() * 0.16
        };
        let mut marks: Vec<(f64, String)> = Vec::new();
        for value in steps.into_iter().filter(clear) {
            let apart = marks
                .last()
                .is_none_or(|last| scale.y(last.0) - scale.y(value) > 12.0);
            if apart {
                marks.push((value, brief(value)));
            }
        }
        self.panel(scale, "delay", &marks);
        let y = scale.y(promise);
        // What is over the promise stands out.
        let id = format!("over{top:.0}");
        let _ = writeln!(
            self.text,
            "<clipPath id=\"{id}\"><rect x=\"{LEFT}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\"/></clipPath>",
            RIGHT - LEFT,
            y - top
        );
        let area = self.area(scale, course.delay.iter().map(|&delay| delay.max(low)));
        self.path(
            &area,
            &format!("fill=\"{BROKEN}\" fill-opacity=\"0.55\" clip-path=\"url(#{id})\""),
        );
        let curve = self.curve(scale, course.delay.iter().map(|&delay| delay.max(low)));
        let style = format!("fill=\"none\" stroke=\"{colour}\" stroke-width=\"0.9\"");
        self.path(&curve, &style);
        let dashes = "stroke-width=\"1.2\" stroke-dasharray=\"5 3\"";
        self.line((LEFT, y), (RIGHT, y), BROKEN, dashes);
        let words = brief(promise);
        self.text(LEFT - 8.0, y + 3.5, 10.0, BROKEN, "end", "600", &words);
        self.text(RIGHT - 2.0, y - 4.0, 9.5, BROKEN, "end", "400", "promise");
    }

    fn lag(&mut self, top: f64, most: f64, colour: &str, course: &Course) {
        let high = 10_f64.powf(most.max(10.0).log10().ceil());
        let scale = Scale {
            low: 1.0,
            high,
            log: true,
            top,
            height: LAG,
        };
        let marks = [(1.0, "1".to_owned()), (high, count(high))];
        self.panel(scale, "lag", &marks);
        let area = self.area(scale, course.lag.iter().map(|&lag| (lag as f64).max(1.0)));
        self.path(&area, &format!("fill=\"{colour}\" fill-opacity=\"0.45\""));
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
                "middle",
                "400",
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

/// The time between two upright lines: twelve or fewer of them.
fn tick(length: f64) -> f64 {
    let minutes = [
        1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 180.0, 240.0, 360.0, 720.0,
    ];
    let steps = minutes.map(|minutes| 60.0 * minutes);
    let days = (1..).map(|days| 86_400.0 * f64::from(days));
    let mut all = steps.into_iter().chain(days);
    all.find(|step| length / step <= 12.0).unwrap_or(length)
}

fn whole_time(at: f64) -> String {
    let minutes = (at / 60.0).round() as u64;
    match (minutes / 60, minutes % 60) {
        (0, 0) => "0".to_owned(),
        (0, minutes) => format!("{minutes}m"),
        (hours, 0) => format!("{hours}h"),
        (hours, minutes) => format!("{hours}h{minutes:02}"),
    }
}

/// A linear scale's end, and two lines on it.
fn linear_marks(most: f64) -> (f64, Vec<(f64, String)>) {
    let most = most.max(1e-3);
    let power = 10_f64.powf(most.log10().floor());
    let steps = [1.0, 1.2, 1.6, 2.0, 2.4, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0];
    let nice = steps.map(|step| step * power);
    let high = nice.into_iter().find(|&nice| nice >= most * 1.02);
    let high = high.unwrap_or(most * 1.1);
    let marks = [0.0, high / 2.0, high].map(|value| (value, count(value)));
    (high, marks.to_vec())
}

/// Such as `0.5`, `40`, `2k` or `1.5M`.
fn count(value: f64) -> String {
    let (value, unit) = match value {
        v if v >= 1e6 => (v / 1e6, "M"),
        v if v >= 1e4 => (v / 1e3, "k"),
        v => (v, ""),
    };
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    format!("{text}{unit}")
}

/// Such as `0.1s`, `30s`, `10m` or `1h`.
fn brief(value: f64) -> String {
    match value {
        v if v >= 3600.0 && v % 3600.0 == 0.0 => format!("{:.0}h", v / 3600.0),
        v if v >= 60.0 && v % 60.0 == 0.0 => format!("{:.0}m", v / 60.0),
        v => format!("{}s", count(v)),
    }
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
        let svg = plot(&Drawing {
            title: "load.csv",
            subtitle: "",
            promise: 60.0,
            runs: &runs,
        });
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
        assert_eq!(plot(&none), "");
        let course = Course {
            step: 1,
            arrivals: vec![0.0],
            lag: vec![0],
            delay: vec![0.0],
            replicas: vec![0],
        };
        let svg = plot(&Drawing {
            runs: &[("idle", &Figures::default(), &course)],
            ..none
        });
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

    #[test]
    fn lines_of_time_are_few_and_numbers_short() {
        for (length, step) in [(600.0, 60.0), (86_400.0, 7200.0), (48.0 * 3600.0, 14_400.0)] {
            assert_eq!(tick(length), step, "{length}");
        }
        assert_eq!(tick(14.0 * 86_400.0), 2.0 * 86_400.0);
        for (value, words) in [
            (0.5, "0.5"),
            (48.0, "48"),
            (12_000.0, "12k"),
            (2.5e6, "2.5M"),
        ] {
            assert_eq!(count(value), words);
        }
        for (value, words) in [(0.1, "0.1s"), (60.0, "1m"), (90.0, "90s"), (7200.0, "2h")] {
            assert_eq!(brief(value), words);
        }
    }
}
