//! Sign-in by AWS credentials, as Amazon MSK has it: a listener with SASL/OAUTHBEARER whose tokens are checked by
//! `MskIamValidator.java`, compiled against the broker's own jars.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::process::run;

/// Where the validator, its keys and its notes lie.
pub fn folder(dir: &Path) -> PathBuf {
    dir.join("iam")
}

/// Compiles the validator. No key is known yet.
pub fn prepare(dir: &Path, jars: &Path) {
    let folder = folder(dir);
    fs::create_dir(&folder).expect("a folder");
    fs::write(folder.join("keys"), "").expect("keys");
    let source = folder.join("MskIamValidator.java");
    fs::write(&source, include_str!("MskIamValidator.java")).expect("a Java file");
    let mut javac = Command::new("javac");
    javac.arg("-d").arg(&folder).arg("-cp").arg(jars.join("*")).arg(source);
    run(&mut javac, "compiling the validator");
}

/// Lines of `server.properties` for one listener.
pub fn properties(listener: &str) -> String {
    let name = format!("listener.name.{listener}.oauthbearer");
    format!(
        "{name}.sasl.server.callback.handler.class=MskIamValidator\n\
         {name}.sasl.jaas.config=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required;\n"
    )
}

/// From now on these are the keys: access key ids and secrets.
pub fn set_keys(dir: &Path, keys: &[(&str, &str)]) {
    let lines: Vec<_> = keys.iter().map(|(id, secret)| format!("{id}={secret}")).collect();
    let text = lines.join("\n");
    let folder = folder(dir);
    // Whole or not at all: the broker may be reading.
    fs::write(folder.join("fresh"), text).expect("keys");
    fs::rename(folder.join("fresh"), folder.join("keys")).expect("keys");
}

/// A line for each sign-in that the validator noted in `file`: `accepted` (key and the token's time in ms) or
/// `refused` (why).
pub fn notes(dir: &Path, file: &str) -> Vec<String> {
    let text = fs::read_to_string(folder(dir).join(file)).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}
