//! Each row of a group runs in a fresh process in each round, so that no pool meets another's threads or heap;
//! the rows take turns, so that all see the same machine.
//!
//! The processes are the calling program, started again with [`CHILD`] and what to measure.

use std::env;
use std::io::{self, IsTerminal, Write};
use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::pools::script;
use crate::round::Round;
use crate::{Group, Pin, Row, Run, Summary, cpu_time, groups};

/// The option that marks a program's own children: the three arguments after it go to [`measure_child`].
pub const CHILD: &str = "--child";

/// A child that takes longer is considered stuck.
const TIME_LIMIT: Duration = Duration::from_secs(60);
/// Runs in each child before the measured ones.
const WARM_UP_RUNS: u32 = 2;

/// The exit code of a child whose peer is missing.
const IS_ABSENT: i32 = 3;

/// Why a row has no time.
#[derive(Clone, Debug)]
pub enum Trouble {
    /// It is not a crate, and is missing on this machine.
    Absent(String),
    /// It should have worked.
    Failed(String),
}

impl From<String> for Trouble {
    fn from(message: String) -> Self {
        Self::Failed(message)
    }
}

/// How to compare.
#[derive(Clone, Copy, Debug)]
pub struct Contest {
    /// Where threads may run.
    pub pin: Pin,
    /// How many processes measure each row.
    pub rounds: usize,
}

impl Contest {
    /// Runs these rows of a group; a row that failed has its trouble in place of figures.
    #[must_use]
    pub fn run(&self, group: &Group, rows: &[&Row]) -> Vec<Result<Summary, Trouble>> {
        let mut results: Vec<_> = rows.iter().map(|_| Ok(Vec::new())).collect();
        for round in 0..self.rounds {
            progress(&format!(
                "{}: round {} of {}",
                group.name,
                round + 1,
                self.rounds
            ));
            // Each round starts with another row.
            for turn in 0..rows.len() {
                let index = (turn + round) % rows.len();
                self.run_child(group, rows[index], &mut results[index]);
            }
        }
        progress("");
        let summary = |rounds: Result<Vec<Round>, _>| rounds.map(|rounds| Summary::of(&rounds));
        results.into_iter().map(summary).collect()
    }

    /// Adds one round of one row; if that fails, the trouble replaces all its rounds.
    fn run_child(&self, group: &Group, row: &Row, result: &mut Result<Vec<Round>, Trouble>) {
        if let Ok(rounds) = result {
            match self.spawn_child(group, row) {
                Ok(round) => rounds.push(round),
                Err(trouble) => *result = Err(trouble),
            }
        }
    }

    fn spawn_child(&self, group: &Group, row: &Row) -> Result<Round, Trouble> {
        let mut command = match row.script {
            Some(pool) => script(group.name, pool),
            None => {
                let program = env::current_exe();
                let program = program.map_err(|error| format!("no program to run: {error}"))?;
                let mut command = Command::new(program);
                command.args([CHILD, group.name, row.name]);
                command
            }
        };
        let output = command
            .arg(self.pin.name())
            // The size of `blocking`'s pool, which has no other setting.
            .env("BLOCKING_MAX_THREADS", "2")
            .output();
        let output = match output {
            Err(error) if row.script.is_some() => {
                return Err(Trouble::Absent(format!(
                    "Python cannot be started: {error}"
                )));
            }
            output => output.map_err(|error| format!("cannot start a child: {error}"))?,
        };
        let printed = String::from_utf8_lossy(&output.stdout);
        if output.status.success() {
            return Ok(Round::decode(&printed)?);
        }
        if output.status.code() == Some(IS_ABSENT) {
            return Err(Trouble::Absent(printed.into_owned()));
        }
        let errors = String::from_utf8_lossy(&output.stderr);
        let reason = errors.lines().next().unwrap_or("no message");
        Err(Trouble::Failed(format!("{}: {reason}", output.status)))
    }
}

/// What a child does: warm up, measure, and print one round. If the peer is missing, it tells its parent and
/// exits.
///
/// # Errors
///
/// If there is no such row, or its threads cannot be pinned.
pub fn measure_child(group: &str, row: &str, pin: Pin) -> Result<(), String> {
    thread::spawn(|| {
        thread::sleep(TIME_LIMIT);
        eprintln!("stuck for {TIME_LIMIT:?}");
        std::process::exit(1);
    });
    let groups = groups();
    let known = groups.iter().filter(|known| known.name == group);
    let mut rows = known.flat_map(|group| group.rows.iter().map(move |row| (group, row)));
    let found = rows.find(|(_, known)| known.name == row);
    let (group, row) = found.ok_or_else(|| format!("no row {row} in a group {group}"))?;

    let mut run = match row.start() {
        Ok(run) => run,
        Err(reason) => {
            print!("{reason}");
            std::process::exit(IS_ABSENT);
        }
    };
    for _ in 0..WARM_UP_RUNS {
        run();
    }
    // All threads exist now. Pinned earlier, pools would see a machine with fewer CPUs.
    pin.apply()?;
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

/// Shows the progress, if standard error is a terminal.
fn progress(text: &str) {
    let mut stderr = io::stderr();
    if stderr.is_terminal() {
        let _ = write!(stderr, "\r\x1b[K{text}");
        let _ = stderr.flush();
    }
}
