//! Makes one safe line of foreign text: nothing that a terminal would obey, and no more than fits.

/// Words separated by one space each, at most `chars_max` characters.
pub fn one_line(text: &str, chars_max: usize) -> String {
    let mut line = String::new();
    let visible = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut characters = visible.chars().map(harmless);
    line.extend(characters.by_ref().take(chars_max));
    if characters.next().is_some() {
        line.push('…');
    }
    line
}

/// A line of foreign bytes as it was written, cut to `bytes_max`.
pub fn clean_line(bytes: &[u8], bytes_max: usize) -> String {
    let kept = &bytes[..bytes.len().min(bytes_max)];
    let mut line: String = String::from_utf8_lossy(kept).trim_end().chars().map(harmless).collect();
    if bytes.len() > bytes_max {
        line.push_str(" [cut]");
    }
    line
}

/// Control characters move the cursor; the others listed make the rest of a line be shown in another order.
fn harmless(character: char) -> char {
    let direction =
        matches!(character, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}');
    if character.is_control() || direction { ' ' } else { character }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_becomes_one_bounded_line() {
        assert_eq!(one_line("a\n  b\x1b[2J", 100), "a b [2J");
        assert_eq!(one_line("abcdef", 3), "abc…");
        assert_eq!(clean_line(b"a\x1b[31m\tb\xff  \n", 100), "a [31m b\u{fffd}");
        assert_eq!(clean_line("a\u{202e}b".as_bytes(), 100), "a b");
        assert_eq!(clean_line(b"abcdef", 3), "abc [cut]");
    }
}
