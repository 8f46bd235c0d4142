//! `--set key=value`: the value is TOML, or else a string.

use toml::Spanned;
use toml::de::DeTable;

/// The text of the small document that an override stands for, or what is wrong with it.
pub fn document(argument: &str) -> Result<String, String> {
    let Some((key, value)) = argument.split_once('=') else {
        return Err(format!("{argument:?}: expected key=value, such as checkpoint.interval=1s"));
    };
    let (key, value) = (key.trim(), value.trim());
    let as_toml = format!("{key} = {value}");
    if parses_to_one(&as_toml) {
        return Ok(as_toml);
    }
    let as_text = format!("{key} = {}", toml::Value::String(value.to_owned()));
    if parses_to_one(&as_text) {
        return Ok(as_text);
    }
    Err(format!("{key:?} is not a key: expected names with dots between them, such as checkpoint.interval"))
}

/// One line must stay one key: a value with a line feed could hold more.
fn parses_to_one(document: &str) -> bool {
    DeTable::parse(document).is_ok_and(|table: Spanned<DeTable<'_>>| table.get_ref().len() == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_toml_or_else_a_string() {
        assert_eq!(document("parallelism=4").unwrap(), "parallelism = 4");
        assert_eq!(document("a.b = [\"x\"]").unwrap(), "a.b = [\"x\"]");
        assert_eq!(document("checkpoint.interval=1s").unwrap(), "checkpoint.interval = \"1s\"");
        assert_eq!(document("a=").unwrap(), "a = \"\"");
        assert_eq!(document("brokers=a:1,b:2").unwrap(), "brokers = \"a:1,b:2\"");
    }

    #[test]
    fn what_is_not_an_override_is_told() {
        assert!(document("parallelism").unwrap_err().contains("expected key=value"));
        assert!(document("=4").unwrap_err().contains("is not a key"));
    }

    #[test]
    fn a_value_cannot_smuggle_in_a_second_key() {
        let text = document("name=\"a\"\nparallelism = 4").unwrap();
        let table = DeTable::parse(&text).unwrap();
        assert_eq!(table.get_ref().len(), 1, "{text}");
    }
}
