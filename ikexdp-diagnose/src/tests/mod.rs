//! Whole captures: what is said of each.

mod crafted;
mod formats;
mod hostile;
mod review;
mod script;
mod two;
mod verdicts;
