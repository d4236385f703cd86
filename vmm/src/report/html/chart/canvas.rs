//! A chart's surface, in pixels. Goes out: an SVG with a title, for a style sheet to colour.

use super::ink::{Data, Ink, Inks};
use maud::{Markup, PreEscaped, Render};
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, DrawingAreaErrorKind, IntoDrawingArea};
use plotters::element::{Circle, PathElement, Polygon, Rectangle, Text};
use plotters::prelude::SVGBackend;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, IntoFont, IntoTextStyle, ShapeStyle};
use std::io;

/// Charts are as wide as a narrow phone's page: they stand in columns where there is room.
pub(in super::super) const WIDTH: i32 = 328;
/// What the charts of a page are drawn with, by the style sheet.
const FONT_PX: u32 = 12;

/// What drawing returns.
pub(in super::super) type Drawn = Result<(), DrawingAreaErrorKind<io::Error>>;

/// Where a text is, seen from its place.
#[derive(Clone, Copy, Debug)]
pub(in super::super) enum Side {
    /// It begins there.
    Right,
    /// It is centred there.
    Both,
    /// It ends there.
    Left,
}

/// The surface.
pub(in super::super) struct Canvas<'a> {
    area: DrawingArea<SVGBackend<'a>, Shift>,
    inks: &'a mut Inks,
}

/// Draws a chart of that height; `title` is what a screen reader says.
pub(in super::super) fn chart(
    height: i32,
    title: &str,
    paint: impl FnOnce(&mut Canvas<'_>) -> Drawn,
) -> Result<Markup, DrawingAreaErrorKind<io::Error>> {
    sized((WIDTH, height), title, paint)
}

/// As [`chart`], of any size.
pub(super) fn sized(
    (width, height): (i32, i32),
    title: &str,
    paint: impl FnOnce(&mut Canvas<'_>) -> Drawn,
) -> Result<Markup, DrawingAreaErrorKind<io::Error>> {
    let mut svg = String::new();
    let size = (width.unsigned_abs(), height.unsigned_abs());
    let mut inks = Inks::default();
    {
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        let inks = &mut inks;
        let mut canvas = Canvas { area, inks };
        paint(&mut canvas)?;
        canvas.area.present()?;
    }
    let svg = inks.dress(&svg);
    let titled = format!("<svg role=\"img\" aria-label=\"{}\" ", title.render().0);
    Ok(PreEscaped(svg.replacen("<svg ", &titled, 1)))
}

impl Canvas<'_> {
    /// A line of text at half its height.
    pub(in super::super) fn text(
        &mut self,
        at: (i32, i32),
        side: Side,
        ink: Ink,
        text: &str,
    ) -> Drawn {
        let h = match side {
            Side::Right => HPos::Left,
            Side::Both => HPos::Center,
            Side::Left => HPos::Right,
        };
        let font = ("sans-serif", FONT_PX).into_font();
        let style = font.color(&self.inks.colour(ink, &[]));
        let style = style.pos(Pos::new(h, VPos::Center));
        self.area
            .draw(&Text::new(text, at, style.into_text_style(&self.area)))
    }

    /// A line.
    pub(in super::super) fn line(&mut self, from: (i32, i32), to: (i32, i32), ink: Ink) -> Drawn {
        let style = ShapeStyle::from(&self.inks.colour(ink, &[]));
        self.area.draw(&PathElement::new(vec![from, to], style))
    }

    /// A bar.
    pub(in super::super) fn bar(
        &mut self,
        corners: [(i32, i32); 2],
        ink: Ink,
        data: Data<'_>,
    ) -> Drawn {
        let style = self.inks.colour(ink, data).filled();
        self.area.draw(&Rectangle::new(corners, style))
    }

    /// A mark; kernels' differ by shape as well as by colour.
    pub(in super::super) fn mark(&mut self, (x, y): (i32, i32), ink: Ink, data: Data<'_>) -> Drawn {
        let style = self.inks.colour(ink, data).filled();
        let polygon = |of: &[(i32, i32)]| {
            let points: Vec<_> = of.iter().map(|(dx, dy)| (x + dx, y + dy)).collect();
            Polygon::new(points, style)
        };
        let shape = match ink {
            Ink::Kernel(k) => (k + k / super::ink::COLOURS) % 4,
            Ink::Plain | Ink::Code | Ink::Soft | Ink::Hair => 0,
        };
        match shape {
            0 => self.area.draw(&Circle::new((x, y), 4, style)),
            1 => self
                .area
                .draw(&Rectangle::new([(x - 4, y - 4), (x + 4, y + 4)], style)),
            2 => self.area.draw(&polygon(&[(-5, 4), (0, -5), (5, 4)])),
            _ => self
                .area
                .draw(&polygon(&[(-5, 0), (0, -5), (5, 0), (0, 5)])),
        }
    }
}
