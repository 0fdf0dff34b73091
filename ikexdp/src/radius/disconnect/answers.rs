//! Answers that were given, for requests that come again (RFC 5080 §2.2.2).

use std::collections::VecDeque;
use std::net::IpAddr;

use tokio::time::Instant;

use super::super::crypto::Authenticator;
use super::super::limits::{ANSWER_LIFETIME, ANSWERS_MAX};

/// What tells a request from others: a repeat has the same, and so has what somebody
/// has heard and sends again, from whatever port.
pub(super) type Name = (IpAddr, u8, Authenticator);

/// The last answers, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Answers(VecDeque<(Instant, Name, Vec<u8>)>);

impl Answers {
    /// What was answered to the request of that name.
    pub(super) fn find(&mut self, now: Instant, name: &Name) -> Option<&[u8]> {
        self.0
            .retain(|(given, ..)| now.saturating_duration_since(*given) < ANSWER_LIFETIME);
        let mut answers = self.0.iter();
        let found = answers.find(|(_, answered, _)| answered == name);
        found.map(|(.., answer)| answer.as_slice())
    }

    /// Keeps an answer, and forgets the oldest if there are too many.
    pub(super) fn keep(&mut self, now: Instant, name: Name, answer: Vec<u8>) {
        if self.0.len() >= ANSWERS_MAX {
            self.0.pop_front();
        }
        self.0.push_back((now, name, answer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(identifier: u8) -> Name {
        ([192, 0, 2, 1].into(), identifier, [identifier; 16])
    }

    #[test]
    fn an_answer_is_found_until_it_is_old() {
        let mut answers = Answers::default();
        let now = Instant::now();
        answers.keep(now, name(1), vec![1]);
        assert_eq!(answers.find(now, &name(1)), Some(&[1][..]));
        assert_eq!(answers.find(now, &name(2)), None);
        assert_eq!(answers.find(now + ANSWER_LIFETIME, &name(1)), None);
    }

    #[test]
    fn no_more_answers_are_kept_than_said() {
        let mut answers = Answers::default();
        let now = Instant::now();
        answers.keep(now, name(255), vec![0]);
        for _ in 0..ANSWERS_MAX {
            answers.keep(now, name(1), vec![1]);
        }
        assert_eq!(answers.0.len(), ANSWERS_MAX);
        assert_eq!(answers.find(now, &name(255)), None);
    }
}
