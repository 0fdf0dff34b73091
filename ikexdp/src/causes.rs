//! Errors with what caused them.

use std::error::Error;

/// An error, its cause, the cause of that, and so on.
pub fn causes<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// All of them in one line, for what says little by itself.
#[must_use]
pub fn in_a_line(error: &(dyn Error + 'static)) -> String {
    let causes: Vec<String> = causes(error).map(ToString::to_string).collect();
    causes.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[derive(Debug, thiserror::Error)]
    #[error("call failed")]
    struct Failed(#[source] io::Error);

    #[test]
    fn the_first_cause_comes_last() {
        let error = Failed(io::Error::other("no room"));
        assert_eq!(in_a_line(&error), "call failed: no room");
    }
}
