//! Elements: texts and lines, the frame of a panel, curves and stairs on its scale.

use std::fmt::Write;

use super::words::{Anchor, Weight, Words};
use super::{FAINT, GRID, LEFT, LOAD_INK, RIGHT, Svg};

/// A linear or logarithmic scale from values to a panel's height.
#[derive(Clone, Copy)]
pub(super) struct Scale {
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) log: bool,
    pub(super) top: f64,
    pub(super) height: f64,
}

impl Scale {
    pub(super) fn y(&self, value: f64) -> f64 {
        let value = value.clamp(self.low, self.high);
        let share = if self.log {
            (value / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        self.top + self.height * (1.0 - share)
    }

    pub(super) fn bottom(&self) -> f64 {
        self.top + self.height
    }
}

impl Svg<'_> {
    pub(super) fn x(&self, at: f64) -> f64 {
        LEFT + (RIGHT - LEFT) * at / self.length
    }

    #[allow(clippy::too_many_arguments, reason = "the attributes of one element")]
    pub(super) fn text(
        &mut self,
        x: f64,
        y: f64,
        size: f64,
        fill: &str,
        anchor: Anchor,
        weight: Weight,
        text: &str,
    ) {
        self.words(&Words {
            x,
            y,
            anchor,
            upright: false,
            size,
            weight,
            fill,
            text,
        });
    }

    fn words(&mut self, words: &Words<'_>) {
        let element = self.lettering.element(words);
        if !element.is_empty() {
            let _ = writeln!(self.text, "{element}");
        }
    }

    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64), stroke: &str, more: &str) {
        let _ = writeln!(
            self.text,
            "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" stroke=\"{stroke}\" {more}/>",
            from.0, from.1, to.0, to.1
        );
    }

    pub(super) fn path(&mut self, path: &str, style: &str) {
        let _ = writeln!(self.text, "<path d=\"{path}\" {style}/>");
    }

    /// Upright lines, lines at `marks` with their words, and what the panel shows.
    pub(super) fn panel(&mut self, scale: Scale, what: &str, marks: &[(f64, String)]) {
        let mut at = 0.0;
        while at <= self.length {
            let x = self.x(at);
            self.line((x, scale.top), (x, scale.bottom()), GRID, "");
            at += self.ticks;
        }
        for (value, words) in marks {
            let y = scale.y(*value);
            self.line((LEFT, y), (RIGHT, y), GRID, "");
            self.text(
                LEFT - 8.0,
                y + 3.5,
                10.0,
                FAINT,
                Anchor::End,
                Weight::Regular,
                words,
            );
        }
        self.words(&Words {
            x: 14.0,
            y: scale.top + scale.height / 2.0,
            anchor: Anchor::Middle,
            upright: true,
            size: 10.5,
            weight: Weight::Regular,
            fill: LOAD_INK,
            text: what,
        });
    }

    /// A line through the middle of each step.
    pub(super) fn curve(&self, scale: Scale, values: impl Iterator<Item = f64>) -> String {
        let mut path = String::new();
        for (number, value) in values.enumerate() {
            let x = self.x((number as f64 + 0.5) * self.step);
            let command = if number == 0 { 'M' } else { 'L' };
            let _ = write!(path, "{command}{x:.1} {:.1}", scale.y(value));
        }
        path
    }

    /// The same, filled down to the bottom.
    pub(super) fn area(&self, scale: Scale, values: impl Iterator<Item = f64>) -> String {
        let curve = self.curve(scale, values);
        let (left, right) = (
            self.x(self.step / 2.0),
            self.x(self.length - self.step / 2.0),
        );
        let bottom = scale.bottom();
        format!("{curve}L{right:.1} {bottom:.1}L{left:.1} {bottom:.1}Z")
    }

    /// Stairs, filled down to the bottom.
    pub(super) fn stairs(
        &self,
        scale: Scale,
        values: impl Iterator<Item = f64>,
    ) -> (String, String) {
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
}
