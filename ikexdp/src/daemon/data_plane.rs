//! The data plane, from the beginning of the daemon to its end.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::thread;

use ikexdp_proto::config::Connection;
use ikexdp_proto::crypto::cipher::Cipher;
use ikexdp_proto::data_plane::{DataPlane, NoDataPlane};
use tracing::{debug, info, warn};

use crate::config;
use crate::udp::Sockets;
use crate::xfrm::{self, Events, Swept, Xfrm, XfrmError, bypass};

/// Where CHILD SAs are kept, and how that is heard.
#[derive(Debug)]
pub(super) struct Carrier {
    pub(super) data_plane: Arc<dyn DataPlane>,
    pub(super) events: Option<Events>,
}

/// Sees to it that nothing of ours stays in the kernel when it is dropped.
#[derive(Debug, Default)]
pub(super) struct Sweeper(Option<Arc<Xfrm>>);

/// Makes the data plane that the configuration asks for. `sockets` are bound by
/// then, so that what is found in the kernel is of no other daemon.
///
/// # Errors
/// [`XfrmError`] if the kernel has none, or not for us.
pub(super) fn open(
    kind: config::DataPlane,
    sockets: &Sockets,
) -> Result<(Carrier, Sweeper), XfrmError> {
    if kind == config::DataPlane::None {
        let carrier = Carrier {
            data_plane: Arc::new(NoDataPlane),
            events: None,
        };
        return Ok((carrier, Sweeper(None)));
    }
    let xfrm = Arc::new(Xfrm::open()?);
    let Swept { sas, policies } = xfrm.sweep()?;
    if sas > 0 || policies > 0 {
        info!(
            sas,
            policies, "removed what an earlier daemon left in the kernel"
        );
    }
    for socket in sockets.iter() {
        let local = socket.local_addr();
        if let Err(error) = bypass(socket, local.is_ipv4()) {
            let error: &(dyn Error + 'static) = &error;
            let hint = "peers whose own addresses are to be protected will not get through";
            warn!(error, %local, hint, "IKE is not exempt from policies");
        }
    }
    let carrier = Carrier {
        data_plane: Arc::<Xfrm>::clone(&xfrm),
        events: Some(Events::listen()?),
    };
    Ok((carrier, Sweeper(Some(xfrm))))
}

/// Has the kernel load what the CHILD SAs of `connections` take: it does so with the
/// first SA of a kind, and a client would wait for it. Says what it cannot do.
///
/// # Errors
/// [`io::Error`] if the system gives no thread for it.
pub(super) fn rehearse(connections: &[Arc<Connection>]) -> io::Result<()> {
    let mut ciphers = Vec::new();
    for esp in connections.iter().map(|connection| &connection.child.esp) {
        let integrity = esp.integrity.iter().copied().map(Some);
        let integrity: Vec<_> = integrity.chain([None]).collect();
        for &encryption in &esp.encryption {
            let each = integrity.iter();
            ciphers.extend(each.filter_map(|&integrity| Cipher::new(encryption, integrity)));
        }
    }
    ciphers.sort_by_key(|cipher| (cipher.encryption(), cipher.integrity()));
    ciphers.dedup();
    let rehearse = move || match xfrm::rehearse(&ciphers) {
        Ok(missing) => {
            for cipher in missing {
                let hint = "load its modules, or leave it out of `esp.encryption`";
                warn!(%cipher, hint, "the kernel lacks a cipher for ESP");
            }
            debug!("the kernel has loaded what ESP takes");
        }
        Err(error) => {
            let error: &(dyn Error + 'static) = &error;
            warn!(error, "the kernel does not say what ESP it has");
        }
    };
    thread::Builder::new()
        .name("ikexdp-rehearsal".to_owned())
        .spawn(rehearse)
        .map(drop)
}

impl Sweeper {
    /// To be called when nobody installs anything any more; once is enough.
    pub(super) fn sweep(&mut self) {
        let swept = self.0.take().map(|xfrm| xfrm.sweep());
        if let Some(Err(error)) = swept {
            let error: &(dyn Error + 'static) = &error;
            let hint = "the next start removes them; until then `ip xfrm state` shows them";
            warn!(error, hint, "SAs and policies stay in the kernel");
        }
    }
}

impl Drop for Sweeper {
    fn drop(&mut self) {
        self.sweep();
    }
}
