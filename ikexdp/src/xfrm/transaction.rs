//! A batch of operations, all of which are done, or none that lasts.

use std::mem;

use ikexdp_proto::data_plane::{DataPlaneError, EspSa, Operation, Policies};

use super::error::{failed, is_gone, no_policy, not_installed, unreachable};
use super::message::Message;
use super::policy::{Change, Key, Owner, Owners};
use super::sa;
use crate::netlink::{Channel, Refusal};

/// What is being changed, and how to change it back.
pub(super) struct Transaction<'a> {
    pub(super) channel: &'a mut Channel<Message>,
    pub(super) owners: &'a mut Owners,
    /// The last comes first.
    undo: Vec<Message>,
    /// Who wanted which policies before.
    owned: Vec<(Key, Vec<Owner>)>,
}

/// A message that makes something.
pub(super) struct Step<'a> {
    pub(super) message: Message,
    pub(super) undo: Message,
    pub(super) subject: Subject<'a>,
}

/// What a step makes.
pub(super) enum Subject<'a> {
    Sa(&'a EspSa),
    MovedSa,
    Policy,
}

/// What operations can be done with one system call.
#[derive(PartialEq, Eq)]
enum Kind {
    Install,
    Move,
    Remove,
}

const fn kind(operation: &Operation) -> Kind {
    match operation {
        Operation::InstallSa(_) | Operation::InstallPolicies(_) => Kind::Install,
        Operation::Move { .. } => Kind::Move,
        Operation::RemoveSa(_) | Operation::RemovePolicies(_) => Kind::Remove,
    }
}

impl<'a> Transaction<'a> {
    pub(super) const fn new(channel: &'a mut Channel<Message>, owners: &'a mut Owners) -> Self {
        Self {
            channel,
            owners,
            undo: Vec::new(),
            owned: Vec::new(),
        }
    }

    /// Does `batch` in order, and takes back what it has made if it cannot make
    /// all.
    ///
    /// # Errors
    /// [`DataPlaneError`] if something could not be made, or not be removed.
    pub(super) fn run(mut self, batch: &[Operation]) -> Result<(), DataPlaneError> {
        let mut left_over = Ok(());
        for operations in batch.chunk_by(|one, next| kind(one) == kind(next)) {
            let made = match operations.first().map(kind) {
                Some(Kind::Install) => self.install(operations),
                Some(Kind::Move) => operations.iter().try_for_each(|one| self.relocate(one)),
                Some(Kind::Remove) | None => {
                    left_over = left_over.and(self.remove(operations));
                    Ok(())
                }
            };
            if let Err(error) = made {
                self.roll_back();
                return Err(error);
            }
        }
        left_over
    }

    fn install(&mut self, operations: &[Operation]) -> Result<(), DataPlaneError> {
        let mut steps = Vec::with_capacity(operations.len());
        for operation in operations {
            match operation {
                Operation::InstallSa(sa) => steps.push(Step {
                    message: sa::install(sa),
                    undo: sa::remove(&sa.name()),
                    subject: Subject::Sa(sa),
                }),
                Operation::InstallPolicies(policies) => {
                    let owner = Owner::new(policies.lineage, &policies.tunnel);
                    for key in Key::all(policies)? {
                        self.remember(key);
                        let (change, undo) = self.owners.add(key, owner);
                        steps.extend(key.messages(change, undo).map(Step::policy));
                    }
                }
                _ => {}
            }
        }
        self.take(steps)
    }

    /// Notes who wants the policies of `key`, to be restored if all fails.
    pub(super) fn remember(&mut self, key: Key) {
        self.owned.push((key, self.owners.of(&key)));
    }

    /// Has `message` sent if all fails.
    pub(super) fn undo(&mut self, message: Message) {
        self.undo.push(message);
    }

    /// Takes all steps, whatever becomes of those before.
    ///
    /// # Errors
    /// That of the first that failed.
    pub(super) fn take(&mut self, steps: Vec<Step<'_>>) -> Result<(), DataPlaneError> {
        let mut undo = Vec::with_capacity(steps.len());
        let mut subjects = Vec::with_capacity(steps.len());
        let messages = steps.into_iter().map(|step| {
            undo.push(step.undo);
            subjects.push(step.subject);
            step.message
        });
        let replies = match self.channel.exchange(messages) {
            Ok(replies) => replies,
            Err(error) => {
                // Nobody knows how far it got.
                self.undo.append(&mut undo);
                return Err(unreachable(error));
            }
        };
        let mut result = Ok(());
        for ((reply, undo), subject) in replies.into_iter().zip(undo).zip(subjects) {
            match reply {
                Ok(_) => self.undo.push(undo),
                Err(refusal) => result = result.and_then(|()| Err(subject.error(&refusal))),
            }
        }
        result
    }

    /// Takes back what was made. What cannot be is left to the next start.
    fn roll_back(&mut self) {
        let undo = mem::take(&mut self.undo);
        let _ = self.channel.exchange(undo.into_iter().rev());
        for (key, owners) in self.owned.drain(..).rev() {
            self.owners.restore(key, owners);
        }
    }

    fn remove(&mut self, operations: &[Operation]) -> Result<(), DataPlaneError> {
        let mut messages = Vec::with_capacity(operations.len());
        for operation in operations {
            match operation {
                Operation::RemoveSa(name) => messages.push(sa::remove(name)),
                Operation::RemovePolicies(policies) => self.disown(policies, &mut messages)?,
                _ => {}
            }
        }
        let replies = self.channel.exchange(messages).map_err(unreachable)?;
        let refused = replies.into_iter().filter_map(Result::err);
        let mut refused = refused.filter(|refusal| !is_gone(refusal));
        refused
            .next()
            .map_or(Ok(()), |refusal| Err(failed("not removed", refusal)))
    }

    fn disown(
        &mut self,
        policies: &Policies,
        messages: &mut Vec<Message>,
    ) -> Result<(), DataPlaneError> {
        for key in Key::all(policies)? {
            if let Some(change) = self.owners.remove(&key, policies.lineage) {
                let changes = key.messages(change, Change::Remove);
                messages.extend(changes.map(|(message, _)| message));
            }
        }
        Ok(())
    }
}

impl Step<'_> {
    pub(super) fn policy((message, undo): (Message, Message)) -> Self {
        Self {
            message,
            undo,
            subject: Subject::Policy,
        }
    }
}

impl Subject<'_> {
    fn error(&self, refusal: &Refusal) -> DataPlaneError {
        match self {
            Self::Sa(sa) => not_installed(sa, refusal),
            Self::MovedSa => failed("SA not moved", refusal),
            Self::Policy => no_policy(refusal),
        }
    }
}
