//! The JSON schema of a result, published as `schema/result-v1.json`.

use crate::result::{LoadResult, VERSION};

/// The schema (JSON Schema, draft 2020-12) of the results that this version writes, as text with a newline at its end.
#[must_use]
pub fn schema() -> String {
    let mut schema = schemars::schema_for!(LoadResult);
    if let Some(version) = schema.pointer_mut("/properties/version").and_then(|field| field.as_object_mut()) {
        // The schema is that of one version: a reader of this one must refuse others.
        version.insert("const".into(), VERSION.into());
    }
    format!("{:#}\n", schema.to_value())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn the_published_schema_is_the_one_of_the_types() {
        assert!(
            include_str!("../../schema/result-v1.json") == schema(),
            "the result's types have changed: if old readers understand the new JSON, run \
             `bench-harness schema > bench-harness/schema/result-v1.json`; else it is a new version"
        );
    }

    #[test]
    fn a_result_survives_json() {
        let result = sample::result();
        let json = serde_json::to_string(&result).unwrap();
        assert_eq!(serde_json::from_str::<LoadResult>(&json).unwrap(), result);
    }

    /// Every field that a result has is in the schema, and every field that the schema requires is in a result.
    #[test]
    fn a_result_has_the_fields_of_the_schema() {
        let schema: serde_json::Value = serde_json::from_str(&schema()).unwrap();
        let result = serde_json::to_value(sample::result()).unwrap();
        check(&schema, &schema, &result, "result");
    }

    fn check(root: &serde_json::Value, schema: &serde_json::Value, value: &serde_json::Value, path: &str) {
        let schema = match schema.get("$ref").and_then(|name| name.as_str()) {
            Some(name) => root.pointer(name.trim_start_matches('#')).unwrap(),
            None => schema,
        };
        if let Some(object) = value.as_object().filter(|_| schema.get("properties").is_some()) {
            for (name, field) in object {
                let of = schema["properties"].get(name);
                check(root, of.unwrap_or_else(|| panic!("{path}.{name} is not in the schema")), field, name);
            }
            for name in schema["required"].as_array().unwrap() {
                assert!(object.contains_key(name.as_str().unwrap()), "{path} lacks {name}");
            }
        }
        for item in value.as_array().into_iter().flatten() {
            check(root, &schema["items"], item, path);
        }
    }
}
