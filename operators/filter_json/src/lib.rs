//! Keeps the records whose JSON value has the wanted text, number or truth value at a dotted path.

use serde_json::Value;

weir_sdk::filter! {
    config: [
        required "field": "dotted path of the field to look at, such as order.customer.country",
        required "equals": "what the field must be; text is compared as text, all else as JSON",
    ],
    open: Condition::from_config,
    |condition, record| condition.holds(record.value())
}

/// The configured condition.
struct Condition {
    path: Vec<String>,
    wanted: String,
}

impl Condition {
    fn from_config() -> Result<Self, String> {
        let field = weir_sdk::config("field").unwrap_or_default();
        let path: Vec<String> = field.split('.').map(str::to_string).collect();
        if path.iter().any(String::is_empty) {
            return Err(format!("field \"{field}\" is no dotted path"));
        }
        Ok(Condition { path, wanted: weir_sdk::config("equals").unwrap_or_default() })
    }

    /// A tombstone passes, for what it deletes may have passed. A missing field equals nothing.
    fn holds(&self, value: Option<&[u8]>) -> Result<bool, String> {
        let Some(value) = value else { return Ok(true) };
        let value: Value = serde_json::from_slice(value).map_err(|error| format!("not JSON: {error}"))?;
        let field = self.path.iter().try_fold(&value, |object, name| object.get(name));
        Ok(match field {
            Some(Value::String(text)) => *text == self.wanted,
            Some(other) => serde_json::to_string(other).is_ok_and(|text| text == self.wanted),
            None => false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::ThisOperator;
    use weir_sdk::testing::{Case, Outcome, keyless, tombstone};

    fn kept(field: &str, equals: &str, values: &[&str]) -> Outcome {
        let case = Case::new().config("field", field).config("equals", equals);
        values.iter().fold(case, |case, value| case.record(keyless(value))).run::<ThisOperator>().unwrap()
    }

    #[test]
    fn text_is_compared_as_text_and_all_else_as_json() {
        let values = [r#"{"a":{"b":"5"}}"#, r#"{"a":{"b":5}}"#, r#"{"a":{"b":6}}"#, r#"{"a":5}"#, "[]"];
        assert_eq!(kept("a.b", "5", &values).values(), &values[..2]);
        assert_eq!(kept("a", "true", &[r#"{"a":true}"#]).values().len(), 1);
    }

    #[test]
    fn what_is_not_json_is_refused() {
        let outcome = kept("a", "x", &[r#"{"a":"x"}"#, "{"]);
        assert_eq!(outcome.values().len(), 1);
        assert_eq!(outcome.rejections[0].0, 1);
    }

    #[test]
    fn tombstones_pass_and_an_empty_path_is_refused() {
        let case = Case::new().config("field", "a").config("equals", "x").record(tombstone("k"));
        assert_eq!(case.clone().run::<ThisOperator>().unwrap().emitted.len(), 1);
        assert!(case.config("field", "a..b").run::<ThisOperator>().is_err());
    }
}
