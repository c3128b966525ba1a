//! Quantities as people read them: three significant digits and the unit that fits.

use std::fmt::Write as _;

/// A latency given in µs: `87 µs`, `1.24 ms`, `12.4 ms`, `3.02 s`, `2 min 5 s`.
#[must_use]
pub fn latency(us: f64) -> String {
    if us < 999.5 {
        format!("{} µs", digits(us))
    } else if us < 999_500.0 {
        format!("{} ms", digits(us / 1e3))
    } else {
        duration(us / 1e6)
    }
}

/// A length of time given in seconds: `0.5 s`, `30 s`, `2 min`, `2 min 5 s`, `1 h 30 min`.
#[must_use]
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "durations are positive")]
pub fn duration(seconds: f64) -> String {
    if seconds < 119.5 {
        return format!("{} s", digits(seconds));
    }
    let whole = seconds.round() as u64;
    let (big, small, units) = if whole < 3600 {
        (whole / 60, whole % 60, ("min", "s"))
    } else {
        (whole / 3600, whole % 3600 / 60, ("h", "min"))
    };
    if small == 0 { format!("{big} {}", units.0) } else { format!("{big} {} {small} {}", units.0, units.1) }
}

/// A count with its thousands apart: `1,234,567`.
#[must_use]
pub fn count(value: u64) -> String {
    let plain = value.to_string();
    let mut text = String::with_capacity(plain.len() * 4 / 3 + 1);
    for (at, digit) in plain.chars().enumerate() {
        if at > 0 && (plain.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Any number that is not negative: thousands apart from 100 on, three significant digits below.
#[must_use]
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "rates are positive and below 2^52"
)]
pub fn number(value: f64) -> String {
    if value >= 99.95 { count(value.round() as u64) } else { digits(value) }
}

/// A share (0 to 1): `99.98 %`. Only all is `100 %`, and only nothing `0 %`: rounding must not hide a failure.
#[must_use]
pub fn share(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "–".into();
    }
    #[allow(clippy::cast_precision_loss, reason = "counts below 2^52")]
    let percent = part as f64 * 100.0 / whole as f64;
    match part {
        0 => "0 %".into(),
        _ if part == whole => "100 %".into(),
        _ if part > whole => format!("{percent:.2} %"),
        _ if percent < 0.01 => "< 0.01 %".into(),
        _ if percent > 99.99 => "> 99.99 %".into(),
        _ => format!("{percent:.2} %"),
    }
}

/// A size: `512 B`, `1.5 KiB`, `3.2 GiB`.
#[must_use]
pub fn bytes(value: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    #[allow(clippy::cast_precision_loss, reason = "sizes below 2^52")]
    let mut value = value as f64;
    let mut unit = 0;
    while value >= 1023.5 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{} {}", digits(value), UNITS[unit])
}

/// A command line that a POSIX shell reads back as the same words.
#[must_use]
pub fn command(words: &[String]) -> String {
    let mut line = String::new();
    for word in words {
        let plain = !word.is_empty()
            && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./:=,@%+".contains(&byte));
        if !line.is_empty() {
            line.push(' ');
        }
        // Writing into a String can't fail.
        let _infallible =
            if plain { write!(line, "{word}") } else { write!(line, "'{}'", word.replace('\'', r"'\''")) };
    }
    line
}

/// Three significant digits, no zeros at the end behind a point.
fn digits(value: f64) -> String {
    let places = match value {
        value if value >= 99.95 => 0,
        value if value >= 9.995 => 1,
        _ => 2,
    };
    let text = format!("{value:.places$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_have_the_unit_that_fits() {
        for (us, text) in [
            (0.0, "0 µs"),
            (87.0, "87 µs"),
            (999.0, "999 µs"),
            (999.9, "1 ms"),
            (1240.0, "1.24 ms"),
            (12_449.0, "12.4 ms"),
            (999_499.0, "999 ms"),
            (999_999.0, "1 s"),
            (3_020_000.0, "3.02 s"),
            (125_000_000.0, "2 min 5 s"),
            (5_400_000_000.0, "1 h 30 min"),
        ] {
            assert_eq!(latency(us), text, "{us}");
        }
    }

    #[test]
    fn counts_have_their_thousands_apart() {
        for (value, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(count(value), text);
        }
        assert_eq!((number(12.5), number(1999.6)), ("12.5".into(), "2,000".into()));
    }

    #[test]
    fn a_share_is_never_rounded_to_all_or_nothing() {
        assert_eq!(share(1_000_000, 1_000_000), "100 %");
        assert_eq!(share(999_999, 1_000_000), "> 99.99 %");
        assert_eq!(share(1, 1_000_000), "< 0.01 %");
        assert_eq!(share(0, 5), "0 %");
        assert_eq!(share(1, 3), "33.33 %");
        assert_eq!(share(0, 0), "–");
    }

    #[test]
    fn sizes_are_binary() {
        assert_eq!(
            (bytes(512), bytes(1536), bytes(3 << 30)),
            ("512 B".into(), "1.5 KiB".into(), "3 GiB".into())
        );
    }

    #[test]
    fn a_command_can_be_pasted_into_a_shell() {
        let words = ["load", "--target=http://127.0.0.1:8088/c", "a b", "it's", ""].map(str::to_owned);
        assert_eq!(command(&words), r"load --target=http://127.0.0.1:8088/c 'a b' 'it'\''s' ''");
    }
}
