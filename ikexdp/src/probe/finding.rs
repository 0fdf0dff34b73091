//! What a question to a gateway shows, and what the program returns for it.

use serde::Serialize;

/// How it stands with a client or a path: what the program returns follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Nothing is in its way.
    Works,
    /// It gets through, but there is something that may keep a client from connecting.
    Reservation,
    /// It is refused.
    Refused,
    /// It is not answered.
    Unanswered,
}

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding<V> {
    /// What.
    pub verdict: V,
    /// The same for people.
    pub says: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Standing {
    /// What the program returns.
    #[must_use]
    pub const fn exit_status(self) -> u8 {
        match self {
            Self::Works => 0,
            Self::Unanswered => 3,
            Self::Refused => 4,
            Self::Reservation => 5,
        }
    }
}
