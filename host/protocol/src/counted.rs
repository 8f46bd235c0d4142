//! Numbers with what they count, as a sentence has them.

/// `1 letter`, `2 letters`.
pub fn counted(number: u64, what: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{number} {what}{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_a_thing_is_told_without_an_s() {
        assert_eq!([0, 1, 2].map(|number| counted(number, "letter")), ["0 letters", "1 letter", "2 letters"]);
    }
}
