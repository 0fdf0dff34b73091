//! CHILD SAs that a script asks for.

use ikexdp_proto::message::child::{ChildPayloads, Selectors};
use ikexdp_proto::wire::iana::{ProtocolId, TransformType};

use super::Script;
use crate::parties::{proposal, selector};

/// The SPI on which the client of [`Script::child`] receives.
pub const CHILD_SPI: u32 = 0xc0ff_ee00;

impl Script {
    /// A CHILD SA that the configuration has room for.
    #[must_use]
    pub fn child() -> ChildPayloads {
        ChildPayloads {
            proposals: vec![proposal(
                ProtocolId::ESP,
                CHILD_SPI.to_be_bytes().to_vec(),
                &[
                    (TransformType::ENCRYPTION, 20, Some(256)),
                    (TransformType::SEQUENCE_NUMBERS, 0, None),
                ],
            )],
            selectors: Selectors::new(
                vec![selector("192.0.2.10-192.0.2.10")],
                vec![selector("10.1.0.0-10.1.255.255")],
            ),
        }
    }

    /// The same on an SPI that no other SA of this client has.
    #[must_use]
    pub fn another_child(&self) -> ChildPayloads {
        let mut child = Self::child();
        let own = self.spis.initiator.0 as u32;
        child.proposals[0].spi = own.to_be_bytes().to_vec();
        child
    }
}
