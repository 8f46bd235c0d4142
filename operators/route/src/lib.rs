//! Sends each record to the port `large` or `small` by a number in its JSON value, or to `other` if it has none.

use serde_json::Value;

weir_sdk::router! {
    ports: [keeps_key "large", keeps_key "small", keeps_key "other"],
    config: [
        required "field": "dotted path of the number to look at, such as order.amount",
        required "threshold": "a number from this one on is large",
    ],
    open: Rule::from_config,
    |rule, record, emit| rule.port_of(record.value()).map(|port| emit.to(port).send())
}

/// The configured rule.
struct Rule {
    path: Vec<String>,
    threshold: f64,
}

impl Rule {
    fn from_config() -> Result<Self, String> {
        let field = weir_sdk::config("field").unwrap_or_default();
        let path: Vec<String> = field.split('.').map(str::to_string).collect();
        if path.iter().any(String::is_empty) {
            return Err(format!("field \"{field}\" is no dotted path"));
        }
        let threshold = weir_sdk::config("threshold").unwrap_or_default();
        let threshold = threshold.parse().map_err(|_| format!("threshold \"{threshold}\" is no number"))?;
        Ok(Rule { path, threshold })
    }

    /// A tombstone has no number, so it goes to `other`.
    fn port_of(&self, value: Option<&[u8]>) -> Result<&'static str, String> {
        let Some(value) = value else { return Ok("other") };
        let value: Value = serde_json::from_slice(value).map_err(|error| format!("not JSON: {error}"))?;
        let field = self.path.iter().try_fold(&value, |object, name| object.get(name));
        Ok(match field.and_then(Value::as_f64) {
            Some(number) if number >= self.threshold => "large",
            Some(_) => "small",
            None => "other",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::ThisOperator;
    use weir_sdk::testing::{Case, keyless, record, tombstone};

    fn case() -> Case {
        Case::new().config("field", "order.amount").config("threshold", "10.5")
    }

    #[test]
    fn the_number_chooses_the_port_and_the_record_stays_as_it_is() {
        let values = [r#"{"order":{"amount":11}}"#, r#"{"order":{"amount":10.4}}"#, r#"{"order":{}}"#, "3"];
        let case = values.iter().fold(case(), |case, value| case.record(record("k", value)));
        let outcome = case.run::<ThisOperator>().unwrap();
        assert_eq!(outcome.values_to("large"), &values[..1]);
        assert_eq!(outcome.values_to("small"), &values[1..2]);
        assert_eq!(outcome.values_to("other"), &values[2..]);
        assert_eq!(outcome.emitted[0].record, record("k", values[0]));
    }

    #[test]
    fn tombstones_are_other_and_what_is_not_json_is_refused() {
        let outcome = case().record(tombstone("k")).record(keyless("{")).run::<ThisOperator>().unwrap();
        assert_eq!(outcome.emitted.len(), 1);
        assert_eq!(outcome.emitted[0].port, "other");
        assert_eq!(outcome.rejections[0].0, 1);
    }

    #[test]
    fn a_threshold_that_is_no_number_is_refused() {
        let refusal = case().config("threshold", "many").run::<ThisOperator>().unwrap_err();
        assert_eq!(refusal, "threshold \"many\" is no number");
    }
}
