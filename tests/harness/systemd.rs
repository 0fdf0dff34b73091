//! What systemd does for the daemon it starts, done by the test: sockets that are bound, a user
//! without privileges but for four capabilities, a watchdog, and an ear for what the daemon says.
//!
//! The unit itself is checked by `cargo xtask dist`; what is granted here is what it grants.

use std::{
    fs::Permissions,
    net::SocketAddr,
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::{fs::PermissionsExt as _, net::UnixDatagram},
    },
    process::Command,
    time::Duration,
};

use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrStorage, bind, setsockopt, socket, sockopt,
};

use crate::{
    gateway::{Gateway, Setup},
    namespace::Namespace,
};

/// Where `ikexdp.socket` listens.
pub const ADDRESSES: [&str; 4] = ["0.0.0.0:500", "0.0.0.0:4500", "[::]:500", "[::]:4500"];
/// All that the daemon may do: `CAP_NET_ADMIN`, `CAP_NET_RAW`, `CAP_PERFMON` and `CAP_BPF`, by their
/// numbers.
pub const CAPABILITIES: [u32; 4] = [12, 13, 38, 39];
/// The file of the socket that hears.
const NOTIFY_SOCKET: &str = "/run/notify";
/// How long the daemon may be silent.
const PATIENCE: Duration = Duration::from_secs(10);

/// Starts the daemon of `$PROGRAM` with the sockets `$SOCKETS` as the user `nobody`.
///
/// The program is opened before the privileges go: the way to it may be closed to others.
const LAUNCHER: &str = r#"
    chown --recursive nobody: /run/ikexdp
    exec {program}< "$PROGRAM"
    place=3
    for socket in $SOCKETS; do eval "exec $place<&$socket"; place=$((place + 1)); done
    export LISTEN_PID=$$ LISTEN_FDS=$((place - 3))
    exec setpriv --pdeathsig KILL --reuid nobody --regid nogroup --clear-groups --no-new-privs \
        --bounding-set "$CAPABILITIES" --inh-caps "$CAPABILITIES" --ambient-caps "$CAPABILITIES" \
        -- /proc/self/fd/$program "$@"
"#;

/// The one who starts the daemon.
#[derive(Debug)]
pub struct Systemd {
    namespace: Namespace,
    ear: UnixDatagram,
}

impl Systemd {
    /// One for the daemon in `namespace`.
    #[must_use]
    pub fn new(namespace: &Namespace) -> Self {
        let ear = namespace.run(|| {
            let ear = UnixDatagram::bind(NOTIFY_SOCKET).unwrap();
            std::fs::set_permissions(NOTIFY_SOCKET, Permissions::from_mode(0o666)).unwrap();
            ear
        });
        ear.set_read_timeout(Some(PATIENCE)).unwrap();
        Self {
            namespace: namespace.clone(),
            ear,
        }
    }

    /// Starts `program` with sockets on `addresses`, to be watched if there is a time for that. It
    /// may end at once.
    #[must_use]
    pub fn launch(
        &self,
        program: &str,
        setup: &Setup,
        addresses: &[&'static str],
        watchdog: Option<Duration>,
    ) -> Gateway {
        let sockets: Vec<OwnedFd> = addresses.iter().map(|address| self.bind(address)).collect();
        let numbers = sockets.iter().map(|socket| socket.as_raw_fd().to_string());
        let capabilities = CAPABILITIES.map(|number| format!("+cap_{number}"));
        let mut launcher = Command::new("bash");
        launcher
            .args(["-euc", LAUNCHER, "bash"])
            .env("PROGRAM", program)
            .env("SOCKETS", numbers.collect::<Vec<_>>().join(" "))
            .env("CAPABILITIES", format!("-all,{}", capabilities.join(",")))
            .env("NOTIFY_SOCKET", NOTIFY_SOCKET);
        if let Some(watchdog) = watchdog {
            launcher.env("WATCHDOG_USEC", watchdog.as_micros().to_string());
        }
        Gateway::launch_by(launcher, program, &self.namespace, setup)
    }

    /// What the daemon says next.
    #[must_use]
    pub fn hear(&self) -> String {
        let mut text = [0; 4096];
        let length = self.ear.recv(&mut text).expect("the daemon says something");
        String::from_utf8(text[..length].to_vec()).unwrap()
    }

    /// A socket that programs inherit.
    fn bind(&self, address: &'static str) -> OwnedFd {
        self.namespace.run(move || {
            let address: SocketAddr = address.parse().unwrap();
            let family = if address.is_ipv4() {
                AddressFamily::Inet
            } else {
                AddressFamily::Inet6
            };
            let fd = socket(family, SockType::Datagram, SockFlag::empty(), None).unwrap();
            if address.is_ipv6() {
                setsockopt(&fd, sockopt::Ipv6V6Only, &true).unwrap();
            }
            bind(fd.as_raw_fd(), &SockaddrStorage::from(address)).unwrap();
            fd
        })
    }
}
