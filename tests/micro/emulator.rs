//! Clients as data.

#[path = "../harness/emulator/profile.rs"]
pub mod profile;
#[path = "../harness/emulator/windows.rs"]
pub mod windows;
