//! Reading the configuration again while the engine serves, on SIGHUP.
//!
//! Only the apps of the routes can change. Whatever else differs from what is in force is named in the log, and waits for a
//! restart; a configuration that is wrong changes nothing.

use std::collections::BTreeMap;

use crate::config::{Loaded, Settings, effective};

/// What reading again brought.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Change {
    /// Names of the routes whose apps differ from what was in force.
    pub(super) routes: Vec<String>,
    /// Keys, as `section.key`, that differ and need a restart.
    pub(super) waiting: Vec<String>,
}

/// Takes over what can change from `read` into `current`.
pub(super) fn take_over(current: &mut Settings, read: &Loaded) -> Change {
    let mut routes = Vec::new();
    for route in &mut current.routes {
        let Some(other) = read.settings.routes.iter().find(|other| other.name == route.name) else {
            continue;
        };
        if route.app_ids != other.app_ids {
            route.app_ids.clone_from(&other.app_ids);
            routes.push(route.name.clone());
        }
    }
    Change { routes, waiting: differences(&effective(current), &read.effective) }
}

/// The keys in which two effective configurations differ.
fn differences(one: &str, other: &str) -> Vec<String> {
    let (one, other) = (keys(one), keys(other));
    let mut differing: Vec<String> = one
        .iter()
        .filter(|(key, value)| other.get(*key) != Some(value))
        .map(|(key, _)| key.clone())
        .collect();
    differing.extend(other.keys().filter(|key| !one.contains_key(*key)).cloned());
    differing
}

fn keys(page: &str) -> BTreeMap<String, &str> {
    let mut section = "";
    let mut keys = BTreeMap::new();
    for line in page.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = name;
        } else if let Some((key, value)) = line.split_once(" = ") {
            keys.insert(format!("{section}.{key}"), value);
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Sources, load};

    fn loaded(text: &str) -> Loaded {
        let sources = Sources { file: Some(("test".into(), text.into())), ..Sources::default() };
        load(&sources).unwrap_or_else(|errors| panic!("{errors}"))
    }

    const BOTH: &str = "[route.a]\npath = \"/a\"\nsink = \"n\"\n[route.b]\npath = \"/b\"\nsink = \"n\"\n[sink.n]\nkind = \"null\"\n";

    #[test]
    fn apps_change_and_the_rest_is_named() {
        let mut current = loaded(BOTH).settings;
        let same = take_over(&mut current, &loaded(BOTH));
        assert_eq!(same, Change { routes: vec![], waiting: vec![] });
        let text = BOTH.replace("path = \"/a\"", "path = \"/a\"\napp_ids = [\"web\"]");
        let change = take_over(&mut current, &loaded(&text));
        assert_eq!(change, Change { routes: vec!["a".into()], waiting: vec![] });
        assert_eq!(current.routes[0].app_ids, ["web"]);
        let other = format!("[limits]\nheaders_max = 100\n{}", text.replace("\"/b\"", "\"/c\""));
        let change = take_over(&mut current, &loaded(&other));
        assert_eq!(change.routes, Vec::<String>::new());
        assert_eq!(change.waiting, ["limits.headers_max", "route.b.path"]);
        assert_eq!(current.routes[1].path, "/b", "what waits is not in force");
    }

    #[test]
    fn routes_that_come_and_go_wait() {
        let mut current = loaded(BOTH).settings;
        let one = "[route.b]\npath = \"/b\"\nsink = \"n\"\napp_ids = [\"x\"]\n[sink.n]\nkind = \"null\"\n";
        let change = take_over(&mut current, &loaded(one));
        assert_eq!(change.routes, ["b"]);
        assert!(change.waiting.iter().all(|key| key.starts_with("route.a.")), "{change:?}");
        assert!(current.routes[0].app_ids.is_empty());
    }
}
