//! The file of `--plot`: the SVG as it is, or drawn as PNG.
//!
//! A PNG looks the same everywhere, so its letters are from the binary and not from the machine: they are outlines
//! before the picture is drawn.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Context, bail};
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree};
use ttf_parser::{Face, GlyphId, OutlineBuilder};

use crate::simulation::{Anchor, AsText, Lettering, Weight, Words};

const REGULAR: &[u8] = include_bytes!("fonts/Inter-Regular.ttf");
const SEMI_BOLD: &[u8] = include_bytes!("fonts/Inter-SemiBold.ttf");

/// Pixels for each unit of the SVG: sharp on screens of today, and in a document.
const ZOOM: f32 = 2.0;

/// A file to draw into.
pub(super) struct Picture<'a> {
    file: &'a Path,
    is_png: bool,
}

impl<'a> Picture<'a> {
    /// What the name of `file` says.
    ///
    /// # Errors
    /// It is neither an SVG's nor a PNG's.
    pub(super) fn of(file: &'a Path) -> anyhow::Result<Self> {
        let is_png = match file.extension().and_then(|extension| extension.to_str()) {
            Some("svg") => false,
            Some("png") => true,
            _ => bail!(
                "--plot {}: name a file that ends with .svg or .png",
                file.display()
            ),
        };
        Ok(Self { file, is_png })
    }

    /// Writes what `svg` draws with the letters that it is given.
    ///
    /// # Errors
    /// The file cannot be written, or the picture is too large.
    pub(super) fn draw(self, svg: impl Fn(&dyn Lettering) -> String) -> anyhow::Result<()> {
        let bytes = match self.is_png {
            true => png(&svg(&Outlines::load()?))?,
            false => svg(&AsText).into_bytes(),
        };
        fs::write(self.file, bytes).with_context(|| format!("write {}", self.file.display()))
    }
}

/// An SVG without text, drawn.
fn png(svg: &str) -> anyhow::Result<Vec<u8>> {
    let tree = Tree::from_str(svg, &Options::default()).context("draw the picture")?;
    let size = tree.size().to_int_size().scale_by(ZOOM);
    let pixels = size.and_then(|size| Pixmap::new(size.width(), size.height()));
    let mut pixels =
        pixels.context("the picture is too large for a PNG; try fewer policies, or an SVG")?;
    resvg::render(
        &tree,
        Transform::from_scale(ZOOM, ZOOM),
        &mut pixels.as_mut(),
    );
    pixels.encode_png().context("write the picture as PNG")
}

/// Words as the outlines of their letters.
struct Outlines {
    regular: Face<'static>,
    semi_bold: Face<'static>,
}

impl Outlines {
    fn load() -> anyhow::Result<Self> {
        let read = |font| Face::parse(font, 0).context("read a font of the binary");
        Ok(Self {
            regular: read(REGULAR)?,
            semi_bold: read(SEMI_BOLD)?,
        })
    }
}

impl Lettering for Outlines {
    fn element(&self, words: &Words<'_>) -> String {
        let face = match words.weight {
            Weight::Regular => &self.regular,
            Weight::SemiBold => &self.semi_bold,
        };
        // A letter that the font does not have is its first glyph, a box.
        let letters = words.text.chars();
        let glyphs: Vec<GlyphId> = letters
            .map(|letter| face.glyph_index(letter).unwrap_or_default())
            .collect();
        let advance = |glyph: &GlyphId| f32::from(face.glyph_hor_advance(*glyph).unwrap_or(0));
        let width: f32 = glyphs.iter().map(advance).sum();
        let mut pen = Pen {
            path: String::new(),
            x: match words.anchor {
                Anchor::Start => 0.0,
                Anchor::Middle => -width / 2.0,
                Anchor::End => -width,
            },
        };
        for glyph in &glyphs {
            face.outline_glyph(*glyph, &mut pen);
            pen.x += advance(glyph);
        }
        if pen.path.is_empty() {
            return String::new();
        }
        let Words { x, y, fill, .. } = words;
        let scale = words.size / f64::from(face.units_per_em());
        let turned = if words.upright { " rotate(-90)" } else { "" };
        // Fonts count upwards.
        format!(
            "<path transform=\"translate({x:.1} {y:.1}){turned} scale({scale:.6} -{scale:.6})\" fill=\"{fill}\" d=\"{}\"/>",
            pen.path
        )
    }
}

/// Writes outlines as a path, each from where the one before ends.
struct Pen {
    path: String,
    x: f32,
}

impl OutlineBuilder for Pen {
    fn move_to(&mut self, x: f32, y: f32) {
        let _ = write!(self.path, "M{} {y}", self.x + x);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        let _ = write!(self.path, "L{} {y}", self.x + x);
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        let _ = write!(self.path, "Q{} {y1} {} {y}", self.x + x1, self.x + x);
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        let (x1, x2, x) = (self.x + x1, self.x + x2, self.x + x);
        let _ = write!(self.path, "C{x1} {y1} {x2} {y2} {x} {y}");
    }

    fn close(&mut self) {
        self.path.push('Z');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where there is ink: the least and the most of x and of y, in units of the SVG, and how many pixels.
    fn ink(words: &Words<'_>) -> Option<(f32, f32, f32, f32, usize)> {
        let element = Outlines::load().unwrap().element(words);
        let svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"200\" height=\"100\">\
             <rect width=\"100%\" height=\"100%\" fill=\"white\"/>{element}</svg>"
        );
        let drawn = Pixmap::decode_png(&png(&svg).unwrap()).unwrap();
        assert_eq!((drawn.width(), drawn.height()), (400, 200));
        let dark = drawn.pixels().iter().enumerate();
        let dark: Vec<(f32, f32)> = dark
            .filter(|(_, pixel)| pixel.red() < 128)
            .map(|(at, _)| ((at % 400) as f32 / ZOOM, (at / 400) as f32 / ZOOM))
            .collect();
        let (x, y) = *dark.first()?;
        let bounds = dark.iter().fold((x, x, y, y), |(a, b, c, d), &(x, y)| {
            (a.min(x), b.max(x), c.min(y), d.max(y))
        });
        Some((bounds.0, bounds.1, bounds.2, bounds.3, dark.len()))
    }

    const WORDS: Words<'_> = Words {
        x: 100.0,
        y: 50.0,
        anchor: Anchor::Start,
        upright: false,
        size: 20.0,
        weight: Weight::Regular,
        fill: "black",
        text: "drover",
    };

    #[test]
    fn words_stand_where_they_should_and_are_read_from_left_to_right() {
        let (left, right, top, bottom, pixels) = ink(&WORDS).unwrap();
        assert!(pixels > 100, "{pixels}");
        assert!((100.0..102.0).contains(&left), "{left}");
        assert!((140.0..165.0).contains(&right), "{right}");
        // On their line, nothing below it, and as high as a d.
        assert!((49.0..51.0).contains(&bottom), "{bottom}");
        assert!((30.0..38.0).contains(&top), "{top}");

        let end = Words {
            anchor: Anchor::End,
            ..WORDS
        };
        let (left, right, ..) = ink(&end).unwrap();
        assert!((35.0..60.0).contains(&left) && (98.0..100.0).contains(&right));
        let middle = Words {
            anchor: Anchor::Middle,
            ..WORDS
        };
        let (left, right, ..) = ink(&middle).unwrap();
        assert!((left + right - 200.0).abs() < 4.0, "{left} {right}");

        let upright = Words {
            upright: true,
            text: "lag",
            ..WORDS
        };
        let (left, right, top, bottom, _) = ink(&upright).unwrap();
        assert!(right - left < bottom - top, "{left} {right} {top} {bottom}");
        assert!((48.0..51.0).contains(&bottom), "{bottom}");
    }

    #[test]
    fn heavier_words_have_more_ink_and_strange_letters_are_boxes() {
        let heavy = Words {
            weight: Weight::SemiBold,
            ..WORDS
        };
        assert!(ink(&heavy).unwrap().4 > ink(&WORDS).unwrap().4);
        let text = |text| Words { text, ..WORDS };
        assert_eq!(ink(&text("")), None);
        assert_eq!(ink(&text("\u{3042}")), ink(&text("\u{1f600}")));
        assert!(ink(&text("\u{3042}")).is_some());
        for signs in ["·", "×", "é", "Ω", "ж", "<&>"] {
            assert_ne!(ink(&text(signs)), ink(&text("\u{3042}")), "{signs}");
        }
    }
}
