//! ProfileXML of the VPNv2 configuration service provider.
//!
//! Its schema is a sequence: Windows takes elements in that order only.

use std::io;

use ikexdp_proto::mismatch::WINDOWS_POLICY;
use quick_xml::Writer;
use quick_xml::events::{BytesEnd, BytesStart, BytesText, Event};

use super::windows::routes;
use super::{Profile, Proof};

/// The order of the schema.
const SUITE: [&str; 6] = [
    "AuthenticationTransformConstants",
    "CipherTransformConstants",
    "PfsGroup",
    "DHGroup",
    "IntegrityCheckMethod",
    "EncryptionMethod",
];

/// EAP-MSCHAPv2 in the registry of methods.
const MSCHAPV2: &str = "26";

/// An element with text or with others in it.
struct Element {
    name: &'static str,
    namespace: Option<&'static str>,
    content: Content,
}

enum Content {
    Text(String),
    Elements(Vec<Element>),
}

impl Element {
    fn text(name: &'static str, text: impl Into<String>) -> Self {
        let content = Content::Text(text.into());
        Self {
            name,
            namespace: None,
            content,
        }
    }

    fn of(name: &'static str, elements: Vec<Self>) -> Self {
        let content = Content::Elements(elements);
        Self {
            name,
            namespace: None,
            content,
        }
    }

    fn within(mut self, namespace: &'static str) -> Self {
        self.namespace = Some(namespace);
        self
    }

    fn write(&self, writer: &mut Writer<Vec<u8>>) -> io::Result<()> {
        let mut start = BytesStart::new(self.name);
        start.extend_attributes(self.namespace.map(|namespace| ("xmlns", namespace)));
        writer.write_event(Event::Start(start))?;
        match &self.content {
            Content::Text(text) => writer.write_event(Event::Text(BytesText::new(text)))?,
            Content::Elements(elements) => {
                for element in elements {
                    element.write(writer)?;
                }
            }
        }
        writer.write_event(Event::End(BytesEnd::new(self.name)))
    }
}

/// The profile.
pub(super) fn profile_xml(profile: &Profile<'_>) -> io::Result<Vec<u8>> {
    let mut elements = vec![
        Element::text("RememberCredentials", "true"),
        Element::text("AlwaysOn", "false"),
    ];
    elements.extend(
        profile
            .domain
            .map(|domain| Element::text("DnsSuffix", domain)),
    );
    elements.push(native(profile));
    elements.extend(routes(profile).iter().map(|route| {
        Element::of(
            "Route",
            vec![
                Element::text("Address", route.network().to_string()),
                Element::text("PrefixSize", route.prefix_len().to_string()),
            ],
        )
    }));
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
    Element::of("VPNProfile", elements).write(&mut writer)?;
    let mut octets = writer.into_inner();
    octets.push(b'\n');
    Ok(octets)
}

fn native(profile: &Profile<'_>) -> Element {
    let routing = match profile.networks {
        Some(_) => "SplitTunnel",
        None => "ForceTunnel",
    };
    // The command for PowerShell says it all; here it is in another order.
    let words: Vec<&str> = WINDOWS_POLICY.split_whitespace().collect();
    let value = |name: &str| {
        let mut pairs = words.iter().zip(words.iter().skip(1));
        let (_, value) = pairs.find(|(word, _)| word.strip_prefix('-') == Some(name))?;
        Some((*value).to_owned())
    };
    let suite = SUITE.map(|name| Element::text(name, value(name).unwrap_or_default()));
    let authentication = match profile.proof {
        Proof::Certificate { .. } => vec![Element::text("MachineMethod", "Certificate")],
        Proof::Eap { .. } => vec![
            Element::text("UserMethod", "Eap"),
            Element::of("Eap", vec![Element::of("Configuration", vec![eap_host()])]),
        ],
    };
    Element::of(
        "NativeProfile",
        vec![
            Element::text("Servers", profile.gateway.to_string()),
            Element::text("RoutingPolicyType", routing),
            // Automatic would ignore the suite, and end in error 800.
            Element::text("NativeProtocolType", "IKEv2"),
            Element::text("DisableClassBasedDefaultRoute", "true"),
            Element::of("CryptographySuite", suite.into()),
            Element::of("Authentication", authentication),
        ],
    )
}

/// The configuration of EAP-MSCHAPv2, as New-EapConfiguration would write it.
fn eap_host() -> Element {
    const HOST: &str = "http://www.microsoft.com/provisioning/EapHostConfig";
    const COMMON: &str = "http://www.microsoft.com/provisioning/EapCommon";
    const BASE: &str = "http://www.microsoft.com/provisioning/BaseEapConnectionPropertiesV1";
    const METHOD: &str = "http://www.microsoft.com/provisioning/MsChapV2ConnectionPropertiesV1";
    let common = |name, text: &str| Element::text(name, text).within(COMMON);
    let method = Element::of(
        "EapMethod",
        vec![
            common("Type", MSCHAPV2),
            common("VendorId", "0"),
            common("VendorType", "0"),
            common("AuthorId", "0"),
        ],
    );
    let credentials = Element::text("UseWinLogonCredentials", "false");
    let properties = Element::of("EapType", vec![credentials]).within(METHOD);
    let eap = Element::of("Eap", vec![Element::text("Type", MSCHAPV2), properties]).within(BASE);
    let config = Element::of("Config", vec![eap]).within(HOST);
    Element::of("EapHostConfig", vec![method, config]).within(HOST)
}

#[cfg(test)]
mod tests {
    use super::super::tests::Parts;
    use super::*;
    use roxmltree::{Document, Node};

    /// What the published schema has, as far as anything of ours is in it, in its
    /// order; what must be there is marked.
    const SCHEMA: [(&str, &[&str]); 5] = [
        (
            "VPNProfile",
            &[
                "EdpModeId",
                "RememberCredentials",
                "AlwaysOn",
                "DnsSuffix",
                "TrustedNetworkDetection",
                "LockDown",
                "DeviceTunnel",
                "RegisterDNS",
                "ByPassForLocal",
                "Proxy",
                "APNBinding",
                "DeviceCompliance",
                "PluginProfile",
                "AppTrigger",
                "DomainNameInformation",
                "TrafficFilter",
                "NativeProfile",
                "Route",
            ],
        ),
        (
            "NativeProfile",
            &[
                "Servers!",
                "RoutingPolicyType",
                "NativeProtocolType",
                "L2tpPsk",
                "DisableClassBasedDefaultRoute",
                "CryptographySuite",
                "Authentication!",
            ],
        ),
        (
            "CryptographySuite",
            &[
                "AuthenticationTransformConstants",
                "CipherTransformConstants",
                "PfsGroup",
                "DHGroup",
                "IntegrityCheckMethod",
                "EncryptionMethod",
            ],
        ),
        // The schema wants `Eap` too; with a machine certificate there is none to
        // configure, and what Microsoft shows of device tunnels has none.
        ("Authentication", &["UserMethod", "MachineMethod", "Eap"]),
        ("Route", &["Address!", "PrefixSize!"]),
    ];

    fn check(node: Node<'_, '_>) {
        let name = node.tag_name().name();
        let children: Vec<_> = node.children().filter(Node::is_element).collect();
        let Some((_, known)) = SCHEMA.iter().find(|(known, _)| *known == name) else {
            return;
        };
        let place = |child: &Node<'_, '_>| {
            let name = child.tag_name().name();
            let place = known.iter().position(|it| it.trim_end_matches('!') == name);
            place.unwrap_or_else(|| panic!("{name} is not in the schema"))
        };
        let places: Vec<_> = children.iter().map(place).collect();
        assert!(places.is_sorted(), "{name}: {places:?}");
        for (place, required) in known.iter().enumerate() {
            let count = places.iter().filter(|it| **it == place).count();
            assert!(!required.ends_with('!') || count == 1, "{name}: {required}");
        }
        children.into_iter().for_each(check);
    }

    fn value<'a>(document: &'a Document<'_>, name: &str) -> Option<&'a str> {
        let mut named = document.descendants().filter(|it| it.has_tag_name(name));
        named.next()?.text()
    }

    #[test]
    fn it_follows_the_schema() {
        let parts = Parts::new();
        let networks = ["10.0.0.0/8".parse().unwrap()];
        for is_eap in [false, true] {
            for networks in [None, Some(&networks[..])] {
                let xml = profile_xml(&parts.profile(is_eap, networks)).unwrap();
                let xml = String::from_utf8(xml).unwrap();
                let document = Document::parse(&xml).unwrap();
                assert!(document.root_element().has_tag_name("VPNProfile"));
                check(document.root_element());
                assert_eq!(value(&document, "Servers"), Some("vpn.example.com"));
                assert_eq!(value(&document, "NativeProtocolType"), Some("IKEv2"));
                let method = value(&document, "MachineMethod");
                assert_eq!(method, (!is_eap).then_some("Certificate"));
                assert_eq!(value(&document, "UserMethod"), is_eap.then_some("Eap"));
                let split = networks.is_some();
                let policy = if split { "SplitTunnel" } else { "ForceTunnel" };
                assert_eq!(value(&document, "RoutingPolicyType"), Some(policy));
                let address = if split { "10.0.0.0" } else { "2000::" };
                assert_eq!(value(&document, "Address"), Some(address));
            }
        }
    }

    #[test]
    fn the_suite_is_that_of_the_command() {
        let parts = Parts::new();
        let xml = profile_xml(&parts.profile(false, None)).unwrap();
        let xml = String::from_utf8(xml).unwrap();
        let document = Document::parse(&xml).unwrap();
        for (name, expected) in [
            ("AuthenticationTransformConstants", "GCMAES256"),
            ("CipherTransformConstants", "GCMAES256"),
            ("PfsGroup", "ECP384"),
            ("DHGroup", "ECP384"),
            ("IntegrityCheckMethod", "SHA384"),
            ("EncryptionMethod", "AES256"),
        ] {
            assert_eq!(value(&document, name), Some(expected));
            assert!(WINDOWS_POLICY.contains(&format!("-{name} {expected}")));
        }
    }

    #[test]
    fn eap_is_configured_in_its_namespaces() {
        let parts = Parts::new();
        let xml = profile_xml(&parts.profile(true, None)).unwrap();
        let xml = String::from_utf8(xml).unwrap();
        let document = Document::parse(&xml).unwrap();
        let namespace = |name: &str| {
            let mut nodes = document.descendants();
            let node = nodes.find(|it| it.tag_name().name() == name).unwrap();
            node.tag_name()
                .namespace()
                .unwrap()
                .rsplit('/')
                .next()
                .unwrap()
                .to_owned()
        };
        assert_eq!(namespace("EapHostConfig"), "EapHostConfig");
        assert_eq!(namespace("Type"), "EapCommon");
        assert_eq!(namespace("EapType"), "MsChapV2ConnectionPropertiesV1");
    }
}
