//! Words in a picture: as text, or as somebody else draws them.

/// A line of words.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Words<'a> {
    /// Where they stand: the line that letters stand on, and which end of it.
    pub x: f64,
    /// See `x`.
    pub y: f64,
    /// Which end of them is there.
    pub anchor: Anchor,
    /// Upwards instead of to the right.
    pub upright: bool,
    /// The height of the font.
    pub size: f64,
    /// How heavy it is.
    pub weight: Weight,
    /// Their colour.
    pub fill: &'a str,
    /// As they are read.
    pub text: &'a str,
}

/// Which end of some words is at their place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// The first letter.
    Start,
    /// None: it is their middle.
    Middle,
    /// The last letter.
    End,
}

/// How heavy a font is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// As most words are.
    Regular,
    /// Names and what matters.
    SemiBold,
}

/// How words become a part of an SVG.
pub trait Lettering {
    /// One element, or nothing.
    fn element(&self, words: &Words<'_>) -> String;
}

/// For programs that have fonts.
#[derive(Clone, Copy, Debug)]
pub struct AsText;

impl Lettering for AsText {
    fn element(&self, words: &Words<'_>) -> String {
        let text = words
            .text
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;");
        let anchor = match words.anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let weight = match words.weight {
            Weight::Regular => 400,
            Weight::SemiBold => 600,
        };
        let Words {
            x, y, size, fill, ..
        } = words;
        let turned = match words.upright {
            true => format!(" transform=\"rotate(-90 {x:.1} {y:.1})\""),
            false => String::new(),
        };
        format!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{size}\" fill=\"{fill}\" \
             text-anchor=\"{anchor}\" font-weight=\"{weight}\"{turned}>{text}</text>"
        )
    }
}
