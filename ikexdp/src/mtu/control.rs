//! A question whose answer is known, behind each that was lost: a gateway that begins to limit us would else make
//! everything look too long.

use super::search::Tried;

/// What to ask next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// What is to be found out.
    This,
    /// The smallest size, which has arrived before.
    Smallest,
    /// The same, and from now on everything, at a slower pace.
    SmallestSlowly,
}

/// How the gateway has stood it so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Control {
    is_slow: bool,
    fell_silent: bool,
}

impl Control {
    /// Whether the gateway has stopped to answer what it has answered before.
    pub(super) const fn fell_silent(self) -> bool {
        self.fell_silent
    }

    /// What becomes of a question: that it is lost is believed of a gateway that still answers the smallest.
    ///
    /// # Errors
    /// Those of `ask`.
    pub(super) fn ask<E>(
        &mut self,
        mut ask: impl FnMut(Ask) -> Result<Tried, E>,
    ) -> Result<Tried, E> {
        while !self.fell_silent {
            let tried = ask(Ask::This)?;
            if tried != Tried::Lost || ask(Ask::Smallest)? == Tried::Arrived {
                return Ok(tried);
            }
            let was_slow = self.is_slow;
            self.is_slow = true;
            self.fell_silent = was_slow || ask(Ask::SmallestSlowly)? != Tried::Arrived;
        }
        Ok(Tried::Unasked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    /// A gateway that answers `burst` questions and no more, unless they come slowly and it `recovers`.
    fn ask(sizes: &[bool], burst: usize, recovers: bool) -> (Vec<Tried>, Control) {
        let mut control = Control::default();
        let mut asked = 0;
        let mut is_slow = false;
        let mut tried = Vec::new();
        for arrives in sizes {
            let one = control.ask(|what| {
                asked += 1;
                is_slow |= what == Ask::SmallestSlowly;
                let answers = asked <= burst || (is_slow && recovers);
                let is_there = what != Ask::This || *arrives;
                Ok::<_, Infallible>(if answers && is_there {
                    Tried::Arrived
                } else {
                    Tried::Lost
                })
            });
            tried.push(one.unwrap());
        }
        (tried, control)
    }

    #[test]
    fn what_is_lost_to_a_limit_is_not_too_long() {
        use Tried::{Arrived, Lost, Unasked};
        let sizes = [true, false, true];
        for (burst, recovers, expected) in [
            (usize::MAX, false, [Arrived, Lost, Arrived]),
            // Asked again, slowly, all is as it is.
            (0, true, [Arrived, Lost, Arrived]),
            (1, true, [Arrived, Lost, Arrived]),
            (2, true, [Arrived, Lost, Arrived]),
            (0, false, [Unasked; 3]),
            (1, false, [Arrived, Unasked, Unasked]),
            (3, false, [Arrived, Lost, Unasked]),
        ] {
            let (tried, control) = ask(&sizes, burst, recovers);
            assert_eq!(tried, expected, "{burst} {recovers}");
            assert_eq!(control.fell_silent(), tried.contains(&Unasked));
        }
    }
}
