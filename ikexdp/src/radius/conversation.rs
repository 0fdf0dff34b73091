//! Conversations: what a peer says goes to a server, and the other way round
//! (RFC 3579 §2.1).

use std::sync::Arc;

use ikexdp_proto::eap::{
    Account, Admission, Caller, Conversation, Done, Rejection, RejectionReason, Turn,
};

use super::admission::{Grant, grant, reply_message};
use super::attribute::Kind;
use super::eap;
use super::limits::{FRAMED_MTU, VALUE_LEN_MAX};
use super::packet::{Code, Draft, Packet, TooLong};
use super::server::{Failure, Server};
use super::servers::Unanswered;
use super::session::Session;
use super::socket::Answer;
use super::table::{Table, station};

/// A conversation, while it is our turn.
#[derive(Debug)]
pub(super) struct Talk {
    pub(super) table: Arc<Table>,
    pub(super) caller: Caller,
    /// Once the peer has said who it is.
    pub(super) progress: Option<Progress>,
}

/// What is known after the peer's identity.
#[derive(Clone, Debug)]
pub(super) struct Progress {
    /// The name as it was given; no text, for all we know.
    user: Vec<u8>,
    /// The server that remembers the conversation: no other can go on with it.
    server: Option<(Arc<Server>, Option<Vec<u8>>)>,
}

impl Conversation for Talk {
    fn hear(self: Box<Self>, response: Vec<u8>, done: Done) {
        let Some(runtime) = self.table.runtime.get() else {
            let servers = Vec::new();
            let reason = RejectionReason::RadiusSilent { servers };
            return done(Turn::Reject(Rejection { user: None, reason }));
        };
        let runtime = runtime.clone();
        // When the runtime ends, `done` is dropped, which is to give up.
        drop(runtime.spawn(async move { done(self.turn(response).await) }));
    }
}

impl Talk {
    async fn turn(self, response: Vec<u8>) -> Turn {
        let Self {
            table,
            caller,
            progress,
        } = self;
        let progress = match progress {
            Some(progress) => progress,
            None => match identify(&caller, &response) {
                Ok(user) => Progress { user, server: None },
                Err(reason) => return Turn::Reject(Rejection { user: None, reason }),
            },
        };
        let user = String::from_utf8_lossy(&progress.user).into_owned();
        match table.ask(&caller, progress, &response).await {
            Ok(Heard::Challenge(request, progress)) => Turn::Ask {
                request,
                conversation: Box::new(Self {
                    table,
                    caller,
                    progress: Some(progress),
                }),
            },
            Ok(Heard::Accept(grant)) => Turn::Accept(Box::new(admit(&table, &caller, user, grant))),
            Err(reason) => {
                let user = Some(user);
                Turn::Reject(Rejection { user, reason })
            }
        }
    }
}

/// Who the peer says it is; where it calls from if it does not say (RFC 3579 §2.1).
fn identify(caller: &Caller, response: &[u8]) -> Result<Vec<u8>, RejectionReason> {
    let identity = eap::identity(response);
    let identity = identity.ok_or(RejectionReason::Protocol("no identity"))?;
    match identity.len() {
        0 => Ok(station(&caller.remote).into_bytes()),
        1..=VALUE_LEN_MAX => Ok(identity.to_vec()),
        _ => Err(RejectionReason::Protocol("identity too long for RADIUS")),
    }
}

fn admit(table: &Arc<Table>, caller: &Caller, user: String, grant: Grant) -> Admission {
    let user = grant.user.unwrap_or(user);
    let session = Session::new(
        table,
        caller,
        user.clone(),
        grant.classes,
        grant.interim_interval,
    );
    Admission {
        user,
        msk: grant.msk,
        addresses: grant.addresses,
        groups: grant.groups,
        session_timeout: grant.session_timeout,
        account: Some(Account(Arc::new(session))),
    }
}

/// What a server says.
enum Heard {
    Challenge(Vec<u8>, Progress),
    Accept(Grant),
}

impl Table {
    async fn ask(
        &self,
        caller: &Caller,
        progress: Progress,
        response: &[u8],
    ) -> Result<Heard, RejectionReason> {
        let Progress { user, server } = progress;
        let state = server.as_ref().and_then(|(_, state)| state.as_deref());
        let draft = self.access_request(caller, &user, state, response);
        let too_long = RejectionReason::Protocol("response too long for RADIUS");
        let Ok(draft) = draft else {
            return Err(too_long);
        };
        let (server, answer) = match server {
            Some((server, _)) => match server.exchange(&draft).await {
                Ok(answer) => (server, answer),
                Err(Failure::TooLong) => return Err(too_long),
                Err(Failure::Silent) => {
                    let servers = vec![server.address];
                    return Err(RejectionReason::RadiusSilent { servers });
                }
            },
            None => match self.servers.exchange(&|| Ok(draft.clone())).await {
                Ok(found) => found,
                Err(Unanswered::TooLong) => return Err(too_long),
                Err(Unanswered::Silent(servers)) => {
                    return Err(RejectionReason::RadiusSilent { servers });
                }
            },
        };
        self.read(user, server, &answer)
    }

    fn read(
        &self,
        user: Vec<u8>,
        server: Arc<Server>,
        answer: &Answer,
    ) -> Result<Heard, RejectionReason> {
        let Ok(packet) = Packet::decode(&answer.octets) else {
            let reason = "answer of the RADIUS server is malformed";
            return Err(RejectionReason::Protocol(reason));
        };
        match packet.code {
            Code::ACCESS_ACCEPT => {
                let secret = self.settings.secret.expose();
                grant(&packet, &answer.request, secret).map(Heard::Accept)
            }
            Code::ACCESS_CHALLENGE => {
                let request = packet.eap();
                if !eap::is_request(&request) {
                    // RFC 3579 §2.6.1: nothing to ask is a rejection.
                    let reason = "Access-Challenge without an EAP request";
                    return Err(RejectionReason::Protocol(reason));
                }
                let state = packet.first(Kind::STATE).map(|it| it.value.to_vec());
                let server = Some((server, state));
                Ok(Heard::Challenge(request, Progress { user, server }))
            }
            _ => Err(RejectionReason::Radius {
                server: server.address,
                message: reply_message(&packet),
            }),
        }
    }

    fn access_request(
        &self,
        caller: &Caller,
        user: &[u8],
        state: Option<&[u8]>,
        response: &[u8],
    ) -> Result<Draft, TooLong> {
        let mut draft = Draft::signed(Code::ACCESS_REQUEST);
        draft.push(Kind::USER_NAME, user)?;
        self.describe(&mut draft, caller)?;
        draft.push_number(Kind::FRAMED_MTU, FRAMED_MTU)?;
        if let Some(state) = state {
            draft.push(Kind::STATE, state)?;
        }
        draft.push_parts(Kind::EAP_MESSAGE, response)?;
        Ok(draft)
    }
}
