//! The authority of a gateway: what `ikexdp init` makes, and what `ikexdp client`
//! issues and revokes.
//!
//! ```text
//! /etc/ikexdp/
//!   ikexdp.toml               the configuration
//!   users.toml                users of EAP, and hashes of their passwords
//!   pki/ca.pem, ca.key        the authority; the daemon does not read the key
//!   pki/gateway-ecdsa.*       the gateway's certificates and keys
//!   pki/gateway-rsa.*
//!   pki/clients.toml          who was issued what
//!   pki/clients.crl           who is no longer welcome
//!   clients/NAME/             what was written for that client
//! ```

mod archive;
mod authority;
mod certificate;
mod crl;
mod directory;
mod error;
mod files;
mod index;
mod key;
mod moment;
mod name;
mod password;
mod users;

pub use archive::{Cipher, archive};
pub use authority::Authority;
pub(crate) use certificate::is_host_name;
pub use certificate::{Certified, GatewayName, InvalidGatewayName, client, gateway};
pub use crl::{crl, replace_crl};
pub use directory::{Directory, Locked};
pub use error::PkiError;
pub use files::{Readers, create, create_directory};
pub use index::{Client, Index, Kind};
pub use key::{ecdsa_p256, rsa_3072};
pub use moment::Moment;
pub use name::{ClientName, InvalidName};
pub use password::{password, random, uuid};
pub use users::Users;
