//! Which octets of a datagram its IP fragments have.

use crate::fragments::gaps;
use crate::model::Piece;

/// "0 to 1480, 2960 to 3541; missing: 1480 to 2960".
pub(super) fn pieces(pieces: &[Piece]) -> String {
    let mut sorted = pieces.to_vec();
    sorted.sort_unstable();
    let there: Vec<String> = sorted
        .iter()
        .map(|piece| {
            format!(
                "{} to {}",
                piece.offset,
                piece.offset.saturating_add(piece.length)
            )
        })
        .collect();
    let (_, missing) = gaps(pieces);
    let missing: Vec<String> = missing
        .iter()
        .map(|(from, to)| match to {
            Some(to) => format!("{from} to {to}"),
            None => format!("from {from} on"),
        })
        .collect();
    let there = there.join(", ");
    if missing.is_empty() {
        format!("octets {there}")
    } else {
        format!("octets {there}; missing: {}", missing.join(", "))
    }
}
