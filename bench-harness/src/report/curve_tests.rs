use super::*;
use crate::report::axis::Unit;

fn chart() -> Chart {
    Chart::new(
        "Title",
        "What it shows",
        Axis::new("rate", Scale::Linear, Unit::Number),
        Axis::new("p99", Scale::Log, Unit::Latency),
    )
}

/// The `d` of the line with this label.
fn path_of<'a>(svg: &'a str, label: &str) -> &'a str {
    let from = svg.find(&format!("data-label=\"{label}\"")).unwrap();
    svg[from..].split(" d=\"").nth(1).unwrap().split('"').next().unwrap()
}

#[test]
fn every_series_has_a_path_and_a_name() {
    let svg = chart()
        .with(Series::new("one", vec![(0.0, 100.0), (1.0, 200.0)]))
        .with(Series::new("two", vec![(0.0, 300.0), (1.0, 200.0)]).colour(1).stroke(Stroke::Dashed))
        .inline(Size::Wide, "a");
    assert!(path_of(&svg, "one").starts_with('M') && path_of(&svg, "two").contains('L'));
    assert!(
        svg.contains("<title id=\"a-title\">Title</title>")
            && svg.contains("aria-labelledby=\"a-title a-desc\"")
    );
    assert_eq!(svg.matches("class=\"legend\"").count(), 1);
}

#[test]
fn a_gap_breaks_the_line_and_a_lone_point_gets_a_dot() {
    let nan = f64::NAN;
    let points = vec![(0.0, 100.0), (1.0, 200.0), (2.0, nan), (3.0, 300.0), (4.0, nan)];
    let svg = chart().with(Series::new("gaps", points)).inline(Size::Narrow, "a");
    assert_eq!(path_of(&svg, "gaps").matches('M').count(), 2);
    assert_eq!(svg.matches("<circle").count(), 1);
    assert!(!svg.contains("NaN"));
}

#[test]
fn a_step_holds_until_the_next_point() {
    let points = vec![(0.0, 100.0), (1.0, 1000.0)];
    let svg = chart().with(Series::new("steps", points).form(Form::Steps(1.0))).inline(Size::Wide, "a");
    let path = path_of(&svg, "steps");
    let heights: Vec<&str> =
        path.split(['M', 'L']).filter(|at| !at.is_empty()).map(|at| at.split(' ').nth(1).unwrap()).collect();
    assert_eq!(heights.len(), 4, "{path}");
    assert!(heights[0] == heights[1] && heights[1] != heights[2] && heights[2] == heights[3], "{path}");
}

#[test]
fn a_file_stands_alone() {
    let file = chart().with(Series::new("one", vec![(0.0, 1.0)])).mark(20_000.0, "objective").standalone();
    assert!(
        file.starts_with("<svg xmlns=")
            && file.contains("prefers-color-scheme")
            && file.contains(">objective<")
    );
    let namespace = "http://www.w3.org/2000/svg";
    assert!(!file.replace(namespace, "").contains("http"), "it asks the network for something");
}

#[test]
fn data_can_not_become_markup() {
    let evil = "</title><script>alert(\"1\")</script>&'\u{1}";
    let svg = Chart::new(
        evil,
        evil,
        Axis::new(evil, Scale::Linear, Unit::Number),
        Axis::new(evil, Scale::Linear, Unit::Number),
    )
    .with(Series::new(evil, vec![(0.0, 1.0)]))
    .with(Series::new(evil, vec![(0.0, 1.0)]))
    .mark(1.0, evil)
    .inline(Size::Wide, evil);
    assert!(!svg.contains("<script") && !svg.contains("\"1\"") && !svg.contains('\u{1}'));
}

#[test]
fn readings_are_those_of_the_points() {
    let chart = chart()
        .with(Series::new("one", vec![(0.0, 100.0), (10.0, 2000.0)]))
        .with(Series::new("two", vec![(10.0, f64::NAN)]));
    let readings = chart.readings(100);
    assert_eq!(readings.len(), 2);
    assert_eq!(readings[1].at, "10");
    assert_eq!(readings[1].values, [Some("2 ms".to_owned()), None]);
    assert_eq!(readings[0].values, [Some("100 µs".to_owned()), None]);
}

#[test]
fn a_chart_without_data_is_still_one() {
    let svg = chart().with(Series::new("none", Vec::new())).inline(Size::Wide, "a");
    assert!(!svg.contains("NaN") && !svg.contains("inf") && svg.ends_with("</svg>"));
}
