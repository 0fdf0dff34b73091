//! Messages to and from XFRM, which may hold keys.

use std::fmt;

use ikexdp_proto::data_plane::{Carried, Lineage};
use netlink_packet_core::{DecodeError, NetlinkDeserializable, NetlinkHeader, NetlinkSerializable};
use netlink_packet_xfrm::{UserSaInfo, XfrmAttrs, XfrmMessage};
use zeroize::Zeroize;

use super::reqid::owner;

/// A message that can neither be printed nor leaves keys behind in memory.
pub(super) struct Message(XfrmMessage);

impl Message {
    pub(super) const fn new(message: XfrmMessage) -> Self {
        Self(message)
    }

    pub(super) const fn get(&self) -> &XfrmMessage {
        &self.0
    }

    /// Whose the SA or the policy is that it describes, if it is ours.
    pub(super) fn lineage(&self) -> Option<Lineage> {
        let reqid = match &self.0 {
            XfrmMessage::AddSa(sa) => sa.user_sa_info.reqid,
            XfrmMessage::AddPolicy(policy) => {
                let mut attributes = policy.nlas.iter();
                let template = attributes.find_map(|attribute| match attribute {
                    XfrmAttrs::Template(templates) => templates.first(),
                    _ => None,
                });
                template?.reqid
            }
            _ => return None,
        };
        owner(reqid).map(|(lineage, _)| lineage)
    }

    /// What has gone through the SA that it describes.
    pub(super) fn carried(&self) -> Carried {
        match &self.0 {
            XfrmMessage::AddSa(sa) => carried(&sa.user_sa_info),
            _ => Carried::default(),
        }
    }
}

/// What has gone through an SA.
pub(super) const fn carried(sa: &UserSaInfo) -> Carried {
    Carried {
        octets: sa.lifetime_cur.bytes,
        packets: sa.lifetime_cur.packets,
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        let (XfrmMessage::AddSa(message) | XfrmMessage::UpdateSa(message)) = &mut self.0 else {
            return;
        };
        for attribute in &mut message.nlas {
            match attribute {
                XfrmAttrs::EncryptionAlgAead(algorithm) => algorithm.alg_key.zeroize(),
                XfrmAttrs::EncryptionAlg(algorithm) | XfrmAttrs::AuthenticationAlg(algorithm) => {
                    algorithm.alg_key.zeroize();
                }
                XfrmAttrs::AuthenticationAlgTrunc(algorithm) => algorithm.alg_key.zeroize(),
                _ => {}
            }
        }
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Message(type {:#x})", self.0.message_type())
    }
}

impl NetlinkSerializable for Message {
    fn message_type(&self) -> u16 {
        self.0.message_type()
    }

    fn buffer_len(&self) -> usize {
        NetlinkSerializable::buffer_len(&self.0)
    }

    fn serialize(&self, buffer: &mut [u8]) {
        self.0.serialize(buffer);
    }
}

impl NetlinkDeserializable for Message {
    type Error = DecodeError;

    fn deserialize(header: &NetlinkHeader, payload: &[u8]) -> Result<Self, DecodeError> {
        XfrmMessage::deserialize(header, payload).map(Self)
    }
}
