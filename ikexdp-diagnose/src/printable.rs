//! Text of others, on its way to people.

/// `text` without what would move a cursor, turn around what is read, or cannot be seen; each
/// such character leaves a mark. Joiners stay, without which some languages cannot be written.
#[must_use]
pub fn printable(text: &str) -> String {
    let is_hidden = |character: char| {
        character.is_control()
            || matches!(
                character,
                '\u{061c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}'
            )
    };
    text.replace(is_hidden, "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_leaves_a_mark() {
        for (text, expected) in [
            ("CN=J\u{fc}rgen, O=\u{4eac}", "CN=J\u{fc}rgen, O=\u{4eac}"),
            ("a\u{1b}]0;b\u{7}", "a\u{fffd}]0;b\u{fffd}"),
            ("a\r\nb\tc\u{7f}", "a\u{fffd}\u{fffd}b\u{fffd}c\u{fffd}"),
            ("\u{9b}1m", "\u{fffd}1m"),
            ("a\u{1b}[2J\r\n", "a\u{fffd}[2J\u{fffd}\u{fffd}"),
            ("moc\u{202e}\u{200b}", "moc\u{fffd}\u{fffd}"),
            (
                "\u{646}\u{645}\u{6cc}\u{200c}\u{634}",
                "\u{646}\u{645}\u{6cc}\u{200c}\u{634}",
            ),
        ] {
            assert_eq!(printable(text), expected);
        }
    }
}
