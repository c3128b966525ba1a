//! Patterns of allowed origins.

use super::settings::AllowedOrigin;

/// Parses one entry of `cors.origins`.
pub(super) fn parse(entry: &str) -> Result<AllowedOrigin, String> {
    const SHAPES: &str = "write \"https://shop.example.com\", \"https://*.example.com\" or \"*\"";
    if entry == "*" {
        return Ok(AllowedOrigin::Any);
    }
    let lower = entry.to_ascii_lowercase();
    let Some((scheme, host)) =
        ["http://", "https://"].iter().find_map(|scheme| Some((*scheme, lower.strip_prefix(scheme)?)))
    else {
        return Err(format!("{entry:?} does not begin with http:// or https://; {SHAPES}"));
    };
    let (wildcard, suffix) = match host.strip_prefix("*.") {
        Some(suffix) => (true, suffix),
        None => (false, host),
    };
    let (name, port) = suffix.split_once(':').map_or((suffix, None), |(name, port)| (name, Some(port)));
    let label = |label: &str| {
        !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    let port_is_one = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
    if !name.split('.').all(label) || !port_is_one {
        return Err(format!("{entry:?} is no origin: scheme, host and port, nothing behind; {SHAPES}"));
    }
    Ok(if wildcard {
        AllowedOrigin::Subdomain { scheme: scheme.into(), suffix: format!(".{suffix}") }
    } else {
        AllowedOrigin::Exact(lower)
    })
}

/// The entry as it is written.
pub(super) fn write(origin: &AllowedOrigin) -> String {
    match origin {
        AllowedOrigin::Any => "*".into(),
        AllowedOrigin::Exact(origin) => origin.clone(),
        AllowedOrigin::Subdomain { scheme, suffix } => format!("{scheme}*{suffix}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes() {
        for entry in [
            "*",
            "https://a.example.com",
            "http://localhost:3000",
            "https://*.example.com",
            "https://*.example.com:8443",
        ] {
            assert_eq!(write(&parse(entry).unwrap()), entry);
        }
        for entry in [
            "",
            "a.example.com",
            "https://",
            "https://a/",
            "https://a/b",
            "https://*",
            "https://*.",
            "https://a*.b",
            "ftp://a",
            "https://a:b",
            "https://a:0",
            "https://a..b",
            "https://u@a",
        ] {
            assert!(parse(entry).is_err(), "{entry}");
        }
    }
}
