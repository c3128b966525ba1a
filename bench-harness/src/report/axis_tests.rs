use super::*;
use proptest::prelude::*;

fn labels(axis: &Axis, values: &[f64], wanted: usize) -> Vec<String> {
    let span = axis.span(values.iter().copied());
    axis.ticks(&span, wanted).into_iter().filter_map(|tick| tick.label).collect()
}

#[test]
fn a_linear_axis_begins_at_zero_and_has_round_ticks() {
    let axis = Axis::new("", Scale::Linear, Unit::Number);
    assert_eq!(labels(&axis, &[930.0, 1010.0], 5), ["0", "500", "1,000", "1,500"]);
    assert_eq!(labels(&axis, &[0.3], 5), ["0.0", "0.1", "0.2", "0.3", "0.4"]);
    assert_eq!(labels(&axis, &[], 5), ["0.0", "0.5", "1.0", "1.5"]);
}

#[test]
fn time_is_cut_into_parts_of_minutes() {
    let axis = Axis::new("", Scale::Linear, Unit::Time).from(0.0).to(120.0);
    assert_eq!(labels(&axis, &[], 6), ["0 s", "30 s", "60 s", "90 s", "2 min"]);
}

#[test]
fn a_logarithmic_axis_names_the_tens_and_more_where_there_is_room() {
    let axis = Axis::new("", Scale::Log, Unit::Latency);
    assert_eq!(labels(&axis, &[230.0, 1800.0], 8), ["200 µs", "500 µs", "1 ms", "2 ms"]);
    assert_eq!(labels(&axis, &[23.0, 180_000.0], 6), ["100 µs", "1 ms", "10 ms", "100 ms"]);
}

#[test]
fn a_quantile_axis_counts_nines() {
    let axis = Axis::new("", Scale::Quantile, Unit::Share).to(0.99996);
    assert_eq!(labels(&axis, &[], 9), ["0 %", "50 %", "90 %", "99 %", "99.9 %", "99.99 %"]);
    let span = axis.span([].into_iter());
    let place = |quantile| span.place(quantile).unwrap();
    assert!((place(0.99) / place(0.9) - 2.0).abs() < 1e-9 && (place(0.999) / place(0.9) - 3.0).abs() < 1e-9);
}

#[test]
fn what_has_no_place_is_left_out() {
    let span = Axis::new("", Scale::Log, Unit::Number).span([0.0, -1.0, f64::NAN, 10.0].into_iter());
    assert_eq!((span.place(0.0), span.place(f64::NAN)), (None, None));
    assert!(span.place(10.0).is_some());
}

proptest! {
    #[test]
    fn linear_ticks_are_few_even_round_and_inside(high in 1e-3_f64..1e9, wanted in 3_usize..12) {
        let axis = Axis::new("", Scale::Linear, Unit::Number);
        let span = axis.span([high].into_iter());
        let ticks = axis.ticks(&span, wanted);
        prop_assert!((2..=wanted).contains(&ticks.len()), "{ticks:?}");
        let step = ticks[1].at - ticks[0].at;
        let digit = step / 10_f64.powf(step.log10().floor() + 1e-9);
        prop_assert!([1.0, 2.0, 5.0, 10.0].iter().any(|round| (digit - round).abs() < 1e-3), "{digit}");
        for (tick, n) in ticks.iter().zip(0_u32..) {
            prop_assert!((tick.at - ticks[0].at - step * f64::from(n)).abs() < step * 1e-6);
            prop_assert!((0.0..=1.0).contains(&span.place(tick.at).unwrap()));
        }
        prop_assert!(span.to >= high * (1.0 - 1e-9));
    }

    #[test]
    fn labels_of_one_axis_all_differ(high in 1e-3_f64..1e9, wanted in 3_usize..12) {
        for scale in [Scale::Linear, Scale::Log] {
            let axis = Axis::new("", scale, Unit::Number);
            let labels = labels(&axis, &[high, high / 7.0], wanted);
            let different: std::collections::HashSet<_> = labels.iter().collect();
            prop_assert_eq!(different.len(), labels.len(), "{:?}", labels);
        }
    }

    #[test]
    fn logarithmic_ticks_rise_stay_inside_and_some_have_labels(
        low in 1e-3_f64..1e6, times in 1.0_f64..1e7, wanted in 3_usize..12
    ) {
        let axis = Axis::new("", Scale::Log, Unit::Latency);
        let span = axis.span([low, low * times].into_iter());
        let ticks = axis.ticks(&span, wanted);
        prop_assert!(ticks.is_sorted_by(|a, b| a.at < b.at));
        prop_assert!(ticks.iter().all(|tick| (0.0..=1.0).contains(&span.place(tick.at).unwrap())));
        let labelled = ticks.iter().filter(|tick| tick.label.is_some()).count();
        prop_assert!(labelled >= 1 && labelled <= wanted.max(7), "{ticks:?}");
        prop_assert!(span.from <= low * (1.0 + 1e-9) && span.to >= low * times * (1.0 - 1e-9));
    }

    #[test]
    fn a_place_leads_back_to_its_value(value in 0.001_f64..0.9999) {
        for scale in [Scale::Linear, Scale::Log, Scale::Quantile] {
            let span = Axis::new("", scale, Unit::Number).from(0.0001).to(0.99999).span([].into_iter());
            let back = span.value(span.place(value).unwrap());
            prop_assert!((back - value).abs() < 1e-9 * value.max(1.0), "{scale:?} {back}");
        }
    }

    #[test]
    fn places_keep_the_order(a in 0.0_f64..1e6, b in 0.0_f64..1e6) {
        for scale in [Scale::Linear, Scale::Log] {
            let span = Axis::new("", scale, Unit::Number).from(0.5).to(1e5).span([].into_iter());
            if let (Some(low), Some(high)) = (span.place(a.min(b)), span.place(a.max(b))) {
                prop_assert!(low <= high);
            }
        }
    }
}
