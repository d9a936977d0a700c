//! Compares the pools: each row of a group, in each round, runs in a process of its own, so that no
//! pool meets another's threads or heap; and the rows take turns, so that all see the same machine.

mod options;
mod table;

use std::env;
use std::io::{self, IsTerminal, Write};
use std::process::{Command, ExitCode};
use std::thread;
use std::time::Duration;

use benches::{Group, Row, Run, cpu_time, groups};

use crate::options::{Child, Mode, Options, USAGE};
use crate::table::{Round, Trouble};

/// A child that takes longer is stuck.
const TIME_LIMIT: Duration = Duration::from_secs(60);
/// The exit code of a child whose peer is not there.
const IS_ABSENT: u8 = 3;
/// Runs in each child before the measured ones.
const WARM_UP_RUNS: u32 = 2;

fn main() -> ExitCode {
    let done = match Mode::parse(env::args().skip(1)) {
        Ok(Mode::Help) => {
            print!("{USAGE}");
            Ok(())
        }
        Ok(Mode::List) => {
            list();
            Ok(())
        }
        Ok(Mode::Compare(options)) => compare(&options),
        Ok(Mode::Child(child)) => match measure(&child) {
            Err(Trouble::Absent(reason)) => {
                print!("{reason}");
                return ExitCode::from(IS_ABSENT);
            }
            Err(Trouble::Failed(reason)) => Err(reason),
            Ok(()) => Ok(()),
        },
        Err(message) => Err(message),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("compare: {message}");
            ExitCode::FAILURE
        }
    }
}

fn list() {
    for group in groups() {
        println!("{}", group.name);
        for row in group.rows {
            println!("    {}", row.name);
        }
    }
}

fn compare(options: &Options) -> Result<(), String> {
    let groups = options.groups()?;
    let mut failures = 0;
    for group in groups {
        let rows: Vec<&Row> = options.rows(&group).collect();
        let mut results: Vec<_> = rows.iter().map(|_| Ok(Vec::new())).collect();
        for round in 0..options.rounds {
            progress(&format!(
                "{}: round {} of {}",
                group.name,
                round + 1,
                options.rounds
            ));
            // Another one is the first each time.
            for turn in 0..rows.len() {
                let index = (turn + round) % rows.len();
                run_child(&group, rows[index], options, &mut results[index]);
            }
        }
        progress("");
        let has_failed = |result: &&Result<_, _>| matches!(result, Err(Trouble::Failed(_)));
        failures += results.iter().filter(has_failed).count();
        table::print(&group, &rows, &results, options);
    }
    match failures {
        0 => Ok(()),
        _ => Err(format!("{failures} rows failed")),
    }
}

/// Adds one round of one row, or puts what went wrong in place of all its rounds.
fn run_child(
    group: &Group,
    row: &Row,
    options: &Options,
    result: &mut Result<Vec<Round>, Trouble>,
) {
    if let Ok(rounds) = result {
        match spawn_child(group, row, options) {
            Ok(round) => rounds.push(round),
            Err(trouble) => *result = Err(trouble),
        }
    }
}

fn spawn_child(group: &Group, row: &Row, options: &Options) -> Result<Round, Trouble> {
    let program = env::current_exe().map_err(|error| format!("no program to run: {error}"))?;
    let output = Command::new(program)
        .args(["--child", group.name, row.name, options.pin.name()])
        // The one pool that takes its size from there.
        .env("BLOCKING_MAX_THREADS", "2")
        .output()
        .map_err(|error| format!("cannot start a child: {error}"))?;
    let printed = String::from_utf8_lossy(&output.stdout);
    if output.status.success() {
        return Ok(Round::decode(&printed)?);
    }
    if output.status.code() == Some(IS_ABSENT.into()) {
        return Err(Trouble::Absent(printed.into_owned()));
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    let reason = errors.lines().next().unwrap_or("without a word");
    Err(Trouble::Failed(format!("{}: {reason}", output.status)))
}

/// What a child does: warm up, measure, and print one round.
fn measure(child: &Child) -> Result<(), Trouble> {
    thread::spawn(|| {
        thread::sleep(TIME_LIMIT);
        eprintln!("stuck for {TIME_LIMIT:?}");
        std::process::exit(1);
    });
    let (group, index) = child.find()?;
    let mut run = group.rows[index].start().map_err(Trouble::Absent)?;
    for _ in 0..WARM_UP_RUNS {
        run();
    }
    // Now all threads are there. Pinned earlier, pools would see a machine with fewer CPUs.
    child.pin.apply()?;
    run();
    let before = cpu_time();
    let runs: Vec<Run> = (0..group.runs).map(|_| run()).collect();
    let elsewhere: Duration = runs.iter().map(|run| run.cpu_elsewhere).sum();
    let cpu = cpu_time().zip(before);
    let cpu = cpu.map(|(now, before)| now - before + elsewhere);
    let tasks = group.tasks * u64::from(group.runs);
    print!("{}", Round::of(&runs, cpu, tasks).encode());
    Ok(())
}

/// Shows how far it is, if somebody watches.
fn progress(text: &str) {
    let mut stderr = io::stderr();
    if stderr.is_terminal() {
        let _ = write!(stderr, "\r\x1b[K{text}");
        let _ = stderr.flush();
    }
}
