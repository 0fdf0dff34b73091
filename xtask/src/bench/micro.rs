//! `cargo xtask bench micro`: what single operations take of a CPU, each primitive beside OpenSSL's in the
//! same run.

mod openssl;

use std::{
    collections::BTreeMap,
    fs,
    io::stderr,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use self::openssl::Rival;
use crate::{
    command::{cargo, root, run, words},
    setup,
};

/// Times all operations whose names contain `filter`, and prints tables.
///
/// # Errors
/// The set-up or the build fails, no operation is called like that, or OpenSSL says what is not
/// understood.
pub(crate) fn measure(filter: Option<&str>) -> Result<()> {
    setup::for_timing()?;
    let ours = time(filter)?;
    let rivals: Vec<_> = ours.keys().filter_map(|name| Rival::of(name)).collect();
    let theirs = openssl::measure(&rivals)?;
    println!("{}, OpenSSL {}\n", processor()?, openssl::version()?);
    println!("| operation | µs |\n|---|--:|");
    for (name, micros) in ours.iter().filter(|(name, _)| Rival::of(name).is_none()) {
        println!("| `{name}` | {} |", digits(*micros));
    }
    println!("\n| primitive | µs | OpenSSL's | µs | ratio |\n|---|--:|---|--:|--:|");
    for (name, micros) in &ours {
        let Some(rival) = Rival::of(name) else {
            continue;
        };
        let beside = rival.seconds(&theirs)? * 1e6;
        println!(
            "| `{name}` | {} | {rival} | {} | {:.2} |",
            digits(*micros),
            digits(beside),
            micros / beside
        );
    }
    Ok(())
}

/// Three digits at least, all before the point.
fn digits(value: f64) -> String {
    match value {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        1.0.. => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// Runs Criterion; medians in microseconds, by operation.
fn time(filter: Option<&str>) -> Result<BTreeMap<String, f64>> {
    let home = root().join("target/micro");
    // Nor are earlier runs compared with: that is for counts of instructions.
    if home.exists() {
        fs::remove_dir_all(&home).context("target/micro")?;
    }
    let mut bench = cargo();
    bench
        .args(words(
            "bench --package ikexdp-micro --bench timing -- --quiet",
        ))
        .args(filter)
        .env("CRITERION_HOME", &home)
        .stdout(stderr());
    run(&mut bench)?;
    if !home.exists() {
        bail!("no operation has a name like that");
    }
    let mut medians = BTreeMap::new();
    for directory in fs::read_dir(&home).context("target/micro")? {
        let results = directory?.path().join("new");
        if !results.is_dir() {
            continue;
        }
        let name = read(results.join("benchmark.json"))?;
        let name = name.pointer("/full_id").and_then(Value::as_str);
        let median = read(results.join("estimates.json"))?;
        let median = median.pointer("/median/point_estimate");
        let median = median.and_then(Value::as_f64);
        let (name, median) = name.zip(median).with_context(|| {
            format!("Criterion writes something else now: {}", results.display())
        })?;
        medians.insert(name.to_owned(), median / 1000.0);
    }
    Ok(medians)
}

fn read(file: PathBuf) -> Result<Value> {
    let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    serde_json::from_str(&text).with_context(|| file.display().to_string())
}

/// What all of it ran on.
fn processor() -> Result<String> {
    let file = Path::new("/proc/cpuinfo");
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let model = text
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    let model = model.map(|model| model.trim_start_matches(['\t', ' ', ':']));
    Ok(model.unwrap_or("an unknown CPU").to_owned())
}
