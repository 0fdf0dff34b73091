//! The IANA registries of IKEv2, as newtypes: an unknown value survives.

use core::fmt;

/// Declares a registry: a newtype with a constant for each value we name.
macro_rules! registry {
    (
        $(#[$meta:meta])*
        $name:ident($repr:ty) { $( $constant:ident = $value:literal $label:literal, )* }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $repr);

        impl $name {
            $(
                #[doc = $label]
                pub const $constant: Self = Self($value);
            )*
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match *self {
                    $( Self::$constant => f.pad($label), )*
                    Self(other) => write!(f, "{other}"),
                }
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self)
            }
        }
    };
}

registry! {
    /// "IKEv2 Exchange Types".
    ExchangeType(u8) {
        IKE_SA_INIT = 34 "IKE_SA_INIT",
        IKE_AUTH = 35 "IKE_AUTH",
        CREATE_CHILD_SA = 36 "CREATE_CHILD_SA",
        INFORMATIONAL = 37 "INFORMATIONAL",
        IKE_INTERMEDIATE = 43 "IKE_INTERMEDIATE",
        IKE_FOLLOWUP_KE = 44 "IKE_FOLLOWUP_KE",
    }
}

registry! {
    /// "IKEv2 Payload Types".
    PayloadType(u8) {
        NONE = 0 "no next payload",
        SECURITY_ASSOCIATION = 33 "SA",
        KEY_EXCHANGE = 34 "KE",
        ID_INITIATOR = 35 "IDi",
        ID_RESPONDER = 36 "IDr",
        CERTIFICATE = 37 "CERT",
        CERTIFICATE_REQUEST = 38 "CERTREQ",
        AUTHENTICATION = 39 "AUTH",
        NONCE = 40 "Nonce",
        NOTIFY = 41 "N",
        DELETE = 42 "D",
        VENDOR_ID = 43 "V",
        TRAFFIC_SELECTOR_INITIATOR = 44 "TSi",
        TRAFFIC_SELECTOR_RESPONDER = 45 "TSr",
        ENCRYPTED = 46 "SK",
        CONFIGURATION = 47 "CP",
        EAP = 48 "EAP",
        ENCRYPTED_FRAGMENT = 53 "SKF",
    }
}

registry! {
    /// "IKEv2 Security Protocol Identifiers".
    ProtocolId(u8) {
        NONE = 0 "none",
        IKE = 1 "IKE",
        AH = 2 "AH",
        ESP = 3 "ESP",
    }
}

registry! {
    /// "Transform Type Values".
    TransformType(u8) {
        ENCRYPTION = 1 "ENCR",
        PRF = 2 "PRF",
        INTEGRITY = 3 "INTEG",
        KEY_EXCHANGE = 4 "KE",
        SEQUENCE_NUMBERS = 5 "ESN",
    }
}

registry! {
    /// "Encryption Algorithm Transform IDs".
    EncryptionId(u16) {
        DES = 2 "DES",
        TRIPLE_DES = 3 "3DES",
        NULL = 11 "NULL",
        AES_CBC = 12 "AES_CBC",
        AES_CTR = 13 "AES_CTR",
        AES_GCM_8 = 18 "AES_GCM_8",
        AES_GCM_12 = 19 "AES_GCM_12",
        AES_GCM_16 = 20 "AES_GCM_16",
        CHACHA20_POLY1305 = 28 "CHACHA20_POLY1305",
    }
}

registry! {
    /// "Pseudorandom Function Transform IDs".
    PrfId(u16) {
        HMAC_MD5 = 1 "PRF_HMAC_MD5",
        HMAC_SHA1 = 2 "PRF_HMAC_SHA1",
        AES128_XCBC = 4 "PRF_AES128_XCBC",
        HMAC_SHA2_256 = 5 "PRF_HMAC_SHA2_256",
        HMAC_SHA2_384 = 6 "PRF_HMAC_SHA2_384",
        HMAC_SHA2_512 = 7 "PRF_HMAC_SHA2_512",
        AES128_CMAC = 8 "PRF_AES128_CMAC",
    }
}

registry! {
    /// "Integrity Algorithm Transform IDs".
    IntegrityId(u16) {
        NONE = 0 "NONE",
        HMAC_MD5_96 = 1 "HMAC_MD5_96",
        HMAC_SHA1_96 = 2 "HMAC_SHA1_96",
        AES_XCBC_96 = 5 "AES_XCBC_96",
        AES_CMAC_96 = 8 "AES_CMAC_96",
        HMAC_SHA2_256_128 = 12 "HMAC_SHA2_256_128",
        HMAC_SHA2_384_192 = 13 "HMAC_SHA2_384_192",
        HMAC_SHA2_512_256 = 14 "HMAC_SHA2_512_256",
    }
}

registry! {
    /// "Key Exchange Method Transform IDs", once "Diffie-Hellman Groups".
    GroupId(u16) {
        NONE = 0 "NONE",
        MODP_768 = 1 "MODP_768",
        MODP_1024 = 2 "MODP_1024",
        MODP_1536 = 5 "MODP_1536",
        MODP_2048 = 14 "MODP_2048",
        MODP_3072 = 15 "MODP_3072",
        MODP_4096 = 16 "MODP_4096",
        MODP_6144 = 17 "MODP_6144",
        MODP_8192 = 18 "MODP_8192",
        ECP_256 = 19 "ECP_256",
        ECP_384 = 20 "ECP_384",
        ECP_521 = 21 "ECP_521",
        CURVE25519 = 31 "CURVE25519",
        CURVE448 = 32 "CURVE448",
        ML_KEM_512 = 35 "ML_KEM_512",
        ML_KEM_768 = 36 "ML_KEM_768",
        ML_KEM_1024 = 37 "ML_KEM_1024",
    }
}

registry! {
    /// "Sequence Numbers Transform IDs", once "Extended Sequence Numbers".
    SequenceNumbers(u16) {
        SHORT = 0 "32-bit",
        EXTENDED = 1 "ESN",
    }
}

registry! {
    /// "Transform Attribute Types".
    TransformAttribute(u16) {
        KEY_LENGTH = 14 "key length",
    }
}

registry! {
    /// "IKEv2 Identification Payload ID Types".
    IdType(u8) {
        IPV4_ADDR = 1 "ID_IPV4_ADDR",
        FQDN = 2 "ID_FQDN",
        RFC822_ADDR = 3 "ID_RFC822_ADDR",
        IPV6_ADDR = 5 "ID_IPV6_ADDR",
        DER_ASN1_DN = 9 "ID_DER_ASN1_DN",
        DER_ASN1_GN = 10 "ID_DER_ASN1_GN",
        KEY_ID = 11 "ID_KEY_ID",
    }
}

registry! {
    /// "IKEv2 Certificate Encodings".
    CertificateEncoding(u8) {
        X509_SIGNATURE = 4 "X.509 certificate",
        CRL = 7 "CRL",
        HASH_AND_URL = 12 "hash and URL",
        HASH_AND_URL_BUNDLE = 13 "hash and URL of a bundle",
    }
}

registry! {
    /// "IKEv2 Authentication Method".
    AuthMethod(u8) {
        RSA_SHA1 = 1 "RSA with SHA-1",
        SHARED_KEY = 2 "pre-shared key",
        DSS = 3 "DSS",
        ECDSA_256 = 9 "ECDSA P-256 with SHA-256",
        ECDSA_384 = 10 "ECDSA P-384 with SHA-384",
        ECDSA_521 = 11 "ECDSA P-521 with SHA-512",
        NULL = 13 "NULL",
        DIGITAL_SIGNATURE = 14 "digital signature",
    }
}

registry! {
    /// "IKEv2 Hash Algorithms" (RFC 7427 §7, RFC 8420 §3).
    HashAlgorithm(u16) {
        SHA1 = 1 "SHA1",
        SHA2_256 = 2 "SHA2_256",
        SHA2_384 = 3 "SHA2_384",
        SHA2_512 = 4 "SHA2_512",
        IDENTITY = 5 "Identity",
    }
}

registry! {
    /// "IKEv2 Traffic Selector Types".
    TrafficSelectorType(u8) {
        IPV4_ADDR_RANGE = 7 "TS_IPV4_ADDR_RANGE",
        IPV6_ADDR_RANGE = 8 "TS_IPV6_ADDR_RANGE",
    }
}

registry! {
    /// "IKEv2 Configuration Payload CFG Types".
    ConfigurationType(u8) {
        REQUEST = 1 "CFG_REQUEST",
        REPLY = 2 "CFG_REPLY",
        SET = 3 "CFG_SET",
        ACK = 4 "CFG_ACK",
    }
}

registry! {
    /// "IKEv2 Configuration Payload Attribute Types", and two of the
    /// private range, by Microsoft (MS-IKEE).
    ConfigurationAttribute(u16) {
        INTERNAL_IP4_ADDRESS = 1 "INTERNAL_IP4_ADDRESS",
        INTERNAL_IP4_NETMASK = 2 "INTERNAL_IP4_NETMASK",
        INTERNAL_IP4_DNS = 3 "INTERNAL_IP4_DNS",
        INTERNAL_IP4_NBNS = 4 "INTERNAL_IP4_NBNS",
        INTERNAL_IP4_DHCP = 6 "INTERNAL_IP4_DHCP",
        APPLICATION_VERSION = 7 "APPLICATION_VERSION",
        INTERNAL_IP6_ADDRESS = 8 "INTERNAL_IP6_ADDRESS",
        INTERNAL_IP6_DNS = 10 "INTERNAL_IP6_DNS",
        INTERNAL_IP6_DHCP = 12 "INTERNAL_IP6_DHCP",
        INTERNAL_IP4_SUBNET = 13 "INTERNAL_IP4_SUBNET",
        SUPPORTED_ATTRIBUTES = 14 "SUPPORTED_ATTRIBUTES",
        INTERNAL_IP6_SUBNET = 15 "INTERNAL_IP6_SUBNET",
        INTERNAL_DNS_DOMAIN = 25 "INTERNAL_DNS_DOMAIN",
        INTERNAL_IP4_SERVER = 23_456 "INTERNAL_IP4_SERVER",
        INTERNAL_IP6_SERVER = 23_457 "INTERNAL_IP6_SERVER",
    }
}

registry! {
    /// "IKEv2 Notify Message Types": up to 16383 errors, above them status.
    NotifyType(u16) {
        UNSUPPORTED_CRITICAL_PAYLOAD = 1 "UNSUPPORTED_CRITICAL_PAYLOAD",
        INVALID_IKE_SPI = 4 "INVALID_IKE_SPI",
        INVALID_MAJOR_VERSION = 5 "INVALID_MAJOR_VERSION",
        INVALID_SYNTAX = 7 "INVALID_SYNTAX",
        INVALID_MESSAGE_ID = 9 "INVALID_MESSAGE_ID",
        INVALID_SPI = 11 "INVALID_SPI",
        NO_PROPOSAL_CHOSEN = 14 "NO_PROPOSAL_CHOSEN",
        INVALID_KE_PAYLOAD = 17 "INVALID_KE_PAYLOAD",
        AUTHENTICATION_FAILED = 24 "AUTHENTICATION_FAILED",
        SINGLE_PAIR_REQUIRED = 34 "SINGLE_PAIR_REQUIRED",
        NO_ADDITIONAL_SAS = 35 "NO_ADDITIONAL_SAS",
        INTERNAL_ADDRESS_FAILURE = 36 "INTERNAL_ADDRESS_FAILURE",
        FAILED_CP_REQUIRED = 37 "FAILED_CP_REQUIRED",
        TS_UNACCEPTABLE = 38 "TS_UNACCEPTABLE",
        INVALID_SELECTORS = 39 "INVALID_SELECTORS",
        UNACCEPTABLE_ADDRESSES = 40 "UNACCEPTABLE_ADDRESSES",
        UNEXPECTED_NAT_DETECTED = 41 "UNEXPECTED_NAT_DETECTED",
        TEMPORARY_FAILURE = 43 "TEMPORARY_FAILURE",
        CHILD_SA_NOT_FOUND = 44 "CHILD_SA_NOT_FOUND",
        // Of the private range, by Microsoft (MS-IKEE).
        MS_STATUS = 12345 "MS_STATUS",
        INITIAL_CONTACT = 16384 "INITIAL_CONTACT",
        SET_WINDOW_SIZE = 16385 "SET_WINDOW_SIZE",
        ADDITIONAL_TS_POSSIBLE = 16386 "ADDITIONAL_TS_POSSIBLE",
        IPCOMP_SUPPORTED = 16387 "IPCOMP_SUPPORTED",
        NAT_DETECTION_SOURCE_IP = 16388 "NAT_DETECTION_SOURCE_IP",
        NAT_DETECTION_DESTINATION_IP = 16389 "NAT_DETECTION_DESTINATION_IP",
        COOKIE = 16390 "COOKIE",
        USE_TRANSPORT_MODE = 16391 "USE_TRANSPORT_MODE",
        HTTP_CERT_LOOKUP_SUPPORTED = 16392 "HTTP_CERT_LOOKUP_SUPPORTED",
        REKEY_SA = 16393 "REKEY_SA",
        ESP_TFC_PADDING_NOT_SUPPORTED = 16394 "ESP_TFC_PADDING_NOT_SUPPORTED",
        NON_FIRST_FRAGMENTS_ALSO = 16395 "NON_FIRST_FRAGMENTS_ALSO",
        MOBIKE_SUPPORTED = 16396 "MOBIKE_SUPPORTED",
        ADDITIONAL_IP4_ADDRESS = 16397 "ADDITIONAL_IP4_ADDRESS",
        ADDITIONAL_IP6_ADDRESS = 16398 "ADDITIONAL_IP6_ADDRESS",
        NO_ADDITIONAL_ADDRESSES = 16399 "NO_ADDITIONAL_ADDRESSES",
        UPDATE_SA_ADDRESSES = 16400 "UPDATE_SA_ADDRESSES",
        COOKIE2 = 16401 "COOKIE2",
        NO_NATS_ALLOWED = 16402 "NO_NATS_ALLOWED",
        REDIRECT_SUPPORTED = 16406 "REDIRECT_SUPPORTED",
        REDIRECT = 16407 "REDIRECT",
        EAP_ONLY_AUTHENTICATION = 16417 "EAP_ONLY_AUTHENTICATION",
        CHILDLESS_IKEV2_SUPPORTED = 16418 "CHILDLESS_IKEV2_SUPPORTED",
        IKEV2_FRAGMENTATION_SUPPORTED = 16430 "IKEV2_FRAGMENTATION_SUPPORTED",
        SIGNATURE_HASH_ALGORITHMS = 16431 "SIGNATURE_HASH_ALGORITHMS",
        // Of the private range, by ourselves.
        SIZE_TEST = 51_476 "SIZE_TEST",
    }
}

impl NotifyType {
    /// Whether the value is in the error range (RFC 7296 §3.10.1).
    #[must_use]
    pub const fn is_error(self) -> bool {
        self.0 < 16384
    }
}

registry! {
    /// "Packet Codes" of EAP.
    EapCode(u8) {
        REQUEST = 1 "Request",
        RESPONSE = 2 "Response",
        SUCCESS = 3 "Success",
        FAILURE = 4 "Failure",
    }
}

registry! {
    /// "Method Types" of EAP.
    EapType(u8) {
        IDENTITY = 1 "Identity",
        NOTIFICATION = 2 "Notification",
        NAK = 3 "Nak",
        TLS = 13 "EAP-TLS",
        TTLS = 21 "EAP-TTLS",
        PEAP = 25 "PEAP",
        MSCHAPV2 = 26 "EAP-MSCHAPv2",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn unknown_values_survive() {
        assert_eq!(format!("{}", NotifyType(40_961)), "40961");
        assert_eq!(format!("{:?}", GroupId(31)), "GroupId(CURVE25519)");
    }

    #[test]
    fn errors_end_where_status_begins() {
        assert!(NotifyType(16_383).is_error());
        assert!(!NotifyType::INITIAL_CONTACT.is_error());
    }
}
