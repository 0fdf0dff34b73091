//! Text of peers, on its way to a terminal.

/// `text` without what would move the cursor, colour what follows, or turn
/// around what is read; each such character leaves a mark.
pub(super) fn printable(text: &str) -> String {
    text.replace(
        |character: char| character.is_control() || is_directional(character),
        "\u{fffd}",
    )
}

/// Characters that change the direction of what follows, and cannot be seen.
const fn is_directional(character: char) -> bool {
    matches!(
        character,
        '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_terminals_obey_is_taken_out() {
        for (text, expected) in [
            ("laptop.example", "laptop.example"),
            ("Jürgen 京", "Jürgen 京"),
            ("a\u{1b}]0;b\u{7}", "a\u{fffd}]0;b\u{fffd}"),
            ("a\r\nb\tc\u{7f}", "a\u{fffd}\u{fffd}b\u{fffd}c\u{fffd}"),
            ("\u{9b}1m", "\u{fffd}1m"),
            ("moc\u{202e}", "moc\u{fffd}"),
        ] {
            assert_eq!(printable(text), expected);
        }
    }
}
