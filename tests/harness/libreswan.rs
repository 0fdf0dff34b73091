//! Libreswan, as a client of the gateway or in its place. It needs ESP in the kernel.

use std::{net::IpAddr, process::Stdio, time::Duration};

use nix::sys::signal::Signal;

use crate::{
    credentials::{Credentials, SECRET},
    journal::Journal,
    lab::Ends,
    namespace::{Namespace, command},
    pki::{CLIENT, Chain, GATEWAY},
    process::Process,
};

/// Where Debian's package has the daemon, outside of every PATH.
const PLUTO: &str = "/usr/libexec/ipsec/pluto";
/// Where its keys and certificates are.
const DATABASE: &str = "sql:/var/lib/ipsec";
/// What the gateway's certificate is called there.
const NICKNAME: &str = "gateway";
/// How long it may take to start and to connect.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running daemon with one connection.
#[derive(Debug)]
pub struct Libreswan {
    pluto: Process,
}

impl Libreswan {
    /// Starts the daemon, which by itself connects to the gateway of `ends` and asks it for an address.
    ///
    /// Of an IPv4 address and an IPv6 address it takes the first.
    #[must_use]
    pub fn start(namespace: &Namespace, ends: Ends) -> Self {
        let Ends { client, gateway } = ends;
        let configuration = format!(
            "conn lab
                left={client}
                leftid=@{CLIENT}
                leftsubnet=0.0.0.0/0
                leftmodecfgclient=yes
                leftupdown=%disabled
                right={gateway}
                rightid=@{GATEWAY}
                rightsubnet=0.0.0.0/0
                narrowing=yes
                authby=secret
                ikev2=insist
                auto=start\n"
        );
        prepare(namespace);
        Self::launch(namespace, configuration, SECRET)
    }

    /// Starts the daemon with a connection for whoever comes, and addresses for them: 10.9.0.0/24. It
    /// listens when this returns. `authby` is what it calls the way in which both prove who they are.
    #[must_use]
    pub fn serve(
        namespace: &Namespace,
        local: IpAddr,
        credentials: &Credentials,
        authby: &str,
    ) -> Self {
        prepare(namespace);
        let (proof, secret) = match credentials {
            Credentials::Psk { secret, .. } => (String::new(), secret.as_str()),
            Credentials::Certificate {
                chain,
                root,
                remote_id,
                ..
            } => {
                import(namespace, chain, root);
                let proof = format!(
                    "leftcert={NICKNAME}
                leftsendcert=always
                sendca=issuer
                rightid=@{remote_id}"
                );
                (proof, "none")
            }
            other => panic!("not for Libreswan: {other:?}"),
        };
        let configuration = format!(
            "config setup
                uniqueids=no
                ddos-mode=unlimited
                logappend=no
conn lab
                left={local}
                leftid=@{GATEWAY}
                leftsubnet=0.0.0.0/0
                leftupdown=%disabled
                right=%any
                rightaddresspool=10.9.0.1-10.9.0.254
                authby={authby}
                {proof}
                narrowing=yes
                ikev2=insist
                ike=aes_gcm256-sha2_256;dh31
                esp=aes_gcm256
                auto=add\n"
        );
        let libreswan = Self::launch(namespace, configuration, secret);
        libreswan.wait_for("adding UDP interface eth0");
        libreswan.wait_for("added IKEv2 connection");
        libreswan
    }

    fn launch(namespace: &Namespace, configuration: String, secret: &str) -> Self {
        namespace.write("/run/pluto/ipsec.conf", configuration);
        namespace.write("/run/pluto/ipsec.secrets", format!(": PSK \"{secret}\"\n"));
        let mut pluto = command(PLUTO);
        pluto.stdout(Stdio::null());
        pluto.args(["--nofork", "--stderrlog"]);
        pluto.args(["--config", "/run/pluto/ipsec.conf"]);
        pluto.args(["--secretsfile", "/run/pluto/ipsec.secrets"]);
        pluto.args(["--nssdir", "/var/lib/ipsec"]);
        Self {
            pluto: Process::start(namespace, "Libreswan", pluto),
        }
    }

    /// Waits until there is an IKE SA with a CHILD SA.
    pub fn wait_until_established(&self) {
        self.wait_for("established Child SA");
    }

    /// The daemon's process number.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pluto.pid()
    }

    fn wait_for(&self, text: &str) {
        let found = |lines: &[String]| lines.iter().find(|line| line.contains(text)).map(drop);
        self.log()
            .wait_for(PATIENCE, found)
            .unwrap_or_else(|| panic!("Libreswan does not say `{text}`"));
    }

    /// Ends the daemon as its service would, which deletes its SAs at the peer.
    pub fn stop(mut self) {
        self.pluto.signal(Signal::SIGTERM);
        self.pluto.wait();
    }

    /// The daemon's log.
    #[must_use]
    pub fn log(&self) -> &Journal<String> {
        self.pluto.lines()
    }
}

/// Makes the database of keys and certificates, without which it does not start; a new one each time.
fn prepare(namespace: &Namespace) {
    namespace.mount("tmpfs", "/var/lib/ipsec");
    namespace.exec(&format!("certutil -N -d {DATABASE} --empty-password"));
}

/// Puts the gateway's certificates and key, and what it trusts, into the database.
fn import(namespace: &Namespace, chain: &Chain, root: &str) {
    namespace.write("/run/pluto/leaf.pem", &chain.leaf);
    namespace.write("/run/pluto/leaf.key", &chain.key);
    namespace.write("/run/pluto/intermediate.pem", &chain.intermediate);
    namespace.write("/run/pluto/root.pem", root);
    namespace.exec(&format!(
        "openssl pkcs12 -export -passout pass:lab -name {NICKNAME} -in /run/pluto/leaf.pem \
         -inkey /run/pluto/leaf.key -out /run/pluto/leaf.p12"
    ));
    namespace.exec(&format!(
        "pk12util -d {DATABASE} -W lab -i /run/pluto/leaf.p12"
    ));
    for (name, trust) in [("intermediate", ",,"), ("root", "CT,,")] {
        namespace.exec(&format!(
            "certutil -A -d {DATABASE} -n {name} -t {trust} -i /run/pluto/{name}.pem"
        ));
    }
}
