//! The data plane, from the beginning of the daemon to its end.

use std::error::Error;
use std::sync::Arc;

use ikexdp_proto::data_plane::{DataPlane, NoDataPlane};
use tracing::{info, warn};

use crate::config;
use crate::udp::Sockets;
use crate::xfrm::{Events, Swept, Xfrm, XfrmError, bypass};

/// Where CHILD SAs are kept, and how that is heard.
#[derive(Debug)]
pub(super) struct Carrier {
    pub(super) data_plane: Arc<dyn DataPlane>,
    pub(super) events: Option<Events>,
}

/// Sees to it that nothing of ours stays in the kernel when it is dropped.
#[derive(Debug)]
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

impl Drop for Sweeper {
    fn drop(&mut self) {
        let swept = self.0.take().map(|xfrm| xfrm.sweep());
        if let Some(Err(error)) = swept {
            let error: &(dyn Error + 'static) = &error;
            let hint = "the next start removes them; until then `ip xfrm state` shows them";
            warn!(error, hint, "SAs and policies stay in the kernel");
        }
    }
}
