//! PKCS #12 (RFC 7292): a certificate and its key, as clients import them.

use p12_keystore::{
    Certificate, EncryptionAlgorithm, KeyStore, KeyStoreEntry, MacAlgorithm, PrivateKey,
    PrivateKeyChain,
};

use super::authority::Authority;
use super::certificate::Certified;
use super::error::PkiError;
use super::name::ClientName;

/// Rounds of key derivation: the password has 100 bits, and needs none.
const ITERATIONS: u32 = 10_000;

/// How a file is encrypted. The random password is what protects it: 3DES does not
/// make that any easier to guess.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cipher {
    /// AES-256 and HMAC-SHA2-256: Windows since 1809.
    Aes,
    /// 3DES and HMAC-SHA1: Apple's and Android's, many of which say to all else that
    /// the password is wrong.
    TripleDes,
}

/// The file. Windows is given the authority's certificate by itself, as it has to go
/// to another place.
///
/// # Errors
/// [`PkiError::Archive`].
pub fn archive(
    name: &ClientName,
    certified: &Certified,
    authority: Option<&Authority>,
    password: &str,
    cipher: Cipher,
) -> Result<Vec<u8>, PkiError> {
    let make = || {
        let mut chain = vec![Certificate::from_der(&certified.der)?];
        if let Some(authority) = authority {
            chain.push(Certificate::from_der(&authority.der)?);
        }
        let key = PrivateKey::from_der(&certified.key_der)?;
        let chain = PrivateKeyChain::new(certified.serial.as_bytes(), key, chain);
        let mut store = KeyStore::new();
        store.add_entry(name.as_str(), KeyStoreEntry::PrivateKeyChain(chain));
        let (encryption, mac) = match cipher {
            Cipher::Aes => (
                EncryptionAlgorithm::PbeWithHmacSha256AndAes256,
                MacAlgorithm::HmacSha256,
            ),
            Cipher::TripleDes => (
                EncryptionAlgorithm::PbeWithShaAnd3KeyTripleDesCbc,
                MacAlgorithm::HmacSha1,
            ),
        };
        store
            .writer(password)
            .encryption_algorithm(encryption)
            .encryption_iterations(ITERATIONS)
            .mac_algorithm(mac)
            .mac_iterations(ITERATIONS)
            .write()
    };
    make().map_err(PkiError::Archive)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::{Moment, client};
    use std::fs;
    use std::process::Command;
    use tempfile::TempDir;

    /// OpenSSL is what strongSwan reads such files with.
    #[test]
    fn openssl_reads_it() {
        let now = Moment::from_seconds(1_795_305_600);
        let authority = Authority::new(&"vpn.example.com".parse().unwrap(), now).unwrap();
        let name = "laptop".parse().unwrap();
        let identity = "kim@example.com".parse().unwrap();
        let certified = client(&authority, &name, &identity, (now, 30)).unwrap();
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("laptop.p12");
        for (cipher, authority, legacy, expected) in [
            (Cipher::Aes, None, &[][..], "AES-256-CBC"),
            (
                Cipher::TripleDes,
                Some(&authority),
                &["-legacy"],
                "TripleDES",
            ),
        ] {
            let octets = archive(&name, &certified, authority, "pass-word", cipher).unwrap();
            fs::write(&path, octets).unwrap();
            let read = |password: &str| {
                let mut openssl = Command::new("openssl");
                openssl
                    .args(["pkcs12", "-info", "-nodes", "-in"])
                    .arg(&path);
                openssl.args(["-passin", &format!("pass:{password}")]);
                openssl.args(legacy);
                openssl.output().expect("openssl runs")
            };
            let output = read("pass-word");
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{said}");
            assert!(said.contains(expected), "{said}");
            let content = String::from_utf8_lossy(&output.stdout);
            let count = |what: &str| content.matches(what).count();
            assert_eq!(count("BEGIN CERTIFICATE"), 1 + authority.iter().count());
            assert_eq!(count("BEGIN PRIVATE KEY"), 1);
            assert!(content.contains("friendlyName: laptop"), "{content}");
            assert!(!read("password").status.success());
        }
    }
}
