//! What a peer's authenticator wants back with what becomes of the peer: jobs of the kernel say
//! on whose account they are.

use std::collections::VecDeque;
use std::sync::Arc;

use harness::host;
use harness::script::{CHILD_SPI, Script, config};
use ikexdp_proto::data_plane::{Carried, Direction, Operation, Volume};
use ikexdp_proto::eap::Account;
use ikexdp_proto::job::{Job, JobResult};
use ikexdp_proto::message::informational::Informational;
use ikexdp_proto::types::{EspSpi, IkeSaId};
use ikexdp_proto::wire::iana::ExchangeType;
use ikexdp_proto::{Command, Input};

use crate::eap::let_in;

const INFORMATIONAL: ExchangeType = ExchangeType::INFORMATIONAL;

/// Octets that the client has sent.
const OCTETS: u64 = 1400;

/// A client on somebody's account, which has sent something; from now on, the host's jobs wait.
fn up() -> (Script, Arc<u32>, EspSpi) {
    let account = Arc::new(7_u32);
    let given = Account(Arc::clone(&account) as _);
    let mut script = let_in(|terms| terms.account = Some(given));
    let spi = script.endpoint.summaries(None).next().unwrap().children[0].spi_in;
    script.kernel.carry(spi, OCTETS);
    script.waiting = Some(VecDeque::new());
    script.all_wait = true;
    (script, account, spi)
}

/// The only job that waits.
fn job(script: &mut Script) -> Job {
    let waiting = script.waiting.as_mut().unwrap();
    let jobs: Vec<_> = waiting.drain(..).map(|(_, job)| job).collect();
    let [job] = <[Job; 1]>::try_from(jobs).expect("one job");
    job
}

fn is(account: Option<&Account>, whose: &Arc<u32>) -> bool {
    let account = account.map(|Account(account)| Arc::clone(account));
    let account = account.and_then(|account| account.downcast::<u32>().ok());
    account.is_some_and(|account| Arc::ptr_eq(&account, whose))
}

/// --> INFORMATIONAL { D }
/// <-- INFORMATIONAL { D }
#[test]
fn what_an_sa_has_carried_is_told_on_its_account_when_it_goes() {
    let delete_child = Informational {
        delete_esp: vec![EspSpi(CHILD_SPI)],
        ..Informational::default()
    };
    let delete_ike = Informational {
        delete_ike: true,
        ..Informational::default()
    };
    for delete in [delete_child, delete_ike] {
        let (mut script, account, spi) = up();
        script.exchange(INFORMATIONAL, 5, &delete.encode());
        let job = job(&mut script);
        let Job::DataPlane {
            batch,
            account: given,
        } = &job
        else {
            panic!("SAs are removed: {job:?}");
        };
        assert!(is(given.as_ref(), &account));
        let removes = |operation: &Operation| matches!(operation, Operation::RemoveSa(name) if name.spi == spi);
        assert!(batch.iter().any(removes), "{batch:?}");
        let JobResult::DataPlane(Ok(volume)) = host::run(job, &script.kernel) else {
            panic!("the kernel tells");
        };
        let received = Carried {
            octets: OCTETS,
            packets: 0,
        };
        let sent = Carried::default();
        assert_eq!(volume, Volume { received, sent });
    }
}

/// Both directions are measured, and nothing of the SA's own waits for that.
#[test]
fn the_host_may_want_to_know_before() {
    let (mut script, account, spi) = up();
    assert!(script.command(Command::Measure(IkeSaId(1))).is_empty());
    let waiting = script.waiting.as_mut().unwrap();
    let (id, job) = waiting.pop_front().expect("a job");
    let Job::Measure {
        sas,
        account: given,
    } = &job
    else {
        panic!("SAs are measured: {job:?}");
    };
    assert!(is(given.as_ref(), &account));
    let directions: Vec<_> = sas.iter().map(|name| name.direction).collect();
    assert_eq!(directions, [Direction::Inbound, Direction::Outbound]);
    assert_eq!(sas[0].spi, spi);
    let result = host::run(job, &script.kernel);
    let told = match &result {
        JobResult::Carried(Ok(carried)) => carried[0].octets,
        _ => panic!("the kernel tells: {result:?}"),
    };
    assert_eq!(told, OCTETS);
    script
        .endpoint
        .handle(script.now, Input::JobDone(id, result));
    assert!(script.endpoint.poll_output().is_none());
    assert_eq!(script.endpoint.established(), 1);
}

/// Nobody has an account with a pre-shared key, nor has an SA that there is not.
#[test]
fn what_is_on_nobodys_account_is_not_measured() {
    let mut script = Script::new(config());
    script.establish();
    script.waiting = Some(VecDeque::new());
    script.all_wait = true;
    for id in [1, 2] {
        assert!(script.command(Command::Measure(IkeSaId(id))).is_empty());
        assert_eq!(script.waiting.as_ref().unwrap().len(), 0);
    }
    let delete = Informational {
        delete_ike: true,
        ..Informational::default()
    };
    script.exchange(INFORMATIONAL, 2, &delete.encode());
    assert!(matches!(
        job(&mut script),
        Job::DataPlane { account: None, .. }
    ));
}
