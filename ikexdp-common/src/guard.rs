//! What becomes of an IKE message before anybody in user space looks at it:
//! prefixes that are listed, SPIs that are not ours, cookies and rates.
//!
//! A message is judged by what costs least first, and by nothing that a stranger
//! can make us remember: a source gets a bucket of its own only within the rate of
//! all, or with a cookie that proves that it receives. Honest clients behind one
//! address are many: over its rate a source is asked for cookies, and only what it
//! sends with them is limited (RFC 7296 §2.6).

use crate::address::Address;
use crate::classify::{Load, Located};
use crate::cookie::{COOKIE_LEN, Cookie, NONCE_LEN, Request};
use crate::header::{ike, ipv4, ipv6, payload};
use crate::limit::Over;
use crate::maps::{Config, Cookies, Secrets};
use crate::verdict::Verdict;

/// A frame that can be read anywhere: at places that a peer has chosen, at a cost.
pub trait Read: Load {
    /// The `N` octets at `at`, or `None` where the frame ends before them.
    fn read<const N: usize>(&self, at: usize) -> Option<[u8; N]>;
}

/// What is asked about the gateway.
pub trait Shield {
    /// What the daemon has told.
    fn config(&self) -> Config;

    /// What cookies and SPIs are checked with.
    fn secrets(&self) -> Secrets;

    /// Whether `address` is one of ours, or the broadcast address of a network that
    /// we are in: nobody there is to be answered.
    fn is_ours(&self, address: Address) -> bool;

    /// What is said about the longest prefix of `address`.
    fn listing(&self, address: Address) -> Listing;

    /// Whether an SPI that no secret verifies is one of ours all the same.
    fn is_kept(&self, spi: u64) -> bool;

    /// Takes a token for `bucket` of the source of `address`, of the network that it is
    /// in, and of all; or of none. The limits are those of the configuration.
    ///
    /// # Errors
    ///
    /// Whose tokens are used up.
    fn take(&self, address: Address, bucket: Bucket) -> Result<(), Over>;
}

/// What is said about a prefix.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Listing {
    /// Nothing.
    #[default]
    Unlisted,
    /// Its messages are never limited.
    Allowed,
    /// Its messages are dropped.
    Blocked,
}

impl Listing {
    /// Reads the value from the map.
    #[must_use]
    #[inline(always)]
    pub const fn from_u8(value: u8) -> Self {
        match value {
            1 => Self::Allowed,
            2 => Self::Blocked,
            _ => Self::Unlisted,
        }
    }
}

/// What tokens are taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Bucket {
    /// IKE_SA_INIT requests without a good cookie.
    Init,
    /// IKE_SA_INIT requests with a good cookie.
    Proven,
    /// Messages that user space only refuses.
    Stray,
}

impl Bucket {
    /// How many there are.
    pub const COUNT: usize = 3;
}

/// What is to be done with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// What was decided.
    Decided(Verdict),
    /// It is an IKE_SA_INIT request, about which [`admit`] decides.
    Opening,
    /// It names an SPI that is not ours: user space only refuses it, and [`trickle`] decides.
    Stray,
    /// The same of a later version.
    Version,
}

/// Decides about the IKE message that was [`located`](crate::classify::locate), as far as
/// that takes no tokens.
// Functions of their own even in the kernel: there the stack of one is short. They return
// no more than a number, for the kernel's verifier wants every octet of what is returned
// to have been written.
#[inline(never)]
pub fn guard(frame: &impl Read, located: &Located, shield: &impl Shield) -> Step {
    // The classifier has read the headers, so that they are there.
    Guard::new(frame, located, shield)
        .decide()
        .unwrap_or(Step::Decided(Verdict::PassTruncated))
}

/// Lets a trickle of what user space only refuses through to it, with the verdict of the
/// one, and gives all else the verdict of the other.
#[inline(never)]
pub fn trickle(
    frame: &impl Read,
    located: &Located,
    shield: &impl Shield,
    [through, dropped]: [Verdict; 2],
) -> Verdict {
    let address = Guard::new(frame, located, shield).address();
    match address.map(|address| shield.take(address, Bucket::Stray)) {
        Some(Ok(())) => through,
        _ => dropped,
    }
}

/// Decides about the IKE_SA_INIT request that was located. If that is a reply, it is to be
/// made with what is written to `cookie`.
#[inline(never)]
pub fn admit(
    frame: &impl Read,
    located: &Located,
    shield: &impl Shield,
    cookie: &mut Cookie,
) -> Verdict {
    Guard::new(frame, located, shield)
        .ike_sa_init(cookie)
        .unwrap_or(Verdict::PassTruncated)
}

/// Whether a located message is in a packet of IPv4.
#[must_use]
#[inline(always)]
pub const fn is_v4(located: Located) -> bool {
    located.l4.wrapping_sub(located.l3) == ipv4::LEN
}

struct Guard<'a, F, S> {
    frame: &'a F,
    located: Located,
    shield: &'a S,
}

impl<'a, F: Read, S: Shield> Guard<'a, F, S> {
    #[inline(always)]
    const fn new(frame: &'a F, located: &Located, shield: &'a S) -> Self {
        Self {
            frame,
            located: *located,
            shield,
        }
    }

    #[inline(always)]
    fn decide(&self) -> Option<Step> {
        let Config {
            lists, check_spis, ..
        } = self.shield.config();
        let Located { verdict, ike, .. } = self.located;
        let address = self.address()?;
        if self.shield.is_ours(address) {
            return Some(Step::Decided(Verdict::PassMartian));
        }
        if lists {
            match self.shield.listing(address) {
                Listing::Allowed => return Some(Step::Decided(verdict)),
                Listing::Blocked => return Some(Step::Decided(Verdict::DropBlocked)),
                Listing::Unlisted => {}
            }
        }
        if matches!(verdict, Verdict::RedirectVersion) {
            return Some(Step::Version);
        }
        let [exchange, flags] = self.frame.load(ike, ike::EXCHANGE)?;
        if exchange == ike::IKE_SA_INIT && flags & ike::RESPONSE == 0 {
            return Some(Step::Opening);
        }
        if !check_spis {
            return Some(Step::Decided(verdict));
        }
        // Ours is the one that the other side did not choose.
        let ours = if flags & ike::INITIATOR == 0 {
            self.frame.load(ike, ike::INITIATOR_SPI)
        } else {
            self.frame.load(ike, ike::RESPONDER_SPI)
        };
        let spi = u64::from_be_bytes(ours?);
        if self.shield.secrets().spis.verify(spi) || self.shield.is_kept(spi) {
            return Some(Step::Decided(verdict));
        }
        Some(Step::Stray)
    }

    #[inline(always)]
    fn ike_sa_init(&self, reply: &mut Cookie) -> Option<Verdict> {
        let Located { ike, verdict, .. } = self.located;
        let cookies = self.shield.config().cookies;
        if matches!(cookies, Cookies::Off) {
            return Some(verdict);
        }
        let address = self.address()?;
        let nonce = self.nonce();
        if let Some((nonce, nonce_len)) = nonce {
            let request = Request {
                address,
                spi_i: u64::from_be_bytes(self.frame.load(ike, ike::INITIATOR_SPI)?),
                nonce,
                nonce_len,
            };
            let secrets = self.shield.secrets().cookies;
            *reply = secrets.mint_for(&request);
            if let Some(cookie) = self.cookie()
                && secrets.verify_for(cookie, *reply, &request)
            {
                return Some(match self.shield.take(address, Bucket::Proven) {
                    Ok(()) => verdict,
                    Err(Over::Source) => Verdict::DropSourceLimit,
                    Err(Over::Network) => Verdict::DropNetworkLimit,
                    Err(Over::Total) => Verdict::DropTotalLimit,
                });
            }
        }
        let asked = match cookies {
            Cookies::Always => Verdict::ReplyCookie,
            _ => match self.shield.take(address, Bucket::Init) {
                Ok(()) => return Some(verdict),
                Err(Over::Source) => Verdict::ReplyCookieSource,
                Err(Over::Network) => Verdict::ReplyCookieNetwork,
                Err(Over::Total) => Verdict::ReplyCookieTotal,
            },
        };
        Some(match nonce {
            Some(_) => asked,
            None => Verdict::DropNonce,
        })
    }

    /// The cookie, which is in the first payload if there is one (RFC 7296 §2.6).
    #[inline(always)]
    fn cookie(&self) -> Option<Cookie> {
        const LENGTH: usize = payload::NOTIFY_LEN + COOKIE_LEN;

        let ike = self.located.ike;
        let [kind] = self.frame.load(ike, ike::NEXT_PAYLOAD)?;
        let [_, _, high, low, a, b, c, d] = self.frame.load(ike, ike::LEN)?;
        let is_cookie = kind == payload::NOTIFY
            && usize::from(u16::from_be_bytes([high, low])) == LENGTH
            && [a, b, c, d] == payload::COOKIE;
        if !is_cookie {
            return None;
        }
        self.frame
            .load(ike, ike::LEN + payload::NOTIFY_LEN)
            .map(Cookie::from_octets)
    }

    /// The first octets of the nonce, and its length.
    #[inline(always)]
    fn nonce(&self) -> Option<([u8; NONCE_LEN], usize)> {
        let Located { ike, length, .. } = self.located;
        let end = ike.wrapping_add(length);
        let [mut kind] = self.frame.load(ike, ike::NEXT_PAYLOAD)?;
        let mut at = ike.wrapping_add(ike::LEN);
        for _ in 0..PAYLOADS {
            // Where there is less, neither this payload is a nonce nor one behind it.
            let octets = self.frame.read::<{ payload::LEN + NONCE_LEN }>(at)?;
            let (&[next, _, high, low], body) = octets.split_first_chunk()?;
            let octets = usize::from(u16::from_be_bytes([high, low]));
            let behind = at.wrapping_add(octets);
            if octets < payload::LEN || behind > end {
                return None;
            }
            if kind == payload::NONCE {
                let length = octets.wrapping_sub(payload::LEN);
                let is_sound = (NONCE_LEN..=NONCE_LEN_MAX).contains(&length);
                return is_sound.then_some((*body.first_chunk()?, length));
            }
            kind = next;
            at = behind;
        }
        None
    }

    #[inline(always)]
    fn address(&self) -> Option<Address> {
        let l3 = self.located.l3;
        if is_v4(self.located) {
            self.frame.load(l3, ipv4::SOURCE).map(Address::from_v4)
        } else {
            self.frame.load(l3, ipv6::SOURCE).map(Address)
        }
    }
}

/// Payloads looked at. Clients send the nonce third, or fourth behind a cookie; any
/// order is allowed.
const PAYLOADS: usize = 16;

/// Longest nonce in octets (RFC 7296 §3.9).
const NONCE_LEN_MAX: usize = 256;
