//! Compares the pools: each row of a group, in each round, runs in a process of its own, so that no
//! pool meets another's threads or heap; and the rows take turns, so that all see the same machine.

mod options;
mod python;
mod table;

use std::env;
use std::io::{self, IsTerminal, Write};
use std::process::{Command, ExitCode};
use std::thread;
use std::time::Duration;

use benches::{Group, Run, cpu_time, groups};

use crate::options::{Child, Contender, Mode, Options, USAGE};
use crate::table::Round;

/// A child that takes longer is stuck.
const TIME_LIMIT: Duration = Duration::from_secs(60);
/// Runs in each child before the measured ones.
const WARM_UP_RUNS: u32 = 2;

fn main() -> ExitCode {
    benches::init();
    let done = Mode::parse(env::args().skip(1)).and_then(|mode| match mode {
        Mode::Help => {
            print!("{USAGE}");
            Ok(())
        }
        Mode::List => {
            list();
            Ok(())
        }
        Mode::Compare(options) => compare(options),
        Mode::Child(child) => measure(&child),
    });
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
        for name in group.python {
            println!("    Python: {name}");
        }
    }
}

fn compare(options: Options) -> Result<(), String> {
    let mut options = options;
    if options.python
        && let Err(reason) = python::find()
    {
        eprintln!("compare: without Python's pools: {reason}");
        options.python = false;
    }
    let options = &options;
    let groups = options.groups()?;
    let mut failures = 0;
    for group in groups {
        let rows: Vec<Contender<'_>> = options.rows(&group).collect();
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
        failures += results.iter().filter(|result| result.is_err()).count();
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
    row: Contender<'_>,
    options: &Options,
    result: &mut Result<Vec<Round>, String>,
) {
    if let Ok(rounds) = result {
        match spawn_child(group, row, options) {
            Ok(round) => rounds.push(round),
            Err(message) => *result = Err(message),
        }
    }
}

fn spawn_child(group: &Group, row: Contender<'_>, options: &Options) -> Result<Round, String> {
    let mut command = match row {
        Contender::Here(row) => {
            let program = env::current_exe();
            let program = program.map_err(|error| format!("no program to run: {error}"))?;
            let mut command = Command::new(program);
            command.args(["--child", group.name, row.name]);
            command
        }
        Contender::Python(name) => python::command(group.name, name),
    };
    let output = command
        .arg(options.pin.name())
        // The one pool that takes its size from there.
        .env("BLOCKING_MAX_THREADS", "2")
        .output()
        .map_err(|error| format!("cannot start a child: {error}"))?;
    if output.status.success() {
        return Round::decode(&String::from_utf8_lossy(&output.stdout));
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    let reason = errors.lines().next().unwrap_or("without a word");
    Err(format!("{}: {reason}", output.status))
}

/// What a child does: warm up, measure, and print one round.
fn measure(child: &Child) -> Result<(), String> {
    thread::spawn(|| {
        thread::sleep(TIME_LIMIT);
        eprintln!("stuck for {TIME_LIMIT:?}");
        std::process::exit(1);
    });
    let (group, index) = child.find()?;
    let mut run = group.rows[index].start();
    for _ in 0..WARM_UP_RUNS {
        run();
    }
    // Now all threads are there. Pinned earlier, pools would see a machine with fewer CPUs.
    child.pin.apply()?;
    run();
    let before = cpu_time();
    let runs: Vec<Run> = (0..group.runs).map(|_| run()).collect();
    let cpu = cpu_time().zip(before).map(|(now, before)| now - before);
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
