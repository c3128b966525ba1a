//! The environment variables of the system that this engine replaces, so that its container can be swapped for ours.
//!
//! A variable that is empty or `__NOT_SET__` is absent, as there. They make the route and the sink; the file may set
//! everything else.

use std::collections::BTreeMap;

use super::error::{ConfigError, Place};
use super::origins;
use super::tree::Tree;

/// The sink that the variables make.
const SINK: &str = "kafka";

/// The layer of the seed system's variables.
pub(super) fn tree(
    environment: &BTreeMap<String, String>,
    file: &Tree,
    errors: &mut Vec<ConfigError>,
) -> Tree {
    let mut seed = Seed { environment, tree: Tree::default(), errors };
    seed.server();
    seed.sink(file);
    seed.tree
}

struct Seed<'a> {
    environment: &'a BTreeMap<String, String>,
    tree: Tree,
    errors: &'a mut Vec<ConfigError>,
}

impl Seed<'_> {
    fn get(&self, variable: &str) -> Option<String> {
        let value = self.environment.get(variable)?;
        (!value.is_empty() && value != "__NOT_SET__").then(|| value.clone())
    }

    fn fail(&mut self, variable: &str, problem: impl Into<String>) {
        self.errors.push(ConfigError {
            place: Some(Place::Variable(variable.into())),
            key: variable.into(),
            value: self.get(variable).map(|value| format!("{value:?}")),
            problem: problem.into(),
        });
    }

    /// Copies a variable to a key.
    fn copy(&mut self, variable: &str, path: &[&str]) {
        if let Some(value) = self.get(variable) {
            self.tree.set(path, &value, variable);
        }
    }

    /// A variable of few words.
    fn word(&mut self, variable: &str, path: &[&str], words: &[(&str, &str)]) {
        let Some(value) = self.get(variable) else { return };
        if let Some((_, meaning)) = words.iter().find(|(word, _)| value.eq_ignore_ascii_case(word)) {
            self.tree.set(path, meaning, variable);
        } else {
            let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            self.fail(variable, format!("must be one of {}", words.join(", ")));
        }
    }

    fn server(&mut self) {
        self.copy("WORKER_THREADS_NUM", &["server", "shards"]);
        self.copy("PING_ENDPOINT_PATH", &["server", "ping_path"]);
        self.word("DEV_MODE", &["server", "dev_mode"], &[("Yes", "true"), ("No", "false")]);
        let Some(pattern) = self.get("SERVER_CORS_ORIGIN") else { return };
        match origins_of(&pattern) {
            Ok(list) => self.tree.set(&["cors", "origins"], &list.join(","), "SERVER_CORS_ORIGIN"),
            Err(problem) => self.fail("SERVER_CORS_ORIGIN", problem),
        }
    }

    fn sink(&mut self, file: &Tree) {
        const SINKS: [(&str, &str); 3] =
            [("AWS_MSK_BROKERS", "Kafka"), ("AWS_KINESIS_STREAM_NAME", "Kinesis"), ("AWS_S3_BUCKET", "S3")];
        let set: Vec<_> = SINKS.iter().filter(|(variable, _)| self.get(variable).is_some()).collect();
        if let [(first, _), _, ..] = set.as_slice() {
            let names: Vec<_> = set.iter().map(|(variable, _)| *variable).collect();
            self.fail(
                first,
                format!(
                    "more than one sink is set: {}; set one and give the others __NOT_SET__",
                    names.join(", ")
                ),
            );
            return;
        }
        let defined = file.names("sink").into_iter().chain(file.names("route")).next();
        match set.as_slice() {
            [(variable, _)] if defined.is_some() => {
                let place = defined.map(|(_, place)| place.to_string()).unwrap_or_default();
                self.fail(
                    variable,
                    format!(
                        "sets the sink, but {place} defines routes or sinks as well: keep one of the two"
                    ),
                );
            }
            [("AWS_MSK_BROKERS", _)] => self.kafka(),
            #[cfg(feature = "kinesis")]
            [("AWS_KINESIS_STREAM_NAME", _)] => self.kinesis(),
            #[cfg(feature = "s3")]
            [("AWS_S3_BUCKET", _)] => self.s3(),
            [(variable, name)] => {
                self.fail(
                    variable,
                    format!("this version has no {name} sink; see kind of [sink.<name>] for those it has"),
                );
            }
            _ => {
                if self.get("AWS_MSK_TOPIC").is_some() {
                    // Half a drop-in must not quietly become local files on a container's disk.
                    self.fail("AWS_MSK_TOPIC", "needs AWS_MSK_BROKERS, which is not set");
                }
                self.word(
                    "STREAM_ACK_ENABLE",
                    &["route", "collect", "ack"],
                    &[("true", "delivered"), ("false", "accepted")],
                );
                self.copy("SERVER_ENDPOINT_PATH", &["route", "collect", "path"]);
            }
        }
    }

    fn kafka(&mut self) {
        self.tree.set(&["sink", SINK, "kind"], "kafka", "AWS_MSK_BROKERS");
        self.copy("AWS_MSK_BROKERS", &["sink", SINK, "brokers"]);
        self.copy("AWS_MSK_TOPIC", &["sink", SINK, "topic"]);
        if self.get("AWS_MSK_TOPIC").is_none() {
            self.fail("AWS_MSK_TOPIC", "is missing: AWS_MSK_BROKERS needs it");
            self.tree.set(&["sink", SINK, "topic"], "missing", "AWS_MSK_TOPIC");
        }
        self.route(SINK, "AWS_MSK_BROKERS");
    }

    #[cfg(feature = "kinesis")]
    fn kinesis(&mut self) {
        const NAME: &str = "kinesis";
        const VARIABLE: &str = "AWS_KINESIS_STREAM_NAME";
        self.tree.set(&["sink", NAME, "kind"], "kinesis", VARIABLE);
        self.copy(VARIABLE, &["sink", NAME, "stream"]);
        self.copy("AWS_REGION", &["sink", NAME, "region"]);
        if self.get("AWS_REGION").is_none() {
            self.fail("AWS_REGION", format!("is missing: {VARIABLE} needs it"));
        }
        self.route(NAME, VARIABLE);
    }

    /// Always by the journal: `STREAM_ACK_ENABLE`, which the replaced system's stacks set to true, has no meaning there.
    #[cfg(feature = "s3")]
    fn s3(&mut self) {
        const NAME: &str = "s3";
        const VARIABLE: &str = "AWS_S3_BUCKET";
        self.tree.set(&["sink", NAME, "kind"], "s3", VARIABLE);
        self.copy(VARIABLE, &["sink", NAME, "bucket"]);
        self.copy("AWS_S3_PREFIX", &["sink", NAME, "prefix"]);
        self.copy("AWS_REGION", &["sink", NAME, "region"]);
        if self.get("AWS_REGION").is_none() {
            self.fail("AWS_REGION", format!("is missing: {VARIABLE} needs it"));
        }
        self.copy("S3_BATCH_MAX_BYTES", &["sink", NAME, "object_bytes_max"]);
        if let Some(seconds) = self.get("S3_BATCH_TIMEOUT_SECS") {
            match seconds.parse::<u64>().ok().and_then(|seconds| seconds.checked_mul(1000)) {
                Some(ms) => {
                    self.tree.set(
                        &["sink", NAME, "object_age_max_ms"],
                        &ms.to_string(),
                        "S3_BATCH_TIMEOUT_SECS",
                    );
                }
                None => self.fail("S3_BATCH_TIMEOUT_SECS", "must be a whole number of seconds"),
            }
        }
        self.route_to(NAME, VARIABLE);
    }

    /// The one route, to the one sink that `variable` makes.
    fn route(&mut self, sink: &str, variable: &str) {
        self.route_to(sink, variable);
        self.word(
            "STREAM_ACK_ENABLE",
            &["route", "events", "ack"],
            &[("true", "delivered"), ("false", "accepted")],
        );
    }

    fn route_to(&mut self, sink: &str, variable: &str) {
        // A name of its own, so that the embedded route and its local files are gone.
        self.tree.set(&["route", "events", "path"], "/collect", variable);
        self.copy("SERVER_ENDPOINT_PATH", &["route", "events", "path"]);
        self.tree.set(&["route", "events", "sink"], sink, variable);
    }
}

/// The console writes a regular expression: dots escaped, `*` as `.*`, alternatives between `|`. People write comma
/// lists. Both say the same few shapes.
fn origins_of(pattern: &str) -> Result<Vec<String>, String> {
    let entries = pattern.split(['|', ',']).map(str::trim).filter(|entry| !entry.is_empty());
    let plain = |entry: &str| match entry {
        ".*" | "*" => "*".to_owned(),
        entry => entry.replace("\\.", ".").replace(".*", "*"),
    };
    let mut origins = Vec::new();
    for entry in entries.map(plain) {
        // `https://.*\.example\.com` became `https://*.example.com`.
        origins::parse(&entry)?;
        origins.push(entry);
    }
    Ok(origins)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_of_the_console_and_of_people() {
        let of = |pattern: &str| origins_of(pattern).unwrap();
        assert_eq!(of(".*"), ["*"]);
        assert_eq!(of("*"), ["*"]);
        assert_eq!(
            of(r"https://a\.example\.com|https://.*\.example\.org"),
            ["https://a.example.com", "https://*.example.org"]
        );
        assert_eq!(
            of("http://localhost:3000, https://*.example.com"),
            ["http://localhost:3000", "https://*.example.com"]
        );
        assert!(of("").is_empty());
        assert!(origins_of(r"https://(a|b)\.example\.com").is_err());
    }
}
