//! What FreeRADIUS is told, and the files that say so.

use std::path::Path;

use crate::pki::Pki;

/// What the server and its clients share.
pub const SECRET: &str = "lab secret of RADIUS";

/// Whom the server knows, and how.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Users with passwords.
    pub users: Vec<User>,
    /// For EAP-TLS, PEAP and TTLS; without them there are only EAP-MSCHAPv2 and EAP-MD5.
    pub certificates: Option<Certificates>,
    /// The method that is asked for first: `mschapv2` if there is none; or `tls`, `peap`, `ttls`,
    /// `md5`.
    pub method: Option<&'static str>,
    /// Whether whoever is not among the users is refused at once, whatever the method. With EAP-TLS
    /// and anonymous names that is not wanted.
    pub refuses_strangers: bool,
}

/// A user with a password.
#[derive(Clone, Debug)]
pub struct User {
    /// The name.
    pub name: String,
    /// The password.
    pub password: String,
    /// Attributes of the Access-Accept, as in `Framed-IP-Address = 10.9.0.7`.
    pub reply: Vec<String>,
}

/// What the server shows, and whom it trusts, in PEM.
#[derive(Clone, Debug)]
pub struct Certificates {
    /// The server's certificate and the intermediates behind it.
    pub chain: String,
    /// Its private key.
    pub key: String,
    /// The authority of EAP-TLS clients.
    pub authority: String,
}

impl Certificates {
    /// The gateway's certificate serves the server as well.
    #[must_use]
    pub fn of(pki: &Pki) -> Self {
        Self {
            chain: pki.gateway.leaf.clone() + &pki.gateway.intermediate,
            key: pki.gateway.key.clone(),
            authority: pki.root.clone(),
        }
    }
}

impl User {
    /// A user whose Access-Accept says nothing more.
    #[must_use]
    pub fn new(name: &str, password: &str) -> Self {
        Self {
            name: name.to_owned(),
            password: password.to_owned(),
            reply: Vec::new(),
        }
    }

    /// The same with an attribute in the Access-Accept.
    #[must_use]
    pub fn with(mut self, attribute: &str) -> Self {
        self.reply.push(attribute.to_owned());
        self
    }
}

impl Settings {
    /// The files of the server's directory and what is in them.
    pub(super) fn files(&self, directory: &Path, ports: [u16; 2]) -> Vec<(&'static str, String)> {
        let mut files = vec![
            ("radiusd.conf", self.radiusd_conf(directory, ports)),
            ("users", self.users_file()),
            // It must be there, and may add to what the program knows.
            ("dictionary", String::new()),
        ];
        if let Some(certificates) = &self.certificates {
            files.push(("server.pem", certificates.chain.clone()));
            files.push(("server.key", certificates.key.clone()));
            files.push(("ca.pem", certificates.authority.clone()));
        }
        files
    }

    fn users_file(&self) -> String {
        let mut text = String::new();
        for User {
            name,
            password,
            reply,
        } in &self.users
        {
            text += &format!("\"{name}\" Cleartext-Password := \"{password}\"\n");
            if !reply.is_empty() {
                text += &format!("\t{}\n", reply.join(",\n\t"));
            }
        }
        if self.refuses_strangers {
            text += "DEFAULT Auth-Type := Reject\n\tReply-Message = \"nobody of this name\"\n";
        }
        text
    }

    fn eap(&self, directory: &str) -> String {
        let method = self.method.unwrap_or("mschapv2");
        let tls = if self.certificates.is_some() {
            format!(
                "tls-config lab {{
                    private_key_file = {directory}/server.key
                    certificate_file = {directory}/server.pem
                    ca_file = {directory}/ca.pem
                    cipher_list = \"DEFAULT\"
                    tls_min_version = \"1.2\"
                    tls_max_version = \"1.2\"
                    fragment_size = 1024
                }}
                tls {{
                    tls = lab
                }}
                ttls {{
                    tls = lab
                    default_eap_type = mschapv2
                    use_tunneled_reply = yes
                    virtual_server = inner
                }}
                peap {{
                    tls = lab
                    default_eap_type = mschapv2
                    use_tunneled_reply = yes
                    virtual_server = inner
                }}"
            )
        } else {
            String::new()
        };
        format!(
            "eap {{
                default_eap_type = {method}
                timer_expire = 60
                max_sessions = 4096
                md5 {{
                }}
                mschapv2 {{
                }}
                {tls}
            }}"
        )
    }

    fn radiusd_conf(&self, directory: &Path, ports: [u16; 2]) -> String {
        let directory = directory.display().to_string();
        let (eap, outer) = (self.eap(&directory), outer(ports));
        format!(
            "prefix = /usr
            libdir = /usr/lib/freeradius
            name = radiusd
            confdir = {directory}
            logdir = {directory}
            run_dir = {directory}
            pidfile = {directory}/radiusd.pid
            security {{
                reject_delay = 0
                status_server = yes
            }}
            thread pool {{
                start_servers = 2
                max_servers = 4
                min_spare_servers = 1
                max_spare_servers = 2
            }}
            client lab4 {{
                ipaddr = 0.0.0.0/0
                secret = \"{SECRET}\"
                require_message_authenticator = yes
            }}
            client lab6 {{
                ipv6addr = ::/0
                secret = \"{SECRET}\"
                require_message_authenticator = yes
            }}
            modules {{
                {eap}
                files {{
                    filename = {directory}/users
                }}
                mschap {{
                    use_mppe = yes
                }}
                pap {{
                }}
                detail {{
                    filename = {directory}/detail
                    header = \"%t\"
                    permissions = 0600
                }}
            }}
            {outer}
            {INNER}
            "
        )
    }
}

/// Where users of the gateway are known.
fn outer([authentication, accounting]: [u16; 2]) -> String {
    format!(
        "server lab {{
            listen {{
                type = auth
                ipaddr = *
                port = {authentication}
            }}
            listen {{
                type = acct
                ipaddr = *
                port = {accounting}
            }}
            authorize {{
                files
                eap
            }}
            authenticate {{
                Auth-Type MS-CHAP {{
                    mschap
                }}
                eap
            }}
            post-auth {{
                Post-Auth-Type REJECT {{
                    eap
                }}
            }}
            accounting {{
                detail
            }}
        }}"
    )
}

/// What is inside PEAP and TTLS.
const INNER: &str = "\
server inner {
    authorize {
        files
        mschap
        eap
        pap
    }
    authenticate {
        Auth-Type PAP {
            pap
        }
        Auth-Type MS-CHAP {
            mschap
        }
        eap
    }
}";
