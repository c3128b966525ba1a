//! What the function's environment says.

/// Where objects go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `S3_BUCKET`
    pub bucket: String,
    /// `S3_PREFIX`: empty, or with a slash at its end.
    pub prefix: String,
    /// `DEAD_LETTER_PREFIX`, by default `dead-letter/`: not where the ETL looks.
    pub dead_letter_prefix: String,
    /// `GZIP_LEVEL`: 1 to 9, by default 6.
    pub gzip_level: u32,
}

/// A variable that can't work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{variable} = {value:?}: {problem}")]
pub struct Problem {
    /// Its name.
    pub variable: &'static str,
    /// Its value.
    pub value: String,
    /// What is wrong, and what would work.
    pub problem: &'static str,
}

impl Settings {
    /// Reads them by `get`. As in the system that this replaces, `__NOT_SET__` is absent.
    ///
    /// # Errors
    /// The first variable that can't work.
    pub fn read(get: impl Fn(&str) -> Option<String>) -> Result<Self, Problem> {
        let get = |variable| get(variable).filter(|value| value != "__NOT_SET__");
        let bucket = get("S3_BUCKET").unwrap_or_default();
        if bucket.is_empty() {
            let problem = "is missing: the bucket that events go to";
            return Err(Problem { variable: "S3_BUCKET", value: bucket, problem });
        }
        let prefix = prefix("S3_PREFIX", get("S3_PREFIX").unwrap_or_default())?;
        let dead = get("DEAD_LETTER_PREFIX").filter(|value| !value.is_empty());
        let dead_letter_prefix =
            self::prefix("DEAD_LETTER_PREFIX", dead.unwrap_or("dead-letter/".to_owned()))?;
        // The ETL lists everything below <prefix>year=….
        if dead_letter_prefix == prefix || dead_letter_prefix.starts_with(&format!("{prefix}year=")) {
            let problem = "is where the ETL reads events: choose a prefix beside S3_PREFIX";
            return Err(Problem { variable: "DEAD_LETTER_PREFIX", value: dead_letter_prefix, problem });
        }
        let level = get("GZIP_LEVEL").unwrap_or_else(|| "6".to_owned());
        match level.parse() {
            Ok(gzip_level @ 1..=9) => Ok(Self { bucket, prefix, dead_letter_prefix, gzip_level }),
            _ => Err(Problem { variable: "GZIP_LEVEL", value: level, problem: "must be 1 to 9" }),
        }
    }
}

fn prefix(variable: &'static str, value: String) -> Result<String, Problem> {
    if value.is_empty() || (value.ends_with('/') && !value.starts_with('/')) {
        return Ok(value);
    }
    Err(Problem { variable, value, problem: "must end with a slash, and not begin with one" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Settings, String> {
        let get = |name: &str| {
            variables.iter().find(|(variable, _)| *variable == name).map(|(_, value)| (*value).to_owned())
        };
        Settings::read(get).map_err(|problem| problem.to_string())
    }

    #[test]
    fn a_bucket_is_enough() {
        let settings = read(&[("S3_BUCKET", "b"), ("S3_PREFIX", "__NOT_SET__")]).unwrap();
        let expected = ("", "dead-letter/", 6);
        assert_eq!((&*settings.prefix, &*settings.dead_letter_prefix, settings.gzip_level), expected);
    }

    #[test]
    fn what_can_not_work_is_named() {
        for (variables, says) in [
            (&[][..], "S3_BUCKET"),
            (&[("S3_BUCKET", "__NOT_SET__")], "S3_BUCKET"),
            (&[("S3_BUCKET", "b"), ("S3_PREFIX", "data")], "must end with a slash"),
            (&[("S3_BUCKET", "b"), ("S3_PREFIX", "/data/")], "not begin with one"),
            (&[("S3_BUCKET", "b"), ("GZIP_LEVEL", "0")], "1 to 9"),
            (&[("S3_BUCKET", "b"), ("S3_PREFIX", "d/"), ("DEAD_LETTER_PREFIX", "d/")], "where the ETL reads"),
            (
                &[("S3_BUCKET", "b"), ("S3_PREFIX", "d/"), ("DEAD_LETTER_PREFIX", "d/year=0/")],
                "where the ETL reads",
            ),
        ] {
            let problem = read(variables).unwrap_err();
            assert!(problem.contains(says), "{variables:?}: {problem}");
        }
    }
}
