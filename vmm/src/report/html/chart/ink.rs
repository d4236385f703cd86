//! Inks: what a chart is drawn with. Plotters knows colours; the page knows classes, which its
//! style sheet colours for light and dark, and marks that carry their numbers. So each ink is a
//! colour that nobody sees, and is replaced in the finished SVG.

use plotters::style::RGBColor;
use std::collections::BTreeMap;

/// A class of the style sheet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Ink {
    /// A kernel's own colour.
    Kernel(usize),
    /// Text and marks that are nobody's.
    Plain,
    /// A function's name: in a font whose characters are [`CODE_PX`] wide.
    Code,
    /// Text that explains.
    Soft,
    /// The line that leads the eye.
    Hair,
}

/// The width of a character of [`Ink::Code`], or a little more.
pub(super) const CODE_PX: f32 = 7.3;
/// Kernels told apart by colour; further ones differ by shape.
pub(super) const COLOURS: usize = 8;

impl Ink {
    fn class(self) -> String {
        match self {
            Ink::Kernel(k) => format!("k{}", k % COLOURS),
            Ink::Plain => "plain".to_owned(),
            Ink::Code => "code".to_owned(),
            Ink::Soft => "soft".to_owned(),
            Ink::Hair => "hair".to_owned(),
        }
    }
}

/// Numbers a mark carries as `data-` attributes.
pub(in super::super) type Data<'a> = &'a [(&'static str, u64)];

/// The inks of one chart.
#[derive(Debug, Default)]
pub(super) struct Inks {
    /// Each ink's class and attributes, and the number its colour stands for.
    used: BTreeMap<(String, String), u32>,
}

impl Inks {
    /// The colour that stands for `ink` with `data`.
    pub(super) fn colour(&mut self, ink: Ink, data: Data<'_>) -> RGBColor {
        let data = data.iter().map(|(name, n)| format!(" data-{name}=\"{n}\""));
        let next = self.used.len() as u32;
        let number = self
            .used
            .entry((ink.class(), data.collect()))
            .or_insert(next);
        let [_, r, g, b] = number.to_be_bytes();
        RGBColor(r, g, b)
    }

    /// `svg` with classes for colours. Its text cannot be mistaken for an attribute: Plotters
    /// escapes quotes in it.
    pub(super) fn dress(&self, svg: &str) -> String {
        let used: BTreeMap<_, _> = self
            .used
            .iter()
            .map(|(ink, number)| (*number, ink))
            .collect();
        let mut out = String::with_capacity(svg.len() * 2);
        let mut rest = svg;
        while let Some(at) = rest.find("=\"#") {
            let (before, colour) = rest.split_at(at);
            let (colour, after) = colour[3..].split_at_checked(7).unwrap_or_default();
            let (before, kind) = split_word(before);
            let number = u32::from_str_radix(colour.trim_end_matches('"'), 16).ok();
            let ink = number.and_then(|number| used.get(&number));
            let (class, data) = ink.map_or(("", ""), |(c, d)| (c.as_str(), d.as_str()));
            out.push_str(&format!("{before}class=\"{kind}-{class}\"{data}"));
            rest = after;
        }
        out.push_str(rest);
        out
    }
}

/// The last word, and what is before it.
fn split_word(text: &str) -> (&str, &str) {
    text.split_at(text.rfind(' ').map_or(0, |space| space + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_become_classes_and_marks_carry_their_numbers() {
        let mut inks = Inks::default();
        let mark = inks.colour(Ink::Kernel(9), &[("traps", 514)]);
        let text = inks.colour(Ink::Soft, &[]);
        assert_eq!(inks.colour(Ink::Kernel(9), &[("traps", 514)]), mark);
        let hex = |c: RGBColor| format!("#{:02X}{:02X}{:02X}", c.0, c.1, c.2);
        let svg = format!(
            "<circle r=\"4\" fill=\"{}\" stroke=\"none\"/><line stroke=\"{}\" x1=\"0\"/>",
            hex(mark),
            hex(text)
        );
        assert_eq!(
            inks.dress(&svg),
            "<circle r=\"4\" class=\"fill-k1\" data-traps=\"514\" stroke=\"none\"/>\
             <line class=\"stroke-soft\" x1=\"0\"/>"
        );
    }
}
