//! Whole captures: what is said of each.

mod hostile;
mod script;
mod two;
mod verdicts;
