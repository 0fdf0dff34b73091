//! `cargo xtask bench instructions`: how many instructions single operations take, compared with a
//! table that is part of the project.
//!
//! Valgrind's callgrind counts them. It plays a CPU of its own: of what code is chosen by, only SSE3,
//! SSE4.2, AVX and AVX2 follow the CPU below it, which have been in all of them for years. What that CPU
//! can do, and the compilers, are in the table, so that counts of others are not compared. What random numbers do, as those
//! of keys, is less than 1 %.

mod table;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

use self::table::Table;
use crate::{
    artifact::Artifact,
    command::{Behind, cargo, output, root, words},
    setup,
};

/// The counts that are expected.
const TABLE: &str = "tests/micro/instructions.txt";

/// Where the program that is counted is, and what it is called.
const BUILD: &str = "build --release --package ikexdp-micro --bin instructions";

/// The functions of that program in which instructions are counted, and after which the count is
/// written down; valgrind would take one function for one of the two only.
const COUNTED: &str = "instructions::count_instructions";
const REPORTED: &str = "instructions::report_instructions";

/// Counts, and compares with the table, or writes it anew if the counts are `accepted`.
///
/// # Errors
/// The set-up or the build fails, an operation takes more instructions than the table allows, or the
/// two do not have the same operations. Counts of another CPU or by other tools are not compared.
pub(crate) fn check(accepted: bool) -> Result<()> {
    setup::for_counting()?;
    let counted = count(&build()?)?;
    let file = root().join(TABLE);
    if accepted {
        fs::write(&file, counted.to_string()).context(TABLE)?;
        eprintln!("written: {TABLE}");
        return Ok(());
    }
    let expected = fs::read_to_string(&file).context(TABLE)?;
    let expected = Table::parse(&expected).context(TABLE)?;
    if let Some(difference) = expected.difference(&counted) {
        // Other code was counted: nothing can be said of this change.
        println!("not compared with {TABLE}: {difference}");
        return Ok(());
    }
    let comparison = expected.compare(&counted);
    print!("{comparison}");
    if comparison.is_ok() {
        return Ok(());
    }
    bail!(
        "instructions are not those of {TABLE}; hint: if that is as it must be, `cargo xtask bench instructions \
         --accept` writes the table anew, to be committed with the reason"
    )
}

/// Begins to build what is counted, behind everything else.
///
/// # Errors
/// The build cannot be started.
pub(crate) fn begin_build() -> Result<Behind> {
    Behind::start(cargo().args(words(BUILD)).arg("--quiet"))
}

/// Builds what is counted; where it is.
fn build() -> Result<PathBuf> {
    let artifacts = Artifact::build(cargo().args(words(BUILD)))?;
    Ok(Artifact::program(&artifacts, "instructions")?.to_owned())
}

/// Runs it.
fn count(program: &Path) -> Result<Table> {
    let directory = root().join("target/instructions");
    // Reports of an earlier run would be taken for those of this one.
    if directory.exists() {
        fs::remove_dir_all(&directory).context("target/instructions")?;
    }
    fs::create_dir_all(&directory).context("target/instructions")?;
    let reports = directory.join("report");
    let run = Command::new("valgrind")
        .args(words("--quiet --tool=callgrind --collect-atstart=no"))
        .arg(format!("--toggle-collect={COUNTED}"))
        .arg(format!("--dump-after={REPORTED}"))
        .arg(format!("--callgrind-out-file={}", reports.display()))
        .arg(program)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("valgrind")?;
    if !run.status.success() {
        bail!("valgrind: {}", run.status);
    }
    let mut table = Table {
        tools: tools()?,
        ..Table::default()
    };
    let said = String::from_utf8_lossy(&run.stdout);
    let mut number = 0_u32;
    for line in said.lines() {
        match line.split_once(' ') {
            Some(("cpu", features)) => features.clone_into(&mut table.cpu),
            Some(("case", name)) => {
                number = number.saturating_add(1);
                let report = reports.with_extension(number.to_string());
                let counted = summary(&report)?;
                let sum = table.counts.entry(name.to_owned()).or_default();
                *sum = sum.saturating_add(counted);
            }
            _ => bail!("the program says what is neither its CPU nor an operation: {line}"),
        }
    }
    Ok(table)
}

/// What made the program, and what counts.
fn tools() -> Result<String> {
    let said = ["rustc", "cc", "valgrind"].map(|program| {
        let said = output(Command::new(program).arg("--version"));
        let said = said.with_context(|| format!("{program} --version"))?;
        anyhow::Ok(said.lines().next().unwrap_or_default().to_owned())
    });
    let said: Vec<_> = said.into_iter().collect::<Result<_>>()?;
    Ok(said.join(", "))
}

/// The sum of a report of callgrind's.
fn summary(report: &Path) -> Result<u64> {
    let text = fs::read_to_string(report).with_context(|| report.display().to_string())?;
    let mut lines = text.lines();
    let sum = lines.find_map(|line| line.strip_prefix("summary: "));
    let sum = sum.and_then(|sum| sum.trim().parse().ok());
    // Zero would mean that its functions are not found by their names.
    sum.filter(|sum| *sum > 0)
        .with_context(|| format!("valgrind has counted nothing: {}", report.display()))
}
