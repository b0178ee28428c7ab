//! The panels: the load, and of each policy its figures, size, delay and lag.

use std::fmt::Write;

use super::marks::{brief, count, linear_marks};
use super::svg::Scale;
use super::words::{Anchor, Weight};
use super::{BROKEN, DELAY, INK, LAG, LEFT, LOAD, LOAD_INK, RIGHT, SIZE, Svg, TITLE};
use crate::simulation::measure::{Course, Figures};
use crate::simulation::table::{seconds, whole_seconds};

impl Svg<'_> {
    pub(super) fn load(&mut self, top: f64, course: &Course) {
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

    pub(super) fn heading(&mut self, top: f64, colour: &str, name: &str, figures: &Figures) {
        let y = top + TITLE - 10.0;
        let _ = writeln!(
            self.text,
            "<rect x=\"{LEFT}\" y=\"{:.1}\" width=\"10\" height=\"10\" rx=\"2\" fill=\"{colour}\"/>",
            y - 9.0
        );
        self.text(
            LEFT + 16.0,
            y,
            13.5,
            INK,
            Anchor::Start,
            Weight::SemiBold,
            name,
        );
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
        self.text(
            RIGHT,
            y,
            12.0,
            LOAD_INK,
            Anchor::End,
            Weight::Regular,
            &words,
        );
    }

    pub(super) fn size(&mut self, top: f64, most: f64, colour: &str, course: &Course) {
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

    pub(super) fn delay(
        &mut self,
        top: f64,
        most: f64,
        promise: f64,
        colour: &str,
        course: &Course,
    ) {
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
        self.text(
            LEFT - 8.0,
            y + 3.5,
            10.0,
            BROKEN,
            Anchor::End,
            Weight::SemiBold,
            &words,
        );
        self.text(
            RIGHT - 2.0,
            y - 4.0,
            9.5,
            BROKEN,
            Anchor::End,
            Weight::Regular,
            "promise",
        );
    }

    pub(super) fn lag(&mut self, top: f64, most: f64, colour: &str, course: &Course) {
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
}
