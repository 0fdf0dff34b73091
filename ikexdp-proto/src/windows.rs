//! What Windows adds to IKEv2 (MS-IKEE).

use core::fmt;

/// The vendor ID of all versions ("MS NT5 ISAKMPOAKLEY"), but for the version in
/// the four octets behind it.
pub const VENDOR_ID: [u8; 16] = [
    0x1e, 0x2b, 0x51, 0x69, 0x05, 0x99, 0x1c, 0x7d, 0x7c, 0x96, 0xfc, 0xbf, 0xb5, 0x87, 0xe4, 0x61,
];

/// The version of Windows 8 and all since.
pub const VERSION: u32 = 9;

/// Why Windows refuses: the data of its own notify, an error code of Win32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status(pub u32);

impl Status {
    /// Reads the data of the notify.
    #[must_use]
    pub fn decode(data: &[u8]) -> Option<Self> {
        let code = data.try_into().ok()?;
        Some(Self(u32::from_be_bytes(code)))
    }

    const fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            87 => "invalid parameter",
            13801 => "IKE authentication credentials are unacceptable",
            13806 => "IKE failed to find a valid machine certificate",
            13816 => "error processing the exchange",
            13843 => "invalid payload received",
            13863 => "not in this situation, as behind a NAT",
            13868 => "policy match error",
            _ => return None,
        })
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Windows error {}", self.0)?;
        match self.name() {
            Some(name) => write!(f, " ({name})"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn codes_have_names() {
        let said = |data: &[u8]| Status::decode(data).map(|status| status.to_string());
        assert_eq!(
            said(&[0, 0, 0x36, 0x2c]).as_deref(),
            Some("Windows error 13868 (policy match error)")
        );
        assert_eq!(said(&[0, 0, 0, 5]).as_deref(), Some("Windows error 5"));
        assert_eq!(said(&[0, 0, 5]), None);
    }
}
