//! Leaves out the points of a curve that no eye could tell apart, never its peaks.

/// Of all points in one column of `width` (pixels) keeps the first, the lowest, the highest and the last, in order.
/// `points` are in pixels, rising in x; what has no y (a gap) is kept.
pub(super) fn decimate(points: &[(f64, Option<f64>)], width: f64) -> Vec<(f64, Option<f64>)> {
    let mut kept = Vec::new();
    for column in points.chunk_by(|a, b| same_column(*a, *b, width)) {
        if column.len() <= 4 {
            kept.extend_from_slice(column);
            continue;
        }
        let by_height = |a: &usize, b: &usize| {
            column[*a].1.partial_cmp(&column[*b].1).unwrap_or(std::cmp::Ordering::Equal)
        };
        let low = (0..column.len()).min_by(by_height).unwrap_or(0);
        let high = (0..column.len()).max_by(by_height).unwrap_or(0);
        let mut keep = [0, low.min(high), low.max(high), column.len() - 1].to_vec();
        keep.dedup();
        kept.extend(keep.into_iter().map(|at| column[at]));
    }
    kept
}

fn same_column(a: (f64, Option<f64>), b: (f64, Option<f64>), width: f64) -> bool {
    (a.0 / width).floor().total_cmp(&(b.0 / width).floor()).is_eq() && a.1.is_some() && b.1.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_gap_is_kept() {
        let points = [(0.0, Some(1.0)), (0.1, None), (0.2, Some(1.0))];
        assert_eq!(decimate(&points, 1.0), points);
    }

    proptest! {
        #[test]
        fn few_points_are_left_and_every_peak_is_one(heights in prop::collection::vec(0_u16..500, 0..3000)) {
            let points: Vec<_> =
                heights.iter().zip(0_u32..).map(|(y, n)| (f64::from(n) * 0.01, Some(f64::from(*y)))).collect();
            let kept = decimate(&points, 0.5);
            prop_assert!(kept.len() <= 4 * (heights.len() / 50 + 2));
            prop_assert!(kept.is_sorted_by(|a, b| a.0 <= b.0));
            let highest = |of: &[(f64, Option<f64>)]| of.iter().filter_map(|p| p.1).fold(f64::MIN, f64::max);
            let lowest = |of: &[(f64, Option<f64>)]| of.iter().filter_map(|p| p.1).fold(f64::MAX, f64::min);
            prop_assert!(highest(&kept).total_cmp(&highest(&points)).is_eq());
            prop_assert!(lowest(&kept).total_cmp(&lowest(&points)).is_eq());
        }
    }
}
