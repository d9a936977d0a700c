//! Counts the instructions of the hot paths with valgrind, and compares them with the recorded counts.
//!
//! A time depends on the machine and its load; a count only on the code and the compiler. Each path runs in
//! two processes, a few times in one and many times in the other, and the difference is what it takes: so
//! starting the process and the pool does not count.

mod counts;
mod paths;

use std::env;
use std::process::{Command, ExitCode};

use crate::counts::{Counts, compiler};
use crate::paths::{PATHS, Path};

const USAGE: &str = "\
Counts the instructions of the hot paths with valgrind, and fails if one takes more than it did.

Usage: cargo run --release -p benches --bin instructions -- [OPTIONS]

  --bless  write the counts to benches/instructions.txt instead
  --list   print the paths
  --help   print this
";

const FEW: u64 = 1_000;
const MANY: u64 = 3_000;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments[..] {
        [] => check(),
        ["--bless"] => count_all().and_then(|counts| counts.write()),
        ["--list"] => {
            PATHS.iter().for_each(|path| println!("{}", path.name));
            Ok(())
        }
        ["--help" | "-h"] => {
            print!("{USAGE}");
            Ok(())
        }
        // Only from the parent process.
        ["--path", name, times] => run(name, times),
        _ => Err(format!(
            "unknown options {}; see --help",
            arguments.join(" ")
        )),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("instructions: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Counts, and compares with the recorded counts.
fn check() -> Result<(), String> {
    let expected = Counts::read()?;
    let counts = count_all()?;
    let tolerance = expected.tolerance();
    if expected.compiler() != counts.compiler() {
        println!(
            "counted before with {}, now with {}: up to {tolerance} % more is tolerated",
            expected.compiler(),
            counts.compiler()
        );
    }
    let mut worse = Vec::new();
    println!("{:24}{:>12}{:>12}{:>9}", "", "now", "before", "ratio");
    for (name, now) in counts.iter() {
        let Some(before) = expected.get(name) else {
            return Err(format!(
                "{name} was never counted; run with --bless and commit"
            ));
        };
        println!("{name:24}{now:>12.1}{before:>12.1}{:>9.3}", now / before);
        if now > before * (1.0 + tolerance / 100.0) {
            worse.push(name);
        }
    }
    match worse[..] {
        [] => Ok(()),
        _ => Err(format!(
            "{} takes over {tolerance} % more instructions than before; if that is worth it, run with --bless, \
             and say why in the commit",
            worse.join(", ")
        )),
    }
}

fn count_all() -> Result<Counts, String> {
    let mut counts = Counts::new(compiler()?);
    for path in PATHS {
        counts.insert(path.name, count(path)?);
    }
    Ok(counts)
}

/// Instructions of one turn of a path.
fn count(path: &Path) -> Result<f64, String> {
    let few = valgrind(path, FEW)?;
    let many = valgrind(path, MANY)?;
    Ok((many as f64 - few as f64) / (MANY - FEW) as f64)
}

/// All instructions of a process that runs a path this many times.
fn valgrind(path: &Path, times: u64) -> Result<u64, String> {
    let program = env::current_exe().map_err(|error| format!("no program to run: {error}"))?;
    let output = Command::new("valgrind")
        .args([
            "--tool=cachegrind",
            "--cache-sim=no",
            "--cachegrind-out-file=/dev/null",
        ])
        // Threads take turns in order: otherwise one that yields might go on running.
        .arg("--fair-sched=yes")
        .arg(program)
        .args(["--path", path.name, &times.to_string()])
        .output()
        .map_err(|error| {
            format!(
                "cannot run valgrind, which counts: {error}; install it (apt-get install valgrind), or have \
                 `bash .ci/run instructions` do that"
            )
        })?;
    let errors = String::from_utf8_lossy(&output.stderr);
    let refs = errors.lines().find_map(|line| line.split_once("refs:"));
    match refs.and_then(|(_, count)| count.trim().replace(',', "").parse().ok()) {
        Some(count) if output.status.success() => Ok(count),
        _ => Err(format!(
            "{} under valgrind: {}: {errors}",
            path.name, output.status
        )),
    }
}

/// What a child does.
fn run(name: &str, times: &str) -> Result<(), String> {
    let path = PATHS.iter().find(|path| path.name == name);
    let path = path.ok_or_else(|| format!("no path {name}; see --list"))?;
    let times = times.parse().map_err(|error| format!("{times}: {error}"))?;
    (path.run)(times);
    Ok(())
}
