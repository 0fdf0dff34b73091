mod accounting;
mod admission;
mod answers;
mod conversations;
