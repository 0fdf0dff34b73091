//! What ties a connection to devices and routes of the host.

use std::fmt::{self, Display};

use ikexdp_proto::data_plane::{Binding, Mark};

use super::context::Context;
use super::fault::Fault;
use super::file::{self, Text};
use super::numbers::between;
use super::problem::Key;

pub(super) fn binding(
    cx: &mut Context<'_>,
    key: &Key<'_>,
    table: &file::Connection,
) -> Option<Binding> {
    let if_id = match &table.if_id {
        // 0 is that of no interface.
        Some(if_id) => Some(between(cx, &key.at("if-id"), if_id, 1..=u32::MAX)?),
        None => None,
    };
    let mark = match &table.mark {
        Some(text) => Some(mark(cx, &key.at("mark"), text)?),
        None => None,
    };
    Some(Binding { if_id, mark })
}

fn mark(cx: &mut Context<'_>, key: &Key<'_>, text: &Text) -> Option<Mark> {
    let value = text.get_ref();
    parse(value).or_else(|| {
        let value = value.clone();
        cx.problems.fault(key, text.span(), Fault::Mark { value })
    })
}

/// A mark no packet can have, because of bits that do not count, is none; nor is
/// one that every packet has.
fn parse(text: &str) -> Option<Mark> {
    let number = |text: &str| match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    };
    let mark = match text.split_once('/') {
        Some((value, mask)) => Mark {
            value: number(value)?,
            mask: number(mask)?,
        },
        None => Mark {
            value: number(text)?,
            mask: u32::MAX,
        },
    };
    (mark.mask != 0 && mark.value & !mark.mask == 0).then_some(mark)
}

/// For people.
pub(super) struct Shown(pub(super) Binding);

impl Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Binding { if_id, mark } = self.0;
        let if_id = if_id.map(|if_id| format!("if_id {if_id}"));
        let mark = mark.map(|Mark { value, mask }| format!("mark {value:#x}/{mask:#x}"));
        let parts: Vec<_> = if_id.into_iter().chain(mark).collect();
        f.write_str(&parts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_a_value_with_the_bits_that_count() {
        for (text, value, mask) in [
            ("16", 16, u32::MAX),
            ("0x10", 16, u32::MAX),
            ("0x10/0xff", 16, 255),
            ("0/0xf0", 0, 0xf0),
        ] {
            assert_eq!(parse(text), Some(Mark { value, mask }), "{text}");
        }
        for text in [
            "",
            "ten",
            "-1",
            "0x100000000",
            "1/",
            "/1",
            "0/0",
            "0x11/0x10",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
