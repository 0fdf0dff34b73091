//! A batch of operations, all of which are done, or none that lasts.

use std::mem;

use ikexdp_proto::data_plane::{DataPlaneError, EspSa, Operation, Volume};

use super::error::{failed, no_policy, not_installed, unreachable};
use super::message::Message;
use super::policy::{Key, Next, Owner, Owners};
use super::removal::{Removal, remove};
use super::sa;
use crate::netlink::{Channel, Refusal};

/// What is being changed, and how to change it back.
pub(super) struct Transaction<'a> {
    pub(super) channel: &'a mut Channel<Message>,
    pub(super) owners: &'a mut Owners,
    /// The last comes first.
    undo: Vec<Undo>,
    /// Who wanted which policies before.
    owned: Vec<(Key, Vec<Owner>)>,
}

/// A message that makes something.
pub(super) struct Step<'a> {
    pub(super) message: Message,
    pub(super) undo: Undo,
    pub(super) subject: Subject<'a>,
}

/// What takes a step back, and does no harm where the step was not taken.
pub(super) enum Undo {
    Tell(Message),
    Remove(Removal),
}

/// What a step makes.
pub(super) enum Subject<'a> {
    Sa(&'a EspSa),
    MovedSa,
    Policy,
}

/// What operations can be done together.
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
    /// all. Tells what had gone through the SAs that it has removed.
    ///
    /// # Errors
    /// [`DataPlaneError`] if something could not be made, or not be removed.
    pub(super) fn run(mut self, batch: &[Operation]) -> Result<Volume, DataPlaneError> {
        let mut left_over = Ok(Volume::default());
        for operations in batch.chunk_by(|one, next| kind(one) == kind(next)) {
            let made = match operations.first().map(kind) {
                Some(Kind::Install) => self.install(operations),
                Some(Kind::Move) => operations.iter().try_for_each(|one| self.relocate(one)),
                Some(Kind::Remove) | None => {
                    let removed = self.remove(operations);
                    left_over = left_over.and_then(|before| Ok(before.plus(removed?)));
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
                    undo: Undo::Remove(Removal::Sa(sa.name())),
                    subject: Subject::Sa(sa),
                }),
                Operation::InstallPolicies(policies) => {
                    let owner = Owner::new(policies.lineage, &policies.tunnel);
                    for key in Key::all(policies)? {
                        self.remember(key);
                        let before = self.owners.add(key, owner);
                        steps.extend(key.install(owner, before).map(Step::policy));
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

    /// Has `undo` done if all fails.
    pub(super) fn undo(&mut self, undo: Undo) {
        self.undo.push(undo);
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
        let mut replies = Vec::with_capacity(messages.len());
        let reached = self.channel.exchange_into(messages, &mut replies);
        let mut replies = replies.into_iter();
        let mut result = Ok(());
        for (undo, subject) in undo.into_iter().zip(subjects) {
            match replies.next() {
                // Without a reply nobody knows whether it was done.
                Some(Ok(_)) | None => self.undo.push(undo),
                Some(Err(refusal)) => result = result.and_then(|()| Err(subject.error(&refusal))),
            }
        }
        result.and(reached.map_err(unreachable))
    }

    /// Takes back what was made, in order. What cannot be is left to the next start.
    fn roll_back(&mut self) {
        let mut undo = mem::take(&mut self.undo).into_iter().rev().peekable();
        while undo.peek().is_some() {
            let mut messages = Vec::new();
            while let Some(Undo::Tell(it)) = undo.next_if(|it| matches!(it, Undo::Tell(_))) {
                messages.push(it);
            }
            let mut removals = Vec::new();
            while let Some(Undo::Remove(it)) = undo.next_if(|it| matches!(it, Undo::Remove(_))) {
                removals.push(it);
            }
            let _ = self.channel.exchange(messages);
            let _ = remove(self.channel, &removals);
        }
        for (key, owners) in self.owned.drain(..).rev() {
            self.owners.restore(key, owners);
        }
    }

    fn remove(&mut self, operations: &[Operation]) -> Result<Volume, DataPlaneError> {
        let mut inherited = Vec::new();
        let mut removals = Vec::with_capacity(operations.len());
        for operation in operations {
            match operation {
                Operation::RemoveSa(name) => removals.push(Removal::Sa(*name)),
                Operation::RemovePolicies(policies) => {
                    let lineage = policies.lineage;
                    for key in Key::all(policies)? {
                        match self.owners.remove(&key, lineage) {
                            Some(Next::Owner(next)) => inherited.extend(key.replace(next)),
                            Some(Next::Nobody) => removals.extend(key.remove()),
                            None => {}
                        }
                    }
                }
                _ => {}
            }
        }
        let replies = self.channel.exchange(inherited).map_err(unreachable);
        let inherited = replies.and_then(|replies| {
            let refused = replies.into_iter().find_map(Result::err);
            refused.map_or(Ok(()), |refusal| Err(no_policy(&refusal)))
        });
        // Whatever became of the policies that stay.
        inherited.and(remove(self.channel, &removals))
    }
}

impl Step<'_> {
    pub(super) fn policy((message, undo): (Message, Undo)) -> Self {
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
