//! One size, asked about until it is answered or counts as lost.

use std::collections::BTreeSet;
use std::io;
use std::mem;
use std::thread;
use std::time::Duration;

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

/// A pair of lengths to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
            too_big: BTreeSet::new(),
        };
        asker.fragment(false)?;
        Ok(asker)
    }

    /// Finds out how the gateway is to be asked; whether it answers at all.
    pub(super) fn meet(&mut self, octets: u16) -> Result<bool, ProbeError> {
        for manner in [Manner::Refusable, Manner::Acceptable] {
            self.manner = manner;
            let begun = self.line.clock().now();
            if self.ask(Size::there(octets), 1)? == Tried::Arrived {
                // With what was lost in it, if anything was: then it is longer, which does no harm.
                let round_trip = self.line.clock().now().since(begun);
                let wait = round_trip.saturating_mul(ROUND_TRIPS);
                self.wait = wait.clamp(WAIT_MIN.min(self.timeout), self.timeout);
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Tries a size, `effort` times as often as usual.
    pub(super) fn ask(&mut self, size: Size, effort: u8) -> Result<Tried, ProbeError> {
        let mut said = None;
        for _ in 0..self.tries.saturating_mul(effort).max(1) {
            match self.ask_once(size)? {
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

    /// Whether a datagram arrives that IP has to cut.
    pub(super) fn ask_fragmented(&mut self, octets: u16) -> Result<bool, ProbeError> {
        self.fragment(true)?;
        let tried = self.ask(Size::there(octets), 1);
        self.fragment(false)?;
        Ok(tried? == Tried::Arrived)
    }

    /// Whether the gateway is one of ours, and lets us know.
    pub(super) const fn answers_size_tests(&self) -> bool {
        self.size_tests
    }

    /// Half-open SAs that it has made.
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
    fn ask_once(&mut self, size: Size) -> Result<Brought, ProbeError> {
        let mut request = self.manner.request()?;
        let (brought, answer) = self.exchange(&request, size)?;
        if let Some(Answer::Cookie(cookie)) = &answer {
            request.cookie = Some(cookie.clone());
            // Who has asked for one has got the question; of the way back it says nothing.
            let (with_cookie, again) = self.exchange(&request, size)?;
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
            Some(Answer::Accepted) => self.half_open = self.half_open.saturating_add(1),
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
