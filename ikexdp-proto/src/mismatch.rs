//! Why two sides have no algorithms in common, for people.

use alloc::string::String;
use core::fmt;

use crate::config::IkeAlgorithms;
use crate::profile::Profile;
use crate::sa::proposal::{choose_ike, ike_mismatch};
use crate::wire::payload::sa::Proposal;

/// What makes Windows offer something that the profile "compatible" takes, for IKE
/// and for ESP: a macro, because a literal can only be put together from literals.
macro_rules! windows_policy {
    () => {
        "-EncryptionMethod AES256 -IntegrityCheckMethod SHA384 -DHGroup ECP384 \
         -CipherTransformConstants GCMAES256 -AuthenticationTransformConstants GCMAES256 \
         -PfsGroup ECP384"
    };
}

/// The parameters of `Set-VpnConnectionIPsecConfiguration` that do so.
pub const WINDOWS_POLICY: &str = windows_policy!();

/// An offer of which nothing can be chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// What the peer offered.
    pub offered: String,
    /// What we take.
    pub ours: String,
    /// The proposal that lacks least, and what it lacks.
    pub nearest: Option<String>,
    /// The strictest profile that something of the offer is in.
    pub profile: Option<Profile>,
    /// Whether ours are not those of a profile.
    pub lists_of_our_own: bool,
    /// Whether the peer says that it is Windows.
    pub is_windows: bool,
}

impl Mismatch {
    /// What is wrong with `proposals` for an IKE SA where `ours` are taken; of an offer that would do, nothing is
    /// nearest.
    #[must_use]
    pub fn of_ike(proposals: &[Proposal], ours: &IkeAlgorithms, is_windows: bool) -> Self {
        let mut mismatch = *ike_mismatch(proposals, ours, is_windows);
        if choose_ike(proposals, ours).is_some() {
            mismatch.nearest = None;
        }
        mismatch
    }

    /// What can be done about it.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match (self.is_windows, self.profile) {
            (true, Some(Profile::LegacyWindows) | None) => concat!(
                "on the client: `Set-VpnConnectionIPsecConfiguration -ConnectionName NAME ",
                windows_policy!(),
                " -Force`, with `gateway.algorithms = \"compatible\"`"
            ),
            (_, Some(_)) if self.lists_of_our_own => {
                "add what came nearest to the lists of `ike` or `esp` in the configuration, which \
                 go before the profile, or change the client's policy"
            }
            (_, Some(Profile::Modern | Profile::Compatible)) => {
                "`gateway.algorithms = \"compatible\"` takes it, or change the client's policy"
            }
            (false, Some(Profile::LegacyWindows)) => {
                "change the client's policy: what it offers can be broken; \
                 `gateway.algorithms = \"legacy-windows\"` takes it"
            }
            (false, None) => {
                "change the client's policy, or add one of the offered algorithms to `ike` or \
                 `esp` in the configuration, if it has them"
            }
        }
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            offered,
            ours,
            nearest,
            ..
        } = self;
        write!(f, "no common algorithms; offered: {offered}; ours: {ours}")?;
        match nearest {
            Some(nearest) => write!(f, "; nearest: {nearest}"),
            None => Ok(()),
        }
    }
}
