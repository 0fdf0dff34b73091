//! What the daemon tells page by page, as it may be much.

use std::io::{self, Write};
use std::iter;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::ser::SerializeSeq as _;
use serde::{Serialize, Serializer as _};

use super::CliError;
use crate::control::{ClientError, Request, call};

/// Everything, page by page: `request` asks for what is behind an item, which `place`
/// tells.
pub(super) fn pages<T: DeserializeOwned, P>(
    socket: &Path,
    request: impl Fn(Option<P>) -> Request,
    place: impl Fn(&T) -> P,
) -> impl Iterator<Item = Result<Vec<T>, ClientError>> {
    let mut after = None;
    let mut is_over = false;
    iter::from_fn(move || {
        if is_over {
            return None;
        }
        let page: Result<Vec<T>, _> = call(socket, &request(after.take()));
        is_over = page.is_err();
        if let Ok(page) = &page {
            after = Some(place(page.last()?));
        }
        Some(page)
    })
}

/// Writes pages as one list of JSON, as they come.
pub(super) fn json<T: Serialize>(
    mut pages: impl Iterator<Item = Result<Vec<T>, ClientError>>,
    out: &mut impl Write,
) -> Result<(), CliError> {
    // Nothing is written if nobody answers.
    let first = pages.next().transpose()?;
    let mut serializer = serde_json::Serializer::pretty(&mut *out);
    let mut list = serializer.serialize_seq(None).map_err(io::Error::from)?;
    for page in first.into_iter().map(Ok).chain(pages) {
        for item in page? {
            list.serialize_element(&item).map_err(io::Error::from)?;
        }
    }
    list.end().map_err(io::Error::from)?;
    Ok(writeln!(out)?)
}
