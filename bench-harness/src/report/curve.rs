//! Line charts as SVG: axes with round ticks, a legend, several series, marks; for a page or as a file of their own.
//!
//! Colours and strokes are classes, whose style (`curve.css`) follows the reader's light or dark scheme. Series
//! differ by colour and by stroke, so that neither colour blindness nor a grey printout hides which is which.

use std::fmt::Write as _;

use crate::report::axis::{Axis, Scale, Span};
use crate::report::svg;

/// The style of every chart; a page has it once, a standalone file brings its own.
pub const STYLE: &str = include_str!("curve.css");

/// How many colours there are; more series begin again with the first.
pub const COLOURS: u8 = 6;

/// The colour of what is not a result: a plan, a limit.
pub const NEUTRAL: u8 = COLOURS;

/// How a line is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stroke {
    /// In full.
    #[default]
    Solid,
    /// Thinner, dashed.
    Dashed,
    /// Thinner, dotted.
    Dotted,
}

/// What stands between two points.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Form {
    /// A straight line.
    #[default]
    Line,
    /// A straight line with a dot on every point: for few points that were each measured.
    Dots,
    /// The value holds from its point until the next: counts of an interval, distributions. The last one is as wide
    /// as given, in units of the x axis.
    Steps(f64),
    /// As `Steps`, filled down to the axis.
    Area(f64),
}

/// One line of a chart.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    pub(super) label: String,
    pub(super) points: Vec<(f64, f64)>,
    pub(super) colour: u8,
    pub(super) stroke: Stroke,
    pub(super) form: Form,
}

impl Series {
    /// Points rising in x; a y that is not a number is a gap.
    #[must_use]
    pub fn new(label: impl Into<String>, points: Vec<(f64, f64)>) -> Self {
        Self { label: label.into(), points, colour: 0, stroke: Stroke::Solid, form: Form::Line }
    }

    /// The colour, by its number, which begins again at [`COLOURS`]; or [`NEUTRAL`].
    #[must_use]
    pub fn colour(self, colour: u8) -> Self {
        Self { colour: if colour == NEUTRAL { NEUTRAL } else { colour % COLOURS }, ..self }
    }

    /// The stroke.
    #[must_use]
    pub fn stroke(self, stroke: Stroke) -> Self {
        Self { stroke, ..self }
    }

    /// What stands between two points.
    #[must_use]
    pub fn form(self, form: Form) -> Self {
        Self { form, ..self }
    }

    /// The y at `x`: of the last point not behind it for steps and on quantile axes, else only of a point right there.
    fn at(&self, x: f64, scale: Scale) -> Option<f64> {
        let behind = self.points.partition_point(|point| match scale {
            // A step of a distribution begins right behind the share of the smaller values: at that share it is theirs.
            Scale::Quantile => point.0 <= 0.0 || point.0 < x - 1e-12,
            _ => point.0 <= x,
        });
        let (px, py) = *self.points.get(behind.checked_sub(1)?)?;
        let holds = match self.form {
            _ if scale == Scale::Quantile => true,
            Form::Steps(width) | Form::Area(width) => behind < self.points.len() || x < px + width,
            Form::Line | Form::Dots => (x - px).abs() <= 1e-9 * x.abs().max(1.0),
        };
        (holds && py.is_finite()).then_some(py)
    }
}

/// A value on the y axis that matters by itself: an objective, a limit.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Mark {
    pub(super) at: f64,
    pub(super) label: String,
}

/// How large a chart is drawn. Text keeps its size; a page shows one or the other by the width of the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// For screens: 880 units wide.
    Wide,
    /// For phones: 380 units wide.
    Narrow,
}

/// A line chart.
#[derive(Clone, Debug, PartialEq)]
pub struct Chart {
    pub(super) title: String,
    pub(super) description: String,
    pub(super) x: Axis,
    pub(super) y: Axis,
    pub(super) series: Vec<Series>,
    pub(super) marks: Vec<Mark>,
    pub(super) height: f64,
}

/// What a chart says at one place of its x axis: for tooltips.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Reading {
    /// The place, 0 (left end of the axis) to 1.
    pub(super) place: f64,
    /// The value on the x axis.
    pub(super) at: String,
    /// For each series its value, where it has one.
    pub(super) values: Vec<Option<String>>,
}

impl Chart {
    /// A chart without series. The description tells those who can't see it what it shows.
    #[must_use]
    pub fn new(title: impl Into<String>, description: impl Into<String>, x: Axis, y: Axis) -> Self {
        Self {
            title: title.into(),
            description: description.into(),
            x,
            y,
            series: Vec::new(),
            marks: Vec::new(),
            height: 340.0,
        }
    }

    /// Adds a series.
    #[must_use]
    pub fn with(mut self, series: Series) -> Self {
        self.series.push(series);
        self
    }

    /// Adds a horizontal line at `at` with a label.
    #[must_use]
    pub fn mark(mut self, at: f64, label: impl Into<String>) -> Self {
        self.marks.push(Mark { at, label: label.into() });
        self
    }

    /// The height of the whole chart in units; 340 unless told.
    #[must_use]
    pub fn height(self, height: f64) -> Self {
        Self { height, ..self }
    }

    /// The chart as an element of an HTML page that has [`STYLE`]. `id` is unique in the page.
    #[must_use]
    pub fn inline(&self, size: Size, id: &str) -> String {
        svg::draw(self, size, id, "", 0.0)
    }

    /// The chart as an SVG file, style included.
    #[must_use]
    pub fn standalone(&self) -> String {
        const MARGIN: f64 = 14.0;
        let paper =
            format!("<rect class=\"paper\" x=\"-{MARGIN}\" y=\"-{MARGIN}\" width=\"100%\" height=\"100%\"/>");
        let style = format!("<style>{STYLE}</style>{paper}");
        let mut file = svg::draw(self, Size::Wide, "chart", &style, MARGIN);
        file.push('\n');
        file
    }

    pub(super) fn x_span(&self) -> Span {
        self.x.span(self.series.iter().flat_map(|series| {
            let width = match series.form {
                Form::Steps(width) | Form::Area(width) if self.x.scale == Scale::Linear => width,
                _ => 0.0,
            };
            let points = series.points.iter();
            points.flat_map(move |point| [point.0, point.0 + width])
        }))
    }

    pub(super) fn y_span(&self) -> Span {
        let points = self.series.iter().flat_map(|series| series.points.iter().map(|point| point.1));
        self.y.span(points.chain(self.marks.iter().map(|mark| mark.at)))
    }

    /// At most about `most` readings from left to right.
    pub(super) fn readings(&self, most: usize) -> Vec<Reading> {
        let span = self.x_span();
        let places: Vec<f64> = if self.x.scale == Scale::Quantile {
            #[allow(clippy::cast_precision_loss, reason = "few")]
            let mut places: Vec<f64> =
                (0..most).map(|n| span.round_quantile(n as f64 / most as f64)).collect();
            places.dedup_by(|a, b| (*a - *b).abs() < 1e-12);
            places
        } else {
            let mut places: Vec<f64> =
                self.series.iter().flat_map(|s| s.points.iter().map(|p| p.0)).collect();
            places.sort_by(f64::total_cmp);
            places.dedup();
            let every = places.len().div_ceil(most.max(1)).max(1);
            places.into_iter().step_by(every).collect()
        };
        let steps = self.series.iter().find_map(|series| match series.form {
            Form::Steps(width) | Form::Area(width) if self.x.scale == Scale::Linear => Some(width),
            _ => None,
        });
        let readings = places.into_iter().filter_map(|x| {
            let values =
                self.series.iter().map(|series| series.at(x, self.x.scale).map(|y| self.y.unit.reading(y)));
            // In the middle of its step.
            let place = span.place(x + steps.unwrap_or(0.0) / 2.0)?;
            Some(Reading { place, at: self.x.unit.reading(x), values: values.collect() })
        });
        readings.collect()
    }
}

/// `text` with everything escaped that means something in HTML or XML, in text and in quoted attributes.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // XML has no place for other control characters, not even escaped.
            character if character.is_control() && !matches!(character, '\n' | '\t') => {
                // Writing into a String can't fail.
                let _infallible = write!(escaped, "{}", character.escape_unicode());
            }
            character => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
#[path = "curve_tests.rs"]
mod tests;
