//! JSON as text, piece by piece and without a tree: writing strings and numbers, and a scanner that unescapes into
//! buffers which are used again for the next line.
//!
//! A tree of `serde_json` would allocate per record, and would change what it does not understand: the digits of a
//! long number, the order of an object's members.

/// How deep arrays and objects may be nested.
const NESTING_MAX: usize = 128;

/// Adds a string with its quotes.
pub(crate) fn push_string(text: &mut Vec<u8>, string: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    text.push(b'"');
    let bytes = string.as_bytes();
    let mut written = 0;
    for (at, byte) in bytes.iter().enumerate() {
        let escape = match byte {
            b'"' | b'\\' => *byte,
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0..=0x1f => b'u',
            _ => continue,
        };
        text.extend_from_slice(&bytes[written..at]);
        text.extend_from_slice(&[b'\\', escape]);
        if escape == b'u' {
            let (high, low) = (HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]);
            text.extend_from_slice(&[b'0', b'0', high, low]);
        }
        written = at + 1;
    }
    text.extend_from_slice(&bytes[written..]);
    text.push(b'"');
}

/// Adds a number in decimal digits.
pub(crate) fn push_unsigned(text: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    text.extend_from_slice(&digits[start..]);
}

/// Adds a signed number in decimal digits.
pub(crate) fn push_signed(text: &mut Vec<u8>, number: i64) {
    if number < 0 {
        text.push(b'-');
    }
    push_unsigned(text, number.unsigned_abs());
}

/// What is wrong with a text, and after how many bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} (byte {at} of the line)")]
pub(crate) struct Unreadable {
    /// What was expected or found.
    pub(crate) what: String,
    /// Where, counted from 1.
    pub(crate) at: usize,
}

/// Reads JSON from its beginning to its end.
pub(crate) struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
}

type Scanned<T> = Result<T, Unreadable>;

impl<'a> Scanner<'a> {
    pub(crate) fn new(text: &'a str) -> Scanner<'a> {
        Scanner { text: text.as_bytes(), at: 0 }
    }

    /// An error at the place where the scanner stands.
    pub(crate) fn unreadable<T>(&self, what: impl Into<String>) -> Scanned<T> {
        Err(Unreadable { what: what.into(), at: self.at + 1 })
    }

    /// The next byte that is not white space, which is not taken; 0 at the end.
    pub(crate) fn peek(&mut self) -> u8 {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.text.get(self.at) {
            self.at += 1;
        }
        self.here()
    }

    fn here(&self) -> u8 {
        self.text.get(self.at).copied().unwrap_or(0)
    }

    /// Takes `byte` if it is next.
    pub(crate) fn take(&mut self, byte: u8) -> bool {
        let next = self.peek() == byte && self.at < self.text.len();
        self.at += usize::from(next);
        next
    }

    /// Takes `byte`, which has to be next.
    pub(crate) fn expect(&mut self, byte: u8) -> Scanned<()> {
        if self.take(byte) { Ok(()) } else { self.unreadable(format!("expected `{}`", char::from(byte))) }
    }

    /// Between two elements of an array or members of an object: true where another one follows.
    pub(crate) fn another(&mut self, close: u8) -> Scanned<bool> {
        if self.take(b',') {
            return Ok(true);
        }
        self.expect(close)
            .or_else(|_| self.unreadable(format!("expected `,` or `{}`", char::from(close))))?;
        Ok(false)
    }

    /// Nothing may follow.
    pub(crate) fn end(&mut self) -> Scanned<()> {
        self.peek();
        if self.at == self.text.len() { Ok(()) } else { self.unreadable("expected the end of the line") }
    }

    /// Takes `null` if it is next.
    pub(crate) fn null(&mut self) -> bool {
        self.peek();
        let next = self.text[self.at..].starts_with(b"null");
        self.at += if next { 4 } else { 0 };
        next
    }

    /// Adds the unescaped bytes of a string to `buffer`.
    pub(crate) fn string(&mut self, buffer: &mut Vec<u8>) -> Scanned<()> {
        if !self.take(b'"') {
            return self.unreadable("expected a string");
        }
        loop {
            let rest = &self.text[self.at..];
            let plain = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f));
            let Some(plain) = plain else {
                self.at = self.text.len();
                return self.unreadable("the string does not end");
            };
            buffer.extend_from_slice(&rest[..plain]);
            self.at += plain + 1;
            match rest[plain] {
                b'"' => return Ok(()),
                b'\\' => self.escape(buffer)?,
                _ => return self.unreadable("a control character inside a string has to be escaped"),
            }
        }
    }

    fn escape(&mut self, buffer: &mut Vec<u8>) -> Scanned<()> {
        let escape = self.here();
        self.at += 1;
        let byte = match escape {
            b'"' | b'\\' | b'/' => escape,
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let character = self.escaped_character()?;
                buffer.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                return Ok(());
            }
            _ => return self.unreadable("an escape that JSON does not have"),
        };
        buffer.push(byte);
        Ok(())
    }

    fn escaped_character(&mut self) -> Scanned<char> {
        let first = self.four_hex_digits()?;
        let mut number = first;
        if (0xd800..0xdc00).contains(&first) && self.text[self.at..].starts_with(b"\\u") {
            self.at += 2;
            let second = self.four_hex_digits()?;
            if (0xdc00..0xe000).contains(&second) {
                number = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
            }
        }
        // Half of a surrogate pair is no character.
        char::from_u32(number).map_or_else(|| self.unreadable("half of a surrogate pair"), Ok)
    }

    fn four_hex_digits(&mut self) -> Scanned<u32> {
        let mut number = 0;
        for _ in 0..4 {
            let Some(digit) = char::from(self.here()).to_digit(16) else {
                return self.unreadable("expected four hex digits after \\u");
            };
            number = number << 4 | digit;
            self.at += 1;
        }
        Ok(number)
    }

    /// A whole number.
    pub(crate) fn integer(&mut self) -> Scanned<i64> {
        self.peek();
        let start = self.at;
        let Ok(()) = self.number() else {
            self.at = start;
            return self.unreadable("expected a whole number");
        };
        let parsed = std::str::from_utf8(&self.text[start..self.at]).ok().and_then(|text| text.parse().ok());
        parsed.map_or_else(|| self.unreadable("expected a whole number of 64 bits"), Ok)
    }

    /// Adds the text of any value to `buffer`, without white space between its parts.
    pub(crate) fn compact(&mut self, buffer: &mut Vec<u8>) -> Scanned<()> {
        self.compact_nested(buffer, 0)
    }

    fn compact_nested(&mut self, buffer: &mut Vec<u8>, depth: usize) -> Scanned<()> {
        if depth > NESTING_MAX {
            return self.unreadable(format!("nested deeper than {NESTING_MAX}"));
        }
        let first = self.peek();
        let start = self.at;
        match first {
            b'{' | b'[' => return self.compact_container(buffer, first, depth),
            b'"' => self.skip_string(buffer)?,
            b'-' | b'0'..=b'9' => self.number()?,
            _ => {
                let rest = &self.text[self.at..];
                let words: [&[u8]; 3] = [b"true", b"false", b"null"];
                let Some(word) = words.into_iter().find(|word| rest.starts_with(word)) else {
                    return self.unreadable("expected a value");
                };
                self.at += word.len();
            }
        }
        buffer.extend_from_slice(&self.text[start..self.at]);
        Ok(())
    }

    fn compact_container(&mut self, buffer: &mut Vec<u8>, open: u8, depth: usize) -> Scanned<()> {
        let close = if open == b'{' { b'}' } else { b']' };
        self.expect(open)?;
        buffer.push(open);
        let mut more = !self.take(close);
        while more {
            if open == b'{' {
                self.peek();
                let start = self.at;
                self.skip_string(buffer)?;
                buffer.extend_from_slice(&self.text[start..self.at]);
                self.expect(b':')?;
                buffer.push(b':');
            }
            self.compact_nested(buffer, depth + 1)?;
            more = self.another(close)?;
            if more {
                buffer.push(b',');
            }
        }
        buffer.push(close);
        Ok(())
    }

    /// Checks a string; `buffer` is as it was afterwards.
    fn skip_string(&mut self, buffer: &mut Vec<u8>) -> Scanned<()> {
        let length = buffer.len();
        let checked = self.string(buffer);
        buffer.truncate(length);
        checked
    }

    fn number(&mut self) -> Scanned<()> {
        self.at += usize::from(self.here() == b'-');
        let leading_zero = self.here() == b'0';
        let whole = self.digits()?;
        if leading_zero && whole > 1 {
            return self.unreadable("a number does not begin with 0");
        }
        if self.here() == b'.' {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.here(), b'e' | b'E') {
            self.at += 1;
            self.at += usize::from(matches!(self.here(), b'+' | b'-'));
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Scanned<usize> {
        let start = self.at;
        while self.here().is_ascii_digit() {
            self.at += 1;
        }
        if self.at == start { self.unreadable("expected a digit") } else { Ok(self.at - start) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn compact(text: &str) -> Result<String, Unreadable> {
        let (mut scanner, mut buffer) = (Scanner::new(text), Vec::new());
        scanner.compact(&mut buffer)?;
        scanner.end()?;
        Ok(String::from_utf8(buffer).unwrap())
    }

    #[test]
    fn compact_text_keeps_order_digits_and_spaces_inside_strings() {
        let text =
            r#" { "b" : 12345678901234567890123 , "a b" : [ 1.50 , -0e+7, null ,true ] , "c":{ } , "d":[]} "#;
        let expected = r#"{"b":12345678901234567890123,"a b":[1.50,-0e+7,null,true],"c":{},"d":[]}"#;
        assert_eq!(compact(text).unwrap(), expected);
    }

    #[test]
    fn nesting_has_a_limit() {
        let deep = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(compact(&deep(NESTING_MAX)).is_ok());
        assert!(compact(&deep(100_000)).is_err());
    }

    proptest! {
        #[test]
        fn a_string_is_read_as_serde_json_reads_it(string: String) {
            let mut text = Vec::new();
            push_string(&mut text, &string);
            prop_assert_eq!(&serde_json::from_slice::<String>(&text).unwrap(), &string);
            let mut read = Vec::new();
            Scanner::new(std::str::from_utf8(&text).unwrap()).string(&mut read).unwrap();
            prop_assert_eq!(read, string.as_bytes());
        }

        #[test]
        fn text_is_taken_or_refused_as_serde_json_does(text in r#"[\[\]{}:, 0-9eE+.\-"\\u/a-dnt\ntruefals]{0,14}"#) {
            let judged = serde_json::from_str::<serde::de::IgnoredAny>(&text);
            prop_assert_eq!(compact(&text).is_ok(), judged.is_ok(), "{}", text);
        }

        #[test]
        fn escapes_are_read_as_serde_json_reads_them(text in r#""(\\u[dD][89a-fA-F][0-9a-f]{2}|\\u00[0-9a-f]{2}|\\[bfnrt/"x]|[a-c])*""#) {
            let mut read = Vec::new();
            let ours = Scanner::new(&text).string(&mut read).map(|()| String::from_utf8(read).unwrap());
            let theirs = serde_json::from_str::<String>(&text);
            prop_assert_eq!(ours.ok(), theirs.ok(), "{}", text);
        }
    }
}
