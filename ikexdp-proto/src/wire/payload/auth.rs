//! Authentication payload (RFC 7296 §3.8, RFC 4754, RFC 7427 §3).
//!
//! ```text
//! | method | RESERVED (3) | authentication data |
//! method 14: | length | AlgorithmIdentifier in DER | signature |
//! ```

use crate::crypto::scheme::SignatureScheme;
use crate::error::Malformed;
use crate::wire::iana::{AuthMethod, PayloadType};
use crate::wire::reader::Reader;
use crate::wire::writer::ChainWriter;

/// How a peer proves who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authentication<'a> {
    /// Method 2: a MIC under a shared secret.
    SharedKey(&'a [u8]),
    /// Method 1, 9, 10, 11 or 14: a signature; the scheme is `None` if it is not one of ours.
    Signature {
        /// The algorithms.
        scheme: Option<SignatureScheme>,
        /// The signature.
        signature: &'a [u8],
    },
    /// Any other method.
    Other(AuthMethod),
}

impl<'a> Authentication<'a> {
    /// Reads the body.
    ///
    /// # Errors
    /// [`Malformed`] if it is cut short.
    pub fn decode(body: &'a [u8]) -> Result<Self, Malformed> {
        const FIELD: &str = "AUTH payload";
        let mut reader = Reader::new(body);
        let method = AuthMethod(reader.u8(FIELD)?);
        reader.array::<3>(FIELD)?;
        Ok(match method {
            AuthMethod::SHARED_KEY => Self::SharedKey(reader.rest()),
            AuthMethod::DIGITAL_SIGNATURE => {
                let length = reader.u8("AlgorithmIdentifier")?;
                let identifier = reader.take(usize::from(length), "AlgorithmIdentifier")?;
                Self::Signature {
                    scheme: SignatureScheme::from_der(identifier),
                    signature: reader.rest(),
                }
            }
            method => match SignatureScheme::of(method) {
                None => Self::Other(method),
                scheme => Self::Signature {
                    scheme,
                    signature: reader.rest(),
                },
            },
        })
    }

    /// The method.
    #[must_use]
    pub const fn method(&self) -> AuthMethod {
        match self {
            Self::SharedKey(_) => AuthMethod::SHARED_KEY,
            Self::Signature {
                scheme: Some(scheme),
                ..
            } => scheme.method(),
            Self::Signature { scheme: None, .. } => AuthMethod::DIGITAL_SIGNATURE,
            Self::Other(method) => *method,
        }
    }
}

/// Appends AUTH by a shared key.
pub fn encode_shared_key(chain: &mut ChainWriter, mic: &[u8]) {
    chain.payload(PayloadType::AUTHENTICATION, |body| {
        body.bytes(&[AuthMethod::SHARED_KEY.0, 0, 0, 0]);
        body.bytes(mic);
    });
}

/// Appends AUTH by a signature: of a method that says it all, or with the
/// AlgorithmIdentifier `identifier`.
pub fn encode_signature(
    chain: &mut ChainWriter,
    method: AuthMethod,
    identifier: &[u8],
    signature: &[u8],
) {
    chain.payload(PayloadType::AUTHENTICATION, |body| {
        body.bytes(&[method.0, 0, 0, 0]);
        if method == AuthMethod::DIGITAL_SIGNATURE {
            body.u8(u8::try_from(identifier.len()).unwrap_or(u8::MAX));
            body.bytes(identifier);
        }
        body.bytes(signature);
    });
}
