//! One size, asked about until it is answered or counts as lost.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::mem;
use std::thread;
use std::time::Duration;

use super::control::{Ask, Control};
use super::question::{self, Answer};
use super::search::Tried;
use super::socket::{self, TooBig};
use super::{Manner, Plan};
use crate::probe::ProbeError;
use crate::probe::attempt::is_init;
use crate::probe::line::{Heard, Line};
use crate::probe::request::Request;

/// The shortest time for an answer, however near the gateway is: it may have something else to do.
const WAIT_MIN: Duration = Duration::from_millis(200);

/// How many round trips an answer may take.
const ROUND_TRIPS: u32 = 4;

/// From one datagram to the next of a gateway that has once stopped to answer: few limit so slow a source.
const SLOW_PACE: Duration = Duration::from_secs(1);

/// Half-open SAs that a gateway is made to keep at most. A search takes some fourteen sizes, and each is one; gateways
/// begin to ask for cookies, or to refuse, behind a few tens.
pub(super) const HALF_OPEN_MAX: u32 = 24;

/// A pair of lengths to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Size {
    /// Octets of the IP datagram with the question.
    question: u16,
    /// Octets of the IP datagram that is wanted for an answer.
    answer: u16,
}

impl Size {
    /// A question of that length, and the shortest answer.
    pub(super) const fn there(octets: u16) -> Self {
        Self {
            question: octets,
            answer: 0,
        }
    }

    /// An answer of that length, to a question of one that arrives.
    pub(super) const fn back(octets: u16, question: u16) -> Self {
        Self {
            question,
            answer: octets,
        }
    }
}

/// Asks a gateway.
pub(super) struct Asker {
    line: Line,
    is_ipv4: bool,
    tries: u8,
    pace: Duration,
    timeout: Duration,
    wait: Duration,
    manner: Manner,
    size_tests: bool,
    half_open: u32,
    /// Requests that may have left one, by their sizes: each is sent again as it is, which leaves no second.
    acceptable: BTreeMap<Size, Request>,
    is_exhausted: bool,
    smallest: Size,
    control: Control,
    too_big: BTreeSet<TooBig>,
}

/// What one datagram has brought.
enum Brought {
    Answer,
    Nothing,
    TooBig(u16),
}

impl Asker {
    pub(super) fn open(plan: &Plan) -> Result<Self, ProbeError> {
        let line = Line::open(plan.address, 0, plan.port)?;
        let is_ipv4 = plan.address.is_ipv4();
        let listens = socket::listen(line.socket(), is_ipv4);
        listens.map_err(ProbeError::Socket)?;
        let asker = Self {
            line,
            is_ipv4,
            tries: plan.tries,
            pace: plan.pace,
            timeout: plan.timeout,
            wait: plan.timeout,
            manner: Manner::Refusable,
            size_tests: false,
            half_open: 0,
            acceptable: BTreeMap::new(),
            is_exhausted: false,
            smallest: Size::there(0),
            control: Control::default(),
            too_big: BTreeSet::new(),
        };
        asker.fragment(false)?;
        Ok(asker)
    }

    /// Finds out how the gateway is to be asked; whether it answers at all.
    pub(super) fn meet(&mut self, octets: u16) -> Result<bool, ProbeError> {
        self.smallest = Size::there(octets);
        for manner in [Manner::Refusable, Manner::Acceptable] {
            self.manner = manner;
            let begun = self.line.clock().now();
            if self.ask_some(self.smallest, 1)? == Tried::Arrived {
                // With what was lost in it, if anything was: then it is longer, which does no harm.
                let round_trip = self.line.clock().now().since(begun);
                let wait = round_trip.saturating_mul(ROUND_TRIPS);
                self.wait = wait.clamp(WAIT_MIN.min(self.timeout), self.timeout);
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Tries a size, `effort` times as often as usual; what is lost is so while the smallest arrives.
    pub(super) fn ask(&mut self, size: Size, effort: u8) -> Result<Tried, ProbeError> {
        self.ask_with_control(|asker| asker.ask_some(size, effort))
    }

    /// Whether a datagram arrives that IP has to cut; not known of a gateway that falls silent.
    pub(super) fn ask_fragmented(&mut self, octets: u16) -> Result<Option<bool>, ProbeError> {
        let tried = self.ask_with_control(|asker| {
            asker.fragment(true)?;
            let tried = asker.ask_some(Size::there(octets), 1);
            asker.fragment(false)?;
            tried
        })?;
        Ok((tried != Tried::Unasked).then_some(tried == Tried::Arrived))
    }

    /// Whether it has stopped to answer what it has answered before.
    pub(super) const fn fell_silent(&self) -> bool {
        self.control.fell_silent()
    }

    /// Whether it would have had to keep too much.
    pub(super) const fn is_exhausted(&self) -> bool {
        self.is_exhausted
    }

    fn ask_with_control(
        &mut self,
        mut this: impl FnMut(&mut Self) -> Result<Tried, ProbeError>,
    ) -> Result<Tried, ProbeError> {
        let mut control = self.control;
        let tried = control.ask(|what| match what {
            Ask::This => this(self),
            Ask::Smallest => self.ask_some(self.smallest, 2),
            Ask::SmallestSlowly => {
                self.pace = self.pace.max(SLOW_PACE);
                self.wait = self.timeout;
                self.ask_some(self.smallest, 2)
            }
        });
        self.control = control;
        tried
    }

    fn ask_some(&mut self, size: Size, effort: u8) -> Result<Tried, ProbeError> {
        let mut said = None;
        for _ in 0..self.tries.saturating_mul(effort).max(1) {
            let Some(mut request) = self.request(size)? else {
                return Ok(Tried::Unasked);
            };
            let brought = self.ask_once(size, &mut request);
            if self.manner == Manner::Acceptable {
                self.acceptable.insert(size, request);
            }
            match brought? {
                Brought::Answer => return Ok(Tried::Arrived),
                Brought::Nothing => {}
                Brought::TooBig(mtu) => {
                    // A second time is enough: what says so says it of each, and a forged one does not.
                    if said == Some(mtu) {
                        break;
                    }
                    said = Some(mtu);
                }
            }
        }
        Ok(said.map_or(Tried::Lost, Tried::TooBig))
    }

    /// A request for this size; none if the gateway has been made to keep enough.
    fn request(&mut self, size: Size) -> Result<Option<Request>, ProbeError> {
        if self.manner == Manner::Refusable {
            return self.manner.request().map(Some);
        }
        if let Some(before) = self.acceptable.remove(&size) {
            return Ok(Some(before));
        }
        if self.half_open >= HALF_OPEN_MAX {
            self.is_exhausted = true;
            return Ok(None);
        }
        // Whether it is answered or not: the answer may be lost.
        self.half_open = self.half_open.saturating_add(1);
        self.manner.request().map(Some)
    }

    /// Whether the gateway is one of ours, and lets us know.
    pub(super) const fn answers_size_tests(&self) -> bool {
        self.size_tests
    }

    /// Half-open SAs that it may have made: one for each request that it could accept.
    pub(super) const fn half_open(&self) -> u32 {
        self.half_open
    }

    /// What was said of datagrams that were too long, since it was asked last.
    pub(super) fn heard(&mut self) -> Vec<TooBig> {
        mem::take(&mut self.too_big).into_iter().collect()
    }

    fn fragment(&self, allowed: bool) -> Result<(), ProbeError> {
        let set = socket::fragment(self.line.socket(), self.is_ipv4, allowed);
        set.map_err(ProbeError::Socket)
    }

    /// Asks once, and once more with a cookie if the answer is to have a length.
    fn ask_once(&mut self, size: Size, request: &mut Request) -> Result<Brought, ProbeError> {
        let (brought, answer) = self.exchange(request, size)?;
        if let Some(Answer::Cookie(cookie)) = &answer {
            request.cookie = Some(cookie.clone());
            // Who has asked for one has got the question; of the way back it says nothing.
            let (with_cookie, again) = self.exchange(request, size)?;
            self.note(again.as_ref());
            return Ok(if size.answer == 0 {
                brought
            } else {
                with_cookie
            });
        }
        self.note(answer.as_ref());
        Ok(brought)
    }

    fn note(&mut self, answer: Option<&Answer>) {
        match answer {
            // Of those that it could accept, each is counted when it is made.
            Some(Answer::Accepted) if self.manner == Manner::Refusable => {
                self.half_open = self.half_open.saturating_add(1);
            }
            Some(Answer::SizeTest(_)) => self.size_tests = true,
            _ => {}
        }
    }

    fn exchange(
        &mut self,
        request: &Request,
        size: Size,
    ) -> Result<(Brought, Option<Answer>), ProbeError> {
        thread::sleep(self.pace);
        let path = self.line.path()?;
        let question = question::pad(request, &path, (size.question, size.answer));
        let mut heard = Heard::default();
        match self.line.send(&question.message, &mut heard) {
            Ok(()) => {}
            Err(error) if is_too_long(&error) => {
                return Ok((self.too_big(size.question), None));
            }
            Err(error) => return Err(self.line.unsent(error)),
        }
        let until = self.line.clock().now() + self.wait;
        let is_answer = is_init(question.spi);
        loop {
            heard.is_too_long = false;
            let message = self.line.hear(until, &mut heard, &is_answer)?;
            if let Some(message) = message {
                return Ok((Brought::Answer, Some(question::read(&message))));
            }
            let said = self.too_big(size.question);
            // What is said of a longer one, and comes late, is not about this.
            if matches!(said, Brought::TooBig(_)) || !heard.is_too_long {
                return Ok((said, None));
            }
        }
    }

    /// What has been said meanwhile, if it concerns a datagram of `octets`.
    fn too_big(&mut self, octets: u16) -> Brought {
        let said = socket::too_big(self.line.socket());
        self.too_big.extend(said.iter().copied());
        let least = said.iter().map(|it| it.mtu).min();
        match least.filter(|it| *it < octets) {
            Some(mtu) => Brought::TooBig(mtu),
            None => Brought::Nothing,
        }
    }
}

fn is_too_long(error: &io::Error) -> bool {
    error.raw_os_error() == Some(nix::libc::EMSGSIZE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use std::sync::mpsc::{Receiver, channel};

    use ikexdp_proto::message::init::InitRequest;
    use ikexdp_proto::wire::header::Header;

    /// Requests that are lost before any is answered.
    const LOST: usize = 4;

    /// A gateway on the loopback interface that is silent to what it cannot accept, and tells of the initiator's SPI of
    /// all that it can; of the first few it has not heard the first time.
    fn gateway() -> (u16, Receiver<u64>) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let (tell, told) = channel();
        thread::spawn(move || {
            let mut buffer = [0; 4000];
            let mut heard = BTreeSet::new();
            loop {
                let (length, from) = socket.recv_from(&mut buffer).unwrap();
                let message = &buffer[..length];
                let (header, payloads) = Header::decode(message).unwrap();
                let request = InitRequest::decode(header.next_payload, payloads).unwrap();
                if request.proposals.len() < 2 {
                    continue;
                }
                // The test may be over.
                let _ = tell.send(header.spis.initiator.0);
                if heard.insert(message.to_vec()) && heard.len() <= LOST {
                    continue;
                }
                // SPIs, an SA payload that is empty, the flag of a response, the length.
                let mut response = message[..28].to_vec();
                response[8..16].copy_from_slice(&1_u64.to_be_bytes());
                (response[16], response[19]) = (33, 0x20);
                response[24..28].copy_from_slice(&32_u32.to_be_bytes());
                response.extend([0, 0, 0, 4]);
                socket.send_to(&response, from).unwrap();
            }
        });
        (port, told)
    }

    #[test]
    fn half_open_sas_are_one_for_each_size_and_not_without_end() {
        let (port, told) = gateway();
        let mut asker = Asker::open(&Plan {
            host: "localhost".to_owned(),
            address: "127.0.0.1".parse().unwrap(),
            port,
            tries: 3,
            pace: Duration::ZERO,
            timeout: Duration::from_millis(300),
        })
        .unwrap();
        assert!(asker.meet(576).unwrap());
        assert_eq!(asker.half_open(), 1);
        for octets in 577..576 + u16::try_from(HALF_OPEN_MAX).unwrap() {
            let tried = asker.ask(Size::there(octets), 1).unwrap();
            assert_eq!(tried, Tried::Arrived, "{octets}");
        }
        assert!(!asker.is_exhausted());
        let tried = asker.ask(Size::there(1000), 1).unwrap();
        assert_eq!(tried, Tried::Unasked);
        assert!(asker.is_exhausted());
        let heard: Vec<_> = told.try_iter().collect();
        let spis: BTreeSet<_> = heard.iter().collect();
        let most = usize::try_from(HALF_OPEN_MAX).unwrap();
        assert_eq!(spis.len(), most);
        assert!(heard.len() >= most + LOST, "what is lost is sent again");
        assert_eq!(asker.half_open(), HALF_OPEN_MAX);
    }
}
