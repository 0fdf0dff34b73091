//! Captures that are written line by line, as an attempt goes.

use std::net::Ipv4Addr;

use ikexdp_proto::message::init::{InitNotifies, InitRequest, InitResponse};
use ikexdp_proto::nat::NatHashes;
use ikexdp_proto::types::{MessageId, Role, Spi, Spis};
use ikexdp_proto::wire::header::{HEADER_LEN, Header, VERSION};
use ikexdp_proto::wire::iana::{
    EncryptionId, ExchangeType, GroupId, IntegrityId, NotifyType, PayloadType, PrfId, ProtocolId,
    TransformType,
};
use ikexdp_proto::wire::payload::ke::KeyExchange;
use ikexdp_proto::wire::payload::notify::Notify;
use ikexdp_proto::wire::payload::sa::{Proposal, Transform};
use ikexdp_proto::wire::writer::{Chain, ChainWriter};

use crate::model::{Report, Vantage};
use crate::verdict::Direction::{self, FromClient, FromGateway};
use crate::{Reading, judge, read};

pub(super) const CLIENT: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 7);
pub(super) const GATEWAY: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);

/// An attempt as one capture shows it.
#[derive(Clone, Debug)]
pub(super) struct Script {
    frames: Vec<(u64, Vec<u8>)>,
    /// Microseconds since 1970.
    now: u64,
    pub(super) at: Vantage,
    pub(super) spi: u64,
    /// What gateways choose.
    pub(super) answer_spi: u64,
    pub(super) client: Ipv4Addr,
    pub(super) gateway: Ipv4Addr,
    pub(super) ports: (u16, u16),
    /// Who announces IKE fragmentation: the client, the gateway.
    pub(super) announced: (bool, bool),
    pub(super) is_windows: bool,
    ip_id: u16,
}

impl Script {
    pub(super) fn new(at: Vantage) -> Self {
        Self {
            frames: Vec::new(),
            now: 1_700_000_000_000_000,
            at,
            spi: 0x0102_0304_0506_0708,
            answer_spi: 0xaa,
            client: CLIENT,
            gateway: GATEWAY,
            ports: (500, 4500),
            announced: (true, true),
            is_windows: true,
            ip_id: 0,
        }
    }

    pub(super) fn wait(&mut self, milliseconds: u64) -> &mut Self {
        self.now += milliseconds * 1000;
        self
    }

    /// Another attempt, from these ports.
    pub(super) fn anew(&mut self, ports: (u16, u16)) -> &mut Self {
        self.spi += 1;
        self.ports = ports;
        self
    }

    pub(super) fn ask(&mut self) -> &mut Self {
        self.ask_for(GroupId::MODP_2048)
    }

    /// IKE_SA_INIT with a key of this group.
    pub(super) fn ask_for(&mut self, group: GroupId) -> &mut Self {
        self.request(group, None)
    }

    fn request(&mut self, group: GroupId, size_test: Option<u16>) -> &mut Self {
        let request = InitRequest {
            cookie: None,
            proposals: vec![proposal(group)],
            key_exchange: KeyExchange {
                group,
                data: &[7; 256],
            },
            nonce: &[5; 48],
            notifies: notifies(self.announced.0),
            size_test,
            is_windows: self.is_windows,
        };
        self.init(FromClient, &request.encode())
    }

    /// IKE_SA_INIT as `ikexdp mtu` sends it.
    pub(super) fn test_size(&mut self) -> &mut Self {
        self.request(GroupId::MODP_2048, Some(576))
    }

    pub(super) fn accept(&mut self) -> &mut Self {
        let response = InitResponse {
            proposal: proposal(GroupId::MODP_2048),
            key_exchange: KeyExchange {
                group: GroupId::MODP_2048,
                data: &[9; 256],
            },
            nonce: &[6; 32],
            notifies: notifies(self.announced.1),
            authorities: Vec::new(),
        };
        self.wait(20).init(FromGateway, &response.encode())
    }

    /// An answer to IKE_SA_INIT that is one notify.
    pub(super) fn refuse(&mut self, kind: NotifyType, data: &[u8]) -> &mut Self {
        let chain = notify(kind, data);
        self.wait(20).init(FromGateway, &chain)
    }

    fn init(&mut self, direction: Direction, chain: &Chain) -> &mut Self {
        let responder = if direction == FromGateway {
            self.answer_spi
        } else {
            0
        };
        let header = self.header(
            direction,
            ExchangeType::IKE_SA_INIT,
            0,
            chain.first,
            responder,
        );
        let message = message(&header, &chain.octets);
        let port = self.ports.0;
        self.send(direction, (port, 500), &message, &[])
    }

    /// SK of `ciphertext` octets, which are 44 less than the IKE message with AES-CBC and SHA-256.
    pub(super) fn sealed(&mut self, direction: Direction, id: u32, ciphertext: usize) -> &mut Self {
        let message = self.seal(direction, ExchangeType::IKE_AUTH, id, None, ciphertext);
        self.float(direction, &message, &[])
    }

    pub(super) fn informational(&mut self, direction: Direction, id: u32) -> &mut Self {
        self.exchange(ExchangeType::INFORMATIONAL, direction, id, 16)
    }

    /// SK of another exchange than IKE_AUTH.
    pub(super) fn exchange(
        &mut self,
        kind: ExchangeType,
        direction: Direction,
        id: u32,
        ciphertext: usize,
    ) -> &mut Self {
        let message = self.seal(direction, kind, id, None, ciphertext);
        self.float(direction, &message, &[])
    }

    pub(super) fn keepalive(&mut self) -> &mut Self {
        let port = self.ports.1;
        self.send(FromClient, (port, 4500), &[0xff], &[])
    }

    /// What is sent from now on goes the other way: the hosts change places.
    pub(super) fn swap(&mut self) -> &mut Self {
        (self.client, self.gateway) = (self.gateway, self.client);
        self.at = match self.at {
            Vantage::Client => Vantage::Gateway,
            Vantage::Gateway => Vantage::Client,
            Vantage::Unknown => Vantage::Unknown,
        };
        self
    }

    /// SKF number `number` of `total`.
    pub(super) fn part(
        &mut self,
        direction: Direction,
        id: u32,
        (number, total): (u16, u16),
        size: usize,
    ) -> &mut Self {
        let message = self.seal(
            direction,
            ExchangeType::IKE_AUTH,
            id,
            Some((number, total)),
            size,
        );
        self.float(direction, &message, &[])
    }

    /// SK in IP fragments of 1480 octets, of which those in `lost` are not seen.
    pub(super) fn in_pieces(
        &mut self,
        direction: Direction,
        id: u32,
        size: usize,
        lost: &[usize],
    ) -> &mut Self {
        let message = self.seal(direction, ExchangeType::IKE_AUTH, id, None, size);
        self.float(direction, &message, lost)
    }

    /// An error in the clear, as an answer to IKE_AUTH.
    pub(super) fn unprotected(&mut self, kind: NotifyType) -> &mut Self {
        let chain = notify(kind, &[]);
        let header = self.header(
            FromGateway,
            ExchangeType::IKE_AUTH,
            1,
            chain.first,
            self.answer_spi,
        );
        let message = message(&header, &chain.octets);
        self.wait(20).float(FromGateway, &message, &[])
    }

    pub(super) fn esp(&mut self, direction: Direction) -> &mut Self {
        self.esp_of(direction, 0xc0ff_ee01)
    }

    /// ESP of this SPI.
    pub(super) fn esp_of(&mut self, direction: Direction, spi: u32) -> &mut Self {
        let packet = [&spi.to_be_bytes()[..], &[0, 0, 0, 1, 0xaa, 0xaa]].concat();
        let port = self.ports.1;
        self.send(direction, (port, 4500), &packet, &[])
    }

    /// The last frame without its last octets.
    pub(super) fn cut_last(&mut self, octets: usize) -> &mut Self {
        let (_, last) = self.frames.last_mut().unwrap();
        last.truncate(last.len() - octets);
        self
    }

    pub(super) fn ikev1(&mut self) -> &mut Self {
        self.ikev1_of(2, 0)
    }

    /// IKEv1, of this exchange and with this responder's cookie.
    pub(super) fn ikev1_of(&mut self, exchange: u8, responder: u64) -> &mut Self {
        let header = self.header(
            FromClient,
            ExchangeType(exchange),
            0,
            PayloadType(1),
            responder,
        );
        let mut message = message(
            &Header {
                version: 0x10,
                ..header
            },
            &[0; 64],
        );
        message[19] = 0;
        let port = self.ports.0;
        self.send(FromClient, (port, 500), &message, &[])
    }

    /// ICMP of the gateway about the client's last frame.
    pub(super) fn icmp(&mut self, kind: u8, code: u8) -> &mut Self {
        let (_, last) = self.frames.last().unwrap();
        let mut data = vec![kind, code, 0, 0, 0, 0, 0, 0];
        data.extend(&last[14..last.len().min(14 + 28)]);
        let packet = self.ip(FromGateway, 1, 0, &data);
        self.frames.push((self.now, packet));
        self
    }

    fn header(
        &self,
        direction: Direction,
        exchange: ExchangeType,
        id: u32,
        first: PayloadType,
        responder: u64,
    ) -> Header {
        Header {
            spis: Spis {
                initiator: Spi(self.spi),
                responder: Spi(responder),
            },
            next_payload: first,
            version: VERSION,
            exchange,
            from: if direction == FromClient {
                Role::Initiator
            } else {
                Role::Responder
            },
            response: direction == FromGateway,
            message_id: MessageId(id),
        }
    }

    fn seal(
        &self,
        direction: Direction,
        exchange: ExchangeType,
        id: u32,
        part: Option<(u16, u16)>,
        ciphertext: usize,
    ) -> Vec<u8> {
        // IV and ICV of what `proposal` has.
        let inside = 16 + ciphertext + 16;
        let mut payload = Vec::new();
        let (kind, first) = match part {
            None => (PayloadType::ENCRYPTED, 35),
            Some((1, _)) => (PayloadType::ENCRYPTED_FRAGMENT, 35),
            Some(_) => (PayloadType::ENCRYPTED_FRAGMENT, 0),
        };
        let numbers = part.map_or_else(Vec::new, |(n, m)| {
            [n.to_be_bytes(), m.to_be_bytes()].concat()
        });
        payload.extend([first, 0]);
        payload.extend(
            u16::try_from(4 + numbers.len() + inside)
                .unwrap()
                .to_be_bytes(),
        );
        payload.extend(numbers);
        // Not the same in every message, but the same in its repeats.
        let mark = u8::try_from(id).unwrap() ^ if direction == FromGateway { 0x80 } else { 0 };
        payload.resize(payload.len() + inside, mark);
        let header = self.header(direction, exchange, id, kind, self.answer_spi);
        message(&header, &payload)
    }

    fn float(&mut self, direction: Direction, message: &[u8], lost: &[usize]) -> &mut Self {
        let marked = [&[0; 4][..], message].concat();
        let port = self.ports.1;
        self.send(direction, (port, 4500), &marked, lost)
    }

    fn send(
        &mut self,
        direction: Direction,
        (client, gateway): (u16, u16),
        payload: &[u8],
        lost: &[usize],
    ) -> &mut Self {
        let (from, to) = if direction == FromClient {
            (client, gateway)
        } else {
            (gateway, client)
        };
        let length = u16::try_from(8 + payload.len()).unwrap();
        let mut udp = [
            from.to_be_bytes(),
            to.to_be_bytes(),
            length.to_be_bytes(),
            [0; 2],
        ]
        .concat();
        udp.extend(payload);
        self.ip_id += 1;
        let count = udp.len().div_ceil(1480);
        for (index, piece) in udp.chunks(1480).enumerate() {
            let more = if index + 1 < count { 0x2000 } else { 0 };
            let flags = more | u16::try_from(index * 185).unwrap();
            if !lost.contains(&index) {
                let packet = self.ip(direction, 17, flags, piece);
                self.frames.push((self.now, packet));
            }
        }
        self.now += 100;
        self
    }

    fn ip(&self, direction: Direction, protocol: u8, flags: u16, data: &[u8]) -> Vec<u8> {
        let is_fresh = match self.at {
            Vantage::Client => direction == FromClient,
            Vantage::Gateway => direction == FromGateway,
            Vantage::Unknown => true,
        };
        let (source, destination) = if direction == FromClient {
            (self.client, self.gateway)
        } else {
            (self.gateway, self.client)
        };
        let mut frame = vec![2; 12];
        frame.extend([8, 0, 0x45, 0]);
        frame.extend(u16::try_from(20 + data.len()).unwrap().to_be_bytes());
        frame.extend(self.ip_id.to_be_bytes());
        frame.extend(flags.to_be_bytes());
        frame.extend([if is_fresh { 64 } else { 57 }, protocol, 0, 0]);
        frame.extend(source.octets());
        frame.extend(destination.octets());
        frame.extend(data);
        frame
    }

    /// The capture as a file; it goes on until now.
    pub(super) fn pcap(&self) -> Vec<u8> {
        self.pcap_ahead(0)
    }

    /// The same by a clock that is so many seconds ahead.
    pub(super) fn pcap_ahead(&self, seconds: u32) -> Vec<u8> {
        self.file(seconds, usize::MAX, 1)
    }

    /// The same with frames cut to so many octets, and of this link type.
    pub(super) fn file(&self, seconds: u32, cut_to: usize, link: u32) -> Vec<u8> {
        let mut file = [0xa1b2_c3d4_u32.to_le_bytes(), [2, 0, 4, 0], [0; 4], [0; 4]].concat();
        file.extend(262_144_u32.to_le_bytes());
        file.extend(link.to_le_bytes());
        let arp = [&[2; 12][..], &[8, 6]].concat();
        for (time, frame) in self.frames.iter().chain([&(self.now, arp)]) {
            file.extend((u32::try_from(time / 1_000_000).unwrap() + seconds).to_le_bytes());
            file.extend(u32::try_from(time % 1_000_000).unwrap().to_le_bytes());
            let there = &frame[..frame.len().min(cut_to)];
            for length in [there.len(), frame.len()] {
                file.extend(u32::try_from(length).unwrap().to_le_bytes());
            }
            file.extend(there);
        }
        file
    }

    pub(super) fn reading(&self) -> Reading {
        read("test", &*self.pcap()).unwrap()
    }

    pub(super) fn judged(&self) -> Report {
        judge(vec![self.reading()], None)
    }
}

fn message(header: &Header, payloads: &[u8]) -> Vec<u8> {
    let mut message = Vec::new();
    header.encode(HEADER_LEN + payloads.len(), &mut message);
    message.extend(payloads);
    message
}

fn notify(kind: NotifyType, data: &[u8]) -> Chain {
    let mut chain = ChainWriter::default();
    Notify::new(kind, data).encode(&mut chain);
    chain.finish()
}

fn notifies(fragmentation: bool) -> InitNotifies {
    InitNotifies {
        nat: NatHashes::default(),
        fragmentation,
        signature_hashes: Vec::new(),
        childless: false,
    }
}

fn proposal(group: GroupId) -> Proposal {
    let transforms = vec![
        Transform::new(
            TransformType::ENCRYPTION,
            EncryptionId::AES_CBC.0,
            Some(256),
        ),
        Transform::new(
            TransformType::INTEGRITY,
            IntegrityId::HMAC_SHA2_256_128.0,
            None,
        ),
        Transform::new(TransformType::PRF, PrfId::HMAC_SHA2_256.0, None),
        Transform::new(TransformType::KEY_EXCHANGE, group.0, None),
    ];
    Proposal {
        number: 1,
        protocol: ProtocolId::IKE,
        spi: Vec::new(),
        transforms,
    }
}
