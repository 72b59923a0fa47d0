//! Escapes in JSON strings, cut out without interpreting the rest.

/// A part of a JSON string.
pub enum Segment<'a> {
    /// Characters that stand for themselves.
    Plain(&'a str),
    /// An escape as written, and the character it means: none for NUL and lone surrogates.
    Escape { source: &'a str, character: Option<char> },
}

/// Cuts JSON text, or the inside of a JSON string, at its escapes. (A backslash stands nowhere in
/// JSON but inside strings.)
pub fn segments(mut rest: &str) -> impl Iterator<Item = Segment<'_>> {
    std::iter::from_fn(move || {
        let backslash = rest.find('\\');
        let (length, segment) = match backslash {
            None if rest.is_empty() => return None,
            None => (rest.len(), None),
            Some(0) => {
                let (length, character) = escape(rest.as_bytes());
                (length.min(rest.len()), Some(character))
            }
            Some(plain) => (plain, None),
        };
        let (source, tail) = rest.split_at(length);
        rest = tail;
        Some(match segment {
            Some(character) => Segment::Escape { source, character },
            None => Segment::Plain(source),
        })
    })
}

/// The length and meaning of the escape that valid JSON begins with here.
fn escape(text: &[u8]) -> (usize, Option<char>) {
    let simple = match text.get(1) {
        Some(b'u') => return unicode_escape(text),
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(&other) => char::from(other),
        None => '\u{FFFD}',
    };
    (2, Some(simple))
}

fn unicode_escape(text: &[u8]) -> (usize, Option<char>) {
    let unit = |at: usize| {
        let digits = std::str::from_utf8(text.get(at + 2..at + 6)?).ok()?;
        (text.get(at..at + 2)? == b"\\u").then(|| u16::from_str_radix(digits, 16).ok())?
    };
    let Some(first) = unit(0) else { return (2, None) };
    let pair = [first, unit(6).unwrap_or(0)];
    match char::decode_utf16(pair).next() {
        Some(Ok('\0') | Err(_)) | None => (6, None),
        Some(Ok(character)) => (6 * character.len_utf16(), Some(character)),
    }
}
