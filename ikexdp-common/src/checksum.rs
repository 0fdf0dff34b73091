//! The checksum of IP and UDP (RFC 1071).

/// The words of `octets` added up; less than 64 KiB cannot wrap. A part of what is summed
/// begins at an even place.
#[must_use]
#[inline(always)]
pub fn sum(octets: &[u8]) -> u32 {
    let (words, odd) = octets.as_chunks::<2>();
    let mut sum = match odd {
        [odd] => u32::from(u16::from_be_bytes([*odd, 0])),
        _ => 0,
    };
    for word in words {
        sum = sum.wrapping_add(u16::from_be_bytes(*word).into());
    }
    sum
}

/// The checksum of what adds up to `sum`.
#[must_use]
#[inline(always)]
pub const fn checksum(sum: u32) -> u16 {
    let folded = (sum >> 16).wrapping_add(sum & 0xffff);
    let [_, _, high, low] = (folded >> 16).wrapping_add(folded).to_be_bytes();
    !u16::from_be_bytes([high, low])
}

/// The checksum of UDP of what adds up to `sum`: zero says that there is none (RFC 768).
#[must_use]
#[inline(always)]
pub const fn udp_checksum(sum: u32) -> u16 {
    match checksum(sum) {
        0 => u16::MAX,
        checksum => checksum,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_rfc() {
        // RFC 1071 §3: the sum is ddf2, its complement 220d.
        let octets = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(checksum(sum(&octets)), 0x220d);
        let (one, other) = octets.split_at(4);
        assert_eq!(sum(one) + sum(other), sum(&octets));
        assert_eq!(sum(&[0xab]), 0xab00);
        assert_eq!(checksum(0xffff), 0);
        assert_eq!(udp_checksum(0xffff), 0xffff);
    }
}
