//! Draws a [`Chart`]: from values to coordinates to SVG.
//!
//! ```text
//!   ── legend, as many rows as it needs
//!   y label
//!   ┌──────────┐  top
//!   │   plot   │
//!   └──────────┘  bottom
//!  left      right, x ticks, x label
//! ```

use std::fmt::Write as _;

use crate::report::axis::{Scale, Span, Tick};
use crate::report::curve::{Chart, Form, Series, Size, Stroke, escape};
use crate::report::decimate::decimate;

const ROW: f64 = 20.0;

impl Size {
    fn width(self) -> f64 {
        match self {
            Size::Wide => 880.0,
            Size::Narrow => 380.0,
        }
    }
}

struct Plot {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
    x: Span,
    y: Span,
}

impl Plot {
    fn x(&self, value: f64) -> Option<f64> {
        self.x.place(value).map(|place| self.left + (self.right - self.left) * place)
    }

    fn y(&self, value: f64) -> Option<f64> {
        self.y.place(value).map(|place| self.bottom - (self.bottom - self.top) * place)
    }
}

/// The `<svg>` element; `first` is put before everything that is drawn, `margin` left free around it.
pub(super) fn draw(chart: &Chart, size: Size, id: &str, first: &str, margin: f64) -> String {
    let (width, height) = (size.width(), chart.height);
    let (y_span, x_span) = (chart.y_span(), chart.x_span());
    let y_ticks = chart.y.ticks(&y_span, most_y_ticks(height));
    let x_ticks = chart.x.ticks(&x_span, if size == Size::Wide { 11 } else { 6 });
    let widest = y_ticks.iter().filter_map(|tick| tick.label.as_deref()).map(text_width).fold(0.0, f64::max);
    let (legend, legend_height) = legend(&chart.series, width);
    let plot = Plot {
        // The same for most charts, so that a moment stands at the same place in charts below one another.
        left: (widest + 12.0).max(56.0),
        right: width - 14.0,
        top: legend_height + ROW + 8.0,
        bottom: height - 2.0 * ROW - 4.0,
        x: x_span,
        y: y_span,
    };
    let view =
        format!("{:.0} {:.0} {:.0} {:.0}", -margin, -margin, width + 2.0 * margin, height + 2.0 * margin);
    let mut out = head(chart, &view, id, &plot);
    out.push_str(first);
    out.push_str(&legend);
    axes(&mut out, chart, &plot, &x_ticks, &y_ticks);
    for series in &chart.series {
        draw_series(&mut out, series, chart.x.scale, &plot);
    }
    for mark in &chart.marks {
        if let Some(y) = plot.y(mark.at) {
            put(
                &mut out,
                format_args!(
                    "<path class=\"mark\" d=\"M{:.1} {y:.1}H{:.1}\"/><text class=\"mark\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                    plot.left,
                    plot.right,
                    plot.right - 4.0,
                    y - 5.0,
                    escape(&mark.label)
                ),
            );
        }
    }
    out.push_str("</svg>");
    out
}

fn head(chart: &Chart, view: &str, id: &str, plot: &Plot) -> String {
    let id = escape(id);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"curve\" viewBox=\"{view}\" \
         data-plot=\"{:.1} {:.1} {:.1} {:.1}\" role=\"img\" aria-labelledby=\"{id}-title {id}-desc\">\
         <title id=\"{id}-title\">{}</title><desc id=\"{id}-desc\">{}</desc>",
        plot.left,
        plot.right,
        plot.top,
        plot.bottom,
        escape(&chart.title),
        escape(&chart.description)
    )
}

fn axes(out: &mut String, chart: &Chart, plot: &Plot, x_ticks: &[Tick], y_ticks: &[Tick]) {
    let Plot { left, right, top, bottom, .. } = *plot;
    for tick in y_ticks {
        let Some(y) = plot.y(tick.at) else { continue };
        let class = if tick.label.is_some() { "grid" } else { "grid minor" };
        put(out, format_args!("<path class=\"{class}\" d=\"M{left:.1} {y:.1}H{right:.1}\"/>"));
        if let Some(label) = &tick.label {
            put(
                out,
                format_args!(
                    "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                    left - 8.0,
                    y + 4.0,
                    escape(label)
                ),
            );
        }
    }
    let mut free_from = f64::NEG_INFINITY;
    for tick in x_ticks {
        let Some(x) = plot.x(tick.at) else { continue };
        put(out, format_args!("<path class=\"grid minor\" d=\"M{x:.1} {top:.1}V{bottom:.1}\"/>"));
        let Some(label) = &tick.label else { continue };
        let half = text_width(label) / 2.0;
        let middle = x.min(right + 12.0 - half);
        // Where two labels would touch, the second is left out; its line stays.
        if middle - half >= free_from {
            free_from = middle + half + 4.0;
            put(
                out,
                format_args!(
                    "<text x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                    bottom + 18.0,
                    escape(label)
                ),
            );
        }
    }
    put(out, format_args!("<path class=\"axis\" d=\"M{left:.1} {bottom:.1}H{right:.1}\"/>"));
    put(
        out,
        format_args!(
            "<text class=\"label\" x=\"2\" y=\"{:.1}\">{}</text>",
            top - 12.0,
            escape(&chart.y.label)
        ),
    );
    put(
        out,
        format_args!(
            "<text class=\"label\" x=\"{right:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            bottom + 18.0 + ROW - 2.0,
            escape(&chart.x.label)
        ),
    );
}

fn draw_series(out: &mut String, series: &Series, scale: Scale, plot: &Plot) {
    let colour = series.colour;
    let points = corners(series, scale, plot);
    let path = path(&points);
    if let Form::Area(_) = series.form {
        let base = plot.bottom;
        let mut closed = String::new();
        for run in points.split(|point| point.1.is_none()).filter(|run| !run.is_empty()) {
            let (first, last) = (run[0].0, run[run.len() - 1].0);
            put(&mut closed, format_args!("{}L{last:.1} {base:.1}L{first:.1} {base:.1}Z", self::path(run)));
        }
        put(out, format_args!("<path class=\"area c{colour}\" d=\"{closed}\"/>"));
    }
    put(
        out,
        format_args!(
            "<path class=\"line c{colour} {}\" data-label=\"{}\" d=\"{path}\"/>",
            class(series.stroke),
            escape(&series.label)
        ),
    );
    // A point between two gaps has no line; without a dot it would be invisible.
    let dots = points.iter().enumerate().filter(|(n, _)| {
        let gap = |at: Option<usize>| at.and_then(|at| points.get(at)).is_none_or(|point| point.1.is_none());
        series.form == Form::Dots || (gap(n.checked_sub(1)) && gap(Some(n + 1)))
    });
    for (_, (x, y)) in dots {
        if let Some(y) = y {
            put(out, format_args!("<circle class=\"dot c{colour}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\"/>"));
        }
    }
}

/// The points of a line in pixels; steps get their corners.
fn corners(series: &Series, scale: Scale, plot: &Plot) -> Vec<(f64, Option<f64>)> {
    let points = series.points.iter().filter_map(|&(x, y)| Some((plot.x(x)?, plot.y(y))));
    let points = decimate(&points.collect::<Vec<_>>(), 0.5);
    let (Form::Steps(width) | Form::Area(width)) = series.form else {
        return points;
    };
    let mut corners = Vec::with_capacity(points.len() * 2);
    for pair in points.windows(2) {
        corners.push(pair[0]);
        // A gap stays one; else the value holds until the next point.
        corners.push((pair[1].0, pair[0].1));
    }
    if let (Some(&last), Some(&(x, _))) = (points.last(), series.points.last()) {
        corners.push(last);
        let end = if scale == Scale::Quantile { Some(plot.right) } else { plot.x(x + width) };
        corners.extend(end.map(|end| (end, last.1)));
    }
    corners
}

fn path(points: &[(f64, Option<f64>)]) -> String {
    let mut path = String::new();
    let mut begun = false;
    for (x, y) in points {
        if let Some(y) = y {
            put(&mut path, format_args!("{}{x:.1} {y:.1}", if begun { 'L' } else { 'M' }));
        }
        begun = y.is_some();
    }
    path
}

fn legend(series: &[Series], width: f64) -> (String, f64) {
    const SWATCH: f64 = 28.0;
    if series.len() < 2 {
        return (String::new(), 0.0);
    }
    let (mut out, mut x, mut y) = (String::from("<g class=\"legend\">"), 2.0, 14.0);
    for series in series {
        let room = SWATCH + text_width(&series.label) + 14.0;
        if x > 2.0 && x + room > width {
            (x, y) = (2.0, y + ROW);
        }
        put(
            &mut out,
            format_args!(
                "<path class=\"line c{} {}\" d=\"M{x:.1} {:.1}h22\"/><text x=\"{:.1}\" y=\"{y:.1}\">{}</text>",
                series.colour,
                class(series.stroke),
                y - 4.0,
                x + SWATCH,
                escape(&series.label)
            ),
        );
        x += room;
    }
    out.push_str("</g>");
    (out, y + ROW - 8.0)
}

fn class(stroke: Stroke) -> &'static str {
    match stroke {
        Stroke::Solid => "solid",
        Stroke::Dashed => "dashed",
        Stroke::Dotted => "dotted",
    }
}

/// One for every 30 units of the plot.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small positive number")]
fn most_y_ticks(height: f64) -> usize {
    ((height - 80.0) / 30.0).max(4.0) as usize
}

/// How wide a text is at the size of ticks and legends, generously: the reader's font is not known.
fn text_width(text: &str) -> f64 {
    let width = |character| match character {
        'm' | 'w' | 'M' | 'W' | '%' => 11.5,
        'i' | 'l' | 'j' | 't' | 'f' | ' ' | '.' | ',' | ':' => 4.6,
        _ => 7.4,
    };
    text.chars().map(width).sum()
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing into a String can't fail.
    let _infallible = out.write_fmt(text);
}
