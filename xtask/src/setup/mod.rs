//! `cargo xtask setup`: finds what a machine lacks and installs it.
//!
//! Where nothing is missing it takes well under a second, so every verb that needs something starts
//! with it.

mod checker;
mod compiler;
mod linker;
mod packages;
mod unpacked;

use anyhow::Result;

use self::packages::Tool;
pub(crate) use self::{
    compiler::Compiler,
    unpacked::{kernel, libreswan, openiked},
};

/// What the tests run: the peer, its plug-ins, the server that knows users, what builds and watches
/// networks, and what reads metrics and logs.
///
/// `libstrongswan-standard-plugins` has the cryptography, `libcharon-extauth-plugins` EAP-MSCHAPv2,
/// `libcharon-extra-plugins` ESP in user space; they come with the daemon where they are not packages
/// of their own.
const LAB: [Tool; 17] = [
    Tool::new("charon-systemd", "charon-systemd"),
    Tool::new("libcharon-extauth-plugins", "charon-systemd"),
    Tool::new("libcharon-extra-plugins", "charon-systemd"),
    Tool::new("libstrongswan-standard-plugins", "charon-systemd"),
    Tool::new("strongswan-swanctl", "swanctl"),
    Tool::new("chromium", "chromium"),
    Tool::new("ethtool", "ethtool"),
    Tool::new("freeradius", "freeradius"),
    Tool::new("freeradius-utils", "radclient"),
    Tool::new("iproute2", "ip"),
    Tool::new("iputils-ping", "ping"),
    Tool::new("nftables", "nft"),
    Tool::new("openssl", "openssl"),
    Tool::new("prometheus", "prometheus"),
    Tool::new("systemd", "journalctl"),
    Tool::new("tcpdump", "tcpdump"),
    Tool::new("tshark", "tshark"),
];
/// What the virtual machine needs besides: the machine, its first process, and what Libreswan and OpenIKED use.
const VM: [Tool; 10] = [
    Tool::new("busybox-static", "busybox"),
    Tool::new("libcurl3-nss", "pluto"),
    Tool::new("libevent-2.1-7", "iked"),
    Tool::new("libevent-core-2.1-7", "pluto"),
    Tool::new("libevent-pthreads-2.1-7", "pluto"),
    Tool::new("libldap-2.5-0", "pluto"),
    Tool::new("libldns3", "pluto"),
    Tool::new("libnss3-tools", "certutil"),
    Tool::new("libunbound8", "pluto"),
    Tool::new("qemu-system-x86", "qemu-system-x86_64"),
];
/// What makes the package and looks at it.
const PACKAGER: [Tool; 5] = [
    Tool::new("binutils", "strip"),
    Tool::new("dpkg-dev", "dpkg-shlibdeps"),
    Tool::new("mandoc", "mandoc"),
    Tool::new("openssl", "openssl"),
    Tool::new("systemd", "systemd-analyze"),
];
/// What libFuzzer is compiled with.
const FUZZER: [Tool; 1] = [Tool::new("g++", "g++")];

/// What counts instructions.
const COUNTER: [Tool; 1] = [Tool::new("valgrind", "valgrind")];
/// What our cryptography is timed beside.
const RIVAL: [Tool; 1] = [Tool::new("openssl", "openssl")];

/// All that any verb needs.
///
/// # Errors
/// Something is missing that cannot be installed here; the message says what to do.
pub(crate) fn everything() -> Result<()> {
    prepare(
        &[
            &LAB[..],
            &VM,
            &PACKAGER,
            &FUZZER,
            &COUNTER,
            compiler::clippy(),
        ]
        .concat(),
    )?;
    kernel()?;
    libreswan()?;
    openiked()?;
    checker::install()?;
    eprintln!("setup: everything is there");
    Ok(())
}

/// What building needs.
///
/// # Errors
/// As in [`everything`].
pub(crate) fn for_build() -> Result<()> {
    prepare(&[])
}

/// What the lab needs.
///
/// # Errors
/// As in [`everything`].
pub(crate) fn for_lab() -> Result<()> {
    prepare(&LAB)
}

/// What testing needs.
///
/// # Errors
/// As in [`everything`].
pub(crate) fn for_tests() -> Result<()> {
    prepare(&[&LAB[..], &VM].concat())
}

/// What packaging needs.
///
/// # Errors
/// As in [`everything`].
pub(crate) fn for_dist() -> Result<()> {
    prepare(&PACKAGER)
}

/// What fuzzing needs.
///
/// # Errors
/// As in [`everything`].
pub(crate) fn for_fuzzing() -> Result<()> {
    prepare(&FUZZER)
}

/// What counting instructions needs; the BPF program is none of what is counted.
///
/// # Errors
/// As in [`everything`].
pub(crate) fn for_counting() -> Result<()> {
    packages::install(&COUNTER)
}

/// What timing needs beside OpenSSL; the BPF program is none of what is timed.
///
/// # Errors
/// As in [`everything`].
pub(crate) fn for_timing() -> Result<()> {
    packages::install(&RIVAL)
}

/// What checking needs.
///
/// # Errors
/// As in [`everything`].
pub(crate) fn for_lint() -> Result<()> {
    prepare(compiler::clippy())?;
    checker::install()
}

/// Installs what is missing of `tools`, and of the compiler and the linker for the BPF target.
fn prepare(tools: &[Tool]) -> Result<()> {
    packages::install(&[tools, compiler::tools(), linker::tools()?].concat())?;
    linker::install()
}
