//! Checks an operator's configuration before the first record, and fills in defaults.

use crate::description::ConfigKey;
use std::collections::BTreeMap;

/// One line per problem. `None`: any key is accepted.
pub fn problems(keys: Option<&[ConfigKey]>, config: &BTreeMap<String, String>) -> Vec<String> {
    let Some(keys) = keys else { return Vec::new() };
    let unknown = config.keys().filter(|name| !keys.iter().any(|key| key.name == **name));
    let mut problems: Vec<String> = unknown.map(|name| describe_unknown(name, keys)).collect();
    for key in keys.iter().filter(|key| key.required && !config.contains_key(&key.name)) {
        let meaning =
            if key.description.is_empty() { String::new() } else { format!(": {}", key.description) };
        problems.push(format!("{} is required{meaning}", key.name));
    }
    problems
}

/// The configuration as the operator sees it.
pub fn with_defaults(
    keys: Option<&[ConfigKey]>,
    config: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let mut filled = config.clone();
    for key in keys.unwrap_or_default().iter().filter(|key| !key.required) {
        filled.entry(key.name.clone()).or_insert_with(|| key.default.clone());
    }
    filled
}

fn describe_unknown(name: &str, keys: &[ConfigKey]) -> String {
    if keys.is_empty() {
        return format!("{name} is no key of this operator; it has none");
    }
    let nearest = keys
        .iter()
        .map(|key| (strsim::damerau_levenshtein(name, &key.name), &key.name))
        .filter(|(distance, _)| *distance <= name.chars().count().div_ceil(3))
        .min();
    let hint = nearest.map(|(_, near)| format!(", did you mean {near}?")).unwrap_or_default();
    let known: Vec<&str> = keys.iter().map(|key| key.name.as_str()).collect();
    format!("{name} is no key of this operator{hint} (known: {})", known.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> Vec<ConfigKey> {
        let key = |name: &str, required, default: &str| ConfigKey {
            name: name.into(),
            required,
            default: default.into(),
            description: "what stands before each value".into(),
        };
        vec![key("prefix", true, ""), key("separator", false, "_")]
    }

    fn config(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
        entries.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    }

    #[test]
    fn an_unknown_key_is_named_with_its_nearest_and_all_known_ones() {
        let problems = problems(Some(&keys()), &config(&[("prefx", "a")]));
        assert_eq!(
            problems,
            [
                "prefx is no key of this operator, did you mean prefix? (known: prefix, separator)",
                "prefix is required: what stands before each value"
            ]
        );
    }

    #[test]
    fn defaults_are_filled_in_and_given_values_kept() {
        let filled = with_defaults(Some(&keys()), &config(&[("prefix", "a")]));
        assert_eq!(filled, config(&[("prefix", "a"), ("separator", "_")]));
        let kept = with_defaults(Some(&keys()), &config(&[("prefix", "a"), ("separator", "")]));
        assert_eq!(kept["separator"], "");
    }

    #[test]
    fn a_mapper_accepts_any_key() {
        assert!(problems(None, &config(&[("anything", "a")])).is_empty());
    }
}
