//! Reads big-endian fields off a slice; nothing is read twice, nothing is left.

use crate::error::{Fault, Malformed};

/// A cursor over octets a peer sent.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the beginning of `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Whether everything has been read.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// How many octets are left.
    #[must_use]
    pub const fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Takes the next `N` octets.
    ///
    /// # Errors
    /// [`Fault::Truncated`] if there are fewer, as in all methods below.
    pub fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], Malformed> {
        let (array, rest) = self.rest.split_first_chunk().ok_or(truncated(field))?;
        self.rest = rest;
        Ok(*array)
    }

    /// Takes one octet.
    ///
    /// # Errors
    /// [`Fault::Truncated`] if there is none.
    pub fn u8(&mut self, field: &'static str) -> Result<u8, Malformed> {
        self.array(field).map(u8::from_be_bytes)
    }

    /// Takes two octets.
    ///
    /// # Errors
    /// [`Fault::Truncated`] if there are fewer.
    pub fn u16(&mut self, field: &'static str) -> Result<u16, Malformed> {
        self.array(field).map(u16::from_be_bytes)
    }

    /// Takes four octets.
    ///
    /// # Errors
    /// [`Fault::Truncated`] if there are fewer.
    pub fn u32(&mut self, field: &'static str) -> Result<u32, Malformed> {
        self.array(field).map(u32::from_be_bytes)
    }

    /// Takes eight octets.
    ///
    /// # Errors
    /// [`Fault::Truncated`] if there are fewer.
    pub fn u64(&mut self, field: &'static str) -> Result<u64, Malformed> {
        self.array(field).map(u64::from_be_bytes)
    }

    /// Takes `length` octets.
    ///
    /// # Errors
    /// [`Fault::Truncated`] if there are fewer.
    pub fn take(&mut self, length: usize, field: &'static str) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(truncated(field))?;
        self.rest = rest;
        Ok(taken)
    }

    /// Takes what is left of a structure whose length field said `length` for
    /// the whole of it, of which `read` octets have been read.
    ///
    /// # Errors
    /// [`Fault::Length`] if `length` is less than `read` or more than there is.
    pub fn take_rest_of(
        &mut self,
        length: u16,
        read: usize,
        field: &'static str,
    ) -> Result<&'a [u8], Malformed> {
        let fault = Malformed {
            field,
            fault: Fault::Length,
        };
        let length = usize::from(length).checked_sub(read).ok_or(fault)?;
        self.take(length, field).map_err(|_| fault)
    }

    /// Takes everything that is left.
    pub const fn rest(&mut self) -> &'a [u8] {
        let rest = self.rest;
        self.rest = &[];
        rest
    }

    /// Ends the structure `field`.
    ///
    /// # Errors
    /// [`Fault::Trailing`] if something is left.
    pub const fn end(self, field: &'static str) -> Result<(), Malformed> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(Malformed {
                field,
                fault: Fault::Trailing,
            })
        }
    }
}

const fn truncated(field: &'static str) -> Malformed {
    Malformed {
        field,
        fault: Fault::Truncated,
    }
}
