//! What is done before what.

use std::os::fd::AsRawFd;
use std::sync::Mutex;

use ikexdp_proto::data_plane::{Carried, DataPlaneError, Direction, EspSaName, Operation, Volume};
use nix::sys::socket::{MsgFlags, recv};

use super::*;

/// How long a machine may take that does much else.
const PATIENCE: Duration = Duration::from_secs(30);

/// A data plane that tells, as the SA to the client comes, whether an answer waits for the client to read it.
#[derive(Debug)]
struct Witness {
    client: UdpSocket,
    seen: Mutex<mpsc::Sender<bool>>,
}

impl DataPlane for Witness {
    fn apply(&self, batch: &[Operation]) -> Result<Volume, DataPlaneError> {
        let is_outbound = |operation: &Operation| matches!(operation, Operation::InstallSa(sa) if sa.direction == Direction::Outbound);
        if batch.iter().any(is_outbound) {
            let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
            let is_there = recv(self.client.as_raw_fd(), &mut [0], flags).is_ok();
            self.seen.lock().unwrap().send(is_there).unwrap();
        }
        Ok(Volume::default())
    }

    fn carried(&self, sas: &[EspSaName]) -> Result<Vec<Carried>, DataPlaneError> {
        NoDataPlane.carried(sas)
    }
}

/// ESP that overtakes the answer is of an SA that the client does not know.
#[test]
fn a_client_has_its_answer_before_there_is_an_sa_to_it() {
    let mut client = Client::new(Ports { ike: 0, nat_t: 0 });
    let (seen, witnessed) = mpsc::channel();
    let witness = Witness {
        client: client.socket.try_clone().unwrap(),
        seen: Mutex::new(seen),
    };
    let state = TempDir::new().unwrap();
    let gateway = Gateway::carrying(Arc::new(witness), Cpus::find(), state);
    client.gateway = gateway.ports;
    client.connect();
    // The answer to IKE_SA_INIT; that to IKE_AUTH is left where it is.
    while !client.hear() {}
    assert_eq!(witnessed.recv_timeout(PATIENCE), Ok(true));
    client.run_until(established);
}
