//! Emits each word of a record's text as a record of its own, and refuses records without any word.

weir_sdk::map! {
    config: [optional "shortest" = "1": "words with fewer letters are left out"],
    open: || {
        let shortest = weir_sdk::config("shortest").unwrap_or_default();
        shortest.parse::<usize>().map_err(|_| format!("shortest \"{shortest}\" is no number"))
    },
    |shortest, record, emit| {
        // A tombstone has no value; it goes on as it is.
        let Some(value) = record.value() else { return Ok(emit.record().send()) };
        let text = std::str::from_utf8(value).map_err(|error| format!("not a text: {error}"))?;
        let words: Vec<&str> = text.split_whitespace().collect();
        if words.is_empty() {
            return Err("no words".to_string());
        }
        for word in words.iter().filter(|word| word.chars().count() >= *shortest) {
            emit.value(word);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::ThisOperator;
    use weir_sdk::testing::{Case, record};

    #[test]
    fn each_word_becomes_a_record_under_the_same_key() {
        let outcome = Case::new()
            .record(record("line-1", "to the sea"))
            .run::<ThisOperator>()
            .unwrap();
        assert_eq!(outcome.values(), ["to", "the", "sea"]);
        assert_eq!(outcome.emitted[2].record, record("line-1", "sea"));
    }

    #[test]
    fn short_words_are_left_out_and_an_empty_text_is_refused() {
        let case = Case::new()
            .config("shortest", "3")
            .record(record("a", "to the sea"))
            .record(record("b", " "));
        let outcome = case.run::<ThisOperator>().unwrap();
        assert_eq!(outcome.values(), ["the", "sea"]);
        assert_eq!(outcome.rejections, [(1, "no words".to_string())]);
    }
}
