//! What happened with a server, in numbers.

use std::net::SocketAddr;

/// What a server is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Whether a user may come in.
    Authentication,
    /// To write down what a session carried.
    Accounting,
}

/// A server, as it is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerStatus {
    /// Which.
    pub address: SocketAddr,
    /// What it is asked.
    pub role: Role,
    /// Whether it is asked before others: it answered last time, or that was long
    /// ago.
    pub is_up: bool,
    /// What happened with it.
    pub counters: Counters,
}

/// Declares a struct of counters, with a sentence for people to each.
macro_rules! tally {
    (
        $(#[$meta:meta])*
        pub struct $tally:ident {
            $( #[doc = $help:literal] pub $field:ident, )+
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $tally {
            $( #[doc = $help] pub $field: u64, )+
        }

        impl $tally {
            /// Each by its name.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
                [$( (stringify!($field), self.$field), )+].into_iter()
            }

            /// What the counter of that name counts; nothing if there is none.
            #[must_use]
            pub fn help(name: &str) -> Option<&'static str> {
                let mut all = [$( (stringify!($field), $help), )+].into_iter();
                let (_, help) = all.find(|(known, _)| *known == name)?;
                Some(help.trim_ascii())
            }
        }
    };
}

pub(super) use tally;

tally! {
    /// What happened with a server since the daemon started or its table was read.
    pub struct Counters {
        /// Requests, without repeats.
        pub requests,
        /// Requests that another server should have had: it is down, or has not answered.
        pub failovers,
        /// Repeats of requests.
        pub retransmissions,
        /// Answers that stood.
        pub answers,
        /// Answers that let somebody in.
        pub accepts,
        /// Answers that do not let somebody in.
        pub rejects,
        /// Answers that ask for more.
        pub challenges,
        /// Requests that nobody answered.
        pub timeouts,
        /// Requests for which there was no identifier, and no room to wait for one.
        pub overflows,
        /// Requests that could not be sent: there was no socket.
        pub unsent,
        /// Answers thrown away: they are no packets.
        pub dropped_malformed,
        /// Answers thrown away: nobody waits for them, or not for such.
        pub dropped_unexpected,
        /// Answers thrown away: an authenticator is wrong, perhaps because the secrets differ.
        pub dropped_unauthentic,
        /// Answers thrown away: they let in, refuse or ask without a Message-Authenticator.
        pub dropped_unsigned,
    }
}

tally! {
    /// Accounting records of a table.
    pub struct Records {
        /// Accounting records that no server has taken yet.
        pub records_waiting,
        /// Accounting records that were given up: too many waited, or no server took them.
        pub records_lost,
    }
}
