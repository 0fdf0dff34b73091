//! A DHCPINFORM, as it comes out of a tunnel.

use std::net::Ipv4Addr;

use smoltcp::wire::{
    DHCP_CLIENT_PORT, DHCP_SERVER_PORT, DhcpMessageType, DhcpOpCode, DhcpPacket, IpProtocol,
    Ipv4Packet, UdpPacket,
};

use super::limits::{ANSWER_LEN_MAX, ANSWER_LEN_MIN};

/// Options (RFC 2132) that a question may have.
const MESSAGE_TYPE: u8 = 53;
const PARAMETER_REQUEST_LIST: u8 = 55;
const MAXIMUM_MESSAGE_SIZE: u8 = 57;

/// What DHCP begins its options with (RFC 2131 §3).
const MAGIC_COOKIE: u32 = 0x6382_5363;

/// Why a packet is no DHCPINFORM that anybody may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unfit {
    /// It is neither UDP nor whole, or between other ports.
    #[error("no datagram from a client of DHCP")]
    Foreign,
    /// It is no request of DHCP.
    #[error("no request of DHCP")]
    NoDhcp,
    /// It asks for something else, such as an address.
    #[error("no DHCPINFORM")]
    OtherType,
    /// It was relayed, or is about another address than the one it comes from.
    #[error("not of who asks")]
    OfAnother,
}

/// A question.
#[derive(Clone, Debug)]
pub(super) struct Inform<'a> {
    /// Who asks.
    pub(super) client: Ipv4Addr,
    /// Octets of the longest IP datagram that may answer it.
    pub(super) answer_len_max: usize,
    /// The message.
    pub(super) message: &'a [u8],
    /// The options it asks for; all if it does not say.
    asked: Option<Vec<u8>>,
}

impl<'a> Inform<'a> {
    /// Reads an IP packet.
    ///
    /// # Errors
    /// [`Unfit`] if it is to be ignored.
    pub(super) fn read(packet: &'a [u8]) -> Result<Self, Unfit> {
        let ip = Ipv4Packet::new_checked(packet).map_err(|_| Unfit::Foreign)?;
        if ip.version() != 4 || ip.next_header() != IpProtocol::Udp {
            return Err(Unfit::Foreign);
        }
        let udp = UdpPacket::new_checked(ip.payload()).map_err(|_| Unfit::Foreign)?;
        let ports = (udp.src_port(), udp.dst_port());
        let (source, destination) = (ip.src_addr(), ip.dst_addr());
        if ports != (DHCP_CLIENT_PORT, DHCP_SERVER_PORT)
            || !udp.verify_checksum(&source.into(), &destination.into())
        {
            return Err(Unfit::Foreign);
        }
        let message = udp.payload();
        let inform = Self::decode(message)?;
        if inform.client != source {
            return Err(Unfit::OfAnother);
        }
        Ok(inform)
    }

    fn decode(message: &'a [u8]) -> Result<Self, Unfit> {
        let packet = DhcpPacket::new_checked(message).map_err(|_| Unfit::NoDhcp)?;
        if packet.opcode() != DhcpOpCode::Request || packet.magic_number() != MAGIC_COOKIE {
            return Err(Unfit::NoDhcp);
        }
        let mut kind = None;
        let mut asked: Option<Vec<u8>> = None;
        let mut answer_len_max = ANSWER_LEN_MIN;
        for option in packet.options() {
            match (option.kind, option.data) {
                (MESSAGE_TYPE, [value]) => kind = Some(DhcpMessageType::from(*value)),
                (PARAMETER_REQUEST_LIST, list) => asked.get_or_insert_default().extend(list),
                (MAXIMUM_MESSAGE_SIZE, [high, low]) => {
                    let length = u16::from_be_bytes([*high, *low]);
                    answer_len_max = usize::from(length).clamp(ANSWER_LEN_MIN, ANSWER_LEN_MAX);
                }
                _ => {}
            }
        }
        if kind != Some(DhcpMessageType::Inform) {
            return Err(Unfit::OtherType);
        }
        if !packet.relay_agent_ip().is_unspecified() {
            return Err(Unfit::OfAnother);
        }
        Ok(Self {
            client: packet.client_ip(),
            answer_len_max,
            message,
            asked,
        })
    }

    /// Whether it asks for this option.
    pub(super) fn asks(&self, option: u8) -> bool {
        let asked = self.asked.as_ref();
        asked.is_none_or(|asked| asked.contains(&option))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use smoltcp::phy::ChecksumCapabilities;
    use smoltcp::wire::{Ipv4Repr, UdpRepr};

    pub(in super::super) const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 7);

    /// What Windows asks for after it has connected: name servers, WINS, its own, the
    /// mask, routes, and the domain.
    const WINDOWS: [u8; 8] = [55, 6, 6, 44, 43, 1, 249, 15];

    /// A message as Windows sends it, with these options and nothing behind them.
    pub(in super::super) fn message(options: &[&[u8]]) -> Vec<u8> {
        let mut message = vec![0; 240];
        message[..8].copy_from_slice(&[1, 8, 6, 0, 0xde, 0xad, 0xbe, 0xef]);
        message[12..16].copy_from_slice(&CLIENT.octets());
        message[28..34].copy_from_slice(b"RAS \x01\x02");
        message[236..].copy_from_slice(&MAGIC_COOKIE.to_be_bytes());
        message.extend(options.concat());
        message
    }

    /// The same message with the options that Windows has.
    pub(in super::super) fn windows() -> Vec<u8> {
        message(&[&[53, 1, 8], b"\x3c\x08MSFT 5.0", &WINDOWS, &[255, 0, 0, 0]])
    }

    /// An IP packet with `message` in it.
    pub(in super::super) fn packet(source: Ipv4Addr, ports: [u16; 2], message: &[u8]) -> Vec<u8> {
        let [src_port, dst_port] = ports;
        let udp = UdpRepr { src_port, dst_port };
        let payload_len = udp.header_len() + message.len();
        let ip = Ipv4Repr {
            src_addr: source,
            dst_addr: Ipv4Addr::BROADCAST,
            next_header: IpProtocol::Udp,
            payload_len,
            hop_limit: 128,
        };
        let sums = ChecksumCapabilities::default();
        let mut octets = vec![0; ip.buffer_len() + payload_len];
        ip.emit(&mut Ipv4Packet::new_unchecked(&mut octets[..]), &sums);
        let mut datagram = UdpPacket::new_unchecked(&mut octets[ip.buffer_len()..]);
        let (from, to) = (ip.src_addr.into(), ip.dst_addr.into());
        let copy = |payload: &mut [u8]| payload.copy_from_slice(message);
        udp.emit(&mut datagram, &from, &to, message.len(), copy, &sums);
        octets
    }

    fn read(message: &[u8]) -> Result<(), Unfit> {
        Inform::read(&packet(CLIENT, [68, 67], message)).map(drop)
    }

    #[test]
    fn what_windows_sends_is_understood() {
        let octets = packet(CLIENT, [68, 67], &windows());
        let inform = Inform::read(&octets).unwrap();
        assert_eq!((inform.client, inform.answer_len_max), (CLIENT, 576));
        let asked = [1, 6, 15, 121, 249].map(|option| inform.asks(option));
        assert_eq!(asked, [true, true, true, false, true]);
        // Whoever does not say wants all.
        let silent = message(&[&[53, 1, 8, 255]]);
        assert!(Inform::decode(&silent).unwrap().asks(121));
    }

    #[test]
    fn a_client_says_how_much_it_takes() {
        for (said, taken) in [(0, 576), (575, 576), (1000, 1000), (65_535, 1200)] {
            let [high, low] = u16::to_be_bytes(said);
            let octets = message(&[&[53, 1, 8], &[57, 2, high, low]]);
            assert_eq!(Inform::decode(&octets).unwrap().answer_len_max, taken);
        }
    }

    #[test]
    fn what_is_no_question_is_ignored() {
        let with = |place: usize, octets: &[u8]| {
            let mut message = windows();
            message[place..place + octets.len()].copy_from_slice(octets);
            message
        };
        let kind = |kind: &[u8]| message(&[kind, &[255]]);
        for (name, octets, unfit) in [
            ("a reply", with(0, &[2]), Unfit::NoDhcp),
            ("BOOTP", with(236, &[0; 4]), Unfit::NoDhcp),
            ("DHCPDISCOVER", kind(&[53, 1, 1]), Unfit::OtherType),
            ("DHCPREQUEST", kind(&[53, 1, 3]), Unfit::OtherType),
            ("DHCPRELEASE", kind(&[53, 1, 7]), Unfit::OtherType),
            ("no type", kind(&[]), Unfit::OtherType),
            ("an empty type", kind(&[53, 0]), Unfit::OtherType),
            ("a long type", kind(&[53, 2, 8, 8]), Unfit::OtherType),
            (
                "a type behind the end",
                kind(&[255, 53, 1, 8]),
                Unfit::OtherType,
            ),
            ("a type that is cut", message(&[&[53, 1]]), Unfit::OtherType),
            (
                "an option that is cut",
                message(&[&[12, 99, 53, 1, 8]]),
                Unfit::OtherType,
            ),
            ("a relay's", with(24, &[10, 9, 0, 8]), Unfit::OfAnother),
            ("another's", with(12, &[10, 9, 0, 8]), Unfit::OfAnother),
            ("nobody's", with(12, &[0; 4]), Unfit::OfAnother),
            ("half a header", windows()[..239].to_vec(), Unfit::NoDhcp),
            ("nothing", Vec::new(), Unfit::NoDhcp),
        ] {
            assert_eq!(read(&octets), Err(unfit), "{name}");
        }
    }

    #[test]
    fn giant_options_are_passed_over() {
        let giant = [&[43, 255][..], &[0; 255]].concat();
        let octets = message(&[&giant, &giant, &[53, 1, 8], &giant]);
        assert_eq!(read(&octets), Ok(()));
        // A list of all options there are, in two parts (RFC 3396).
        let list: Vec<u8> = (0..255).collect();
        let list = [&[55, 255][..], &list].concat();
        let octets = message(&[&[53, 1, 8], &[55, 1, 255], &list]);
        assert!(Inform::decode(&octets).unwrap().asks(249));
    }

    #[test]
    fn what_is_cut_or_damaged_or_for_others_is_ignored() {
        let good = packet(CLIENT, [68, 67], &windows());
        for length in 0..good.len() {
            assert!(Inform::read(&good[..length]).is_err(), "{length}");
        }
        for place in 20..good.len() {
            let mut damaged = good.clone();
            damaged[place] ^= 0x10;
            assert!(Inform::read(&damaged).is_err(), "{place}");
        }
        for ports in [[67, 67], [68, 68], [68, 53]] {
            let unfit = Inform::read(&packet(CLIENT, ports, &windows())).map(drop);
            assert_eq!(unfit, Err(Unfit::Foreign), "{ports:?}");
        }
        let mut tcp = good.clone();
        tcp[9] = 6;
        assert_eq!(Inform::read(&tcp).map(drop), Err(Unfit::Foreign));
        let other = packet([10, 9, 0, 8].into(), [68, 67], &windows());
        assert_eq!(Inform::read(&other).map(drop), Err(Unfit::OfAnother));
    }
}
