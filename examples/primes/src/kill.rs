//! What the death of a worker process costs: only the number that it was testing.

use std::time::Instant;
use std::{fmt, io, process, thread};

use process_pool::{FutureResult, ProcessPoolExecutor, WorkerDied, as_completed};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

use crate::numbers::is_prime;
use crate::ways::{Job, WayError};

/// What happened when a worker was killed.
#[derive(Debug)]
pub struct Aftermath {
    /// The process id of the worker that was killed.
    pub killed: u32,
    /// How many numbers had been tested by then.
    pub before: usize,
    /// The numbers lost with it: the one that it was testing, or none if it was between two.
    pub lost: Vec<Lost>,
    /// Each worker that started afterwards, and how many numbers it tested.
    pub newcomers: Vec<(u32, usize)>,
    /// Whether each number is prime, in the order of the job.
    pub answers: Vec<bool>,
}

/// A number whose worker died.
#[derive(Clone, Debug)]
pub struct Lost {
    /// The number.
    pub number: u64,
    /// What is known about the worker's death.
    pub died: WorkerDied,
    /// The answer when it was submitted again.
    pub again: Answer,
}

/// A task's result.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Answer {
    /// Whether it is prime.
    pub is_prime: bool,
    /// The process id of the worker that tested it.
    pub pid: u32,
}

/// Tests all numbers on worker processes, and kills one of them when half of the numbers are done.
///
/// # Errors
/// If no worker can be started or killed, or a number fails for a reason other than a worker's death.
pub fn kill_one(job: &Job) -> Result<Aftermath, WayError> {
    let numbers = &job.numbers;
    let pool = ProcessPoolExecutor::new(job.workers)?;
    let submit = |number| pool.submit(test, number);
    let mut answers = vec![None; numbers.len()];
    let start = Instant::now();
    let mut outcomes = as_completed(numbers.iter().copied().map(submit));

    let before = numbers.len() / 2;
    for (index, outcome) in outcomes.by_ref().take(before) {
        answers[index] = Some(outcome?);
    }
    // Now the workers start with new numbers, each of which takes equally long. After half of that time they are
    // in the middle of them.
    let workers = job.workers.min(numbers.len()) as u32;
    thread::sleep(start.elapsed() * workers / (2 * before.max(1) as u32));
    let known = pool.pids();
    let killed = *known.first().ok_or("the pool has no worker to kill")?;
    kill(killed)?;

    let mut deaths = Vec::new();
    for (index, outcome) in outcomes {
        match outcome {
            Ok(answer) => answers[index] = Some(answer),
            Err(error) => match WorkerDied::of(&error) {
                Some(died) if died.pid() == killed => deaths.push((index, died.clone())),
                _ => return Err(error.into()),
            },
        }
    }
    let mut lost = Vec::new();
    for (index, died) in deaths {
        let number = numbers[index];
        let again = submit(number).result()?;
        answers[index] = Some(again);
        lost.push(Lost {
            number,
            died,
            again,
        });
    }
    pool.shutdown()?;

    let answers: Vec<_> = answers.into_iter().flatten().collect();
    Ok(Aftermath {
        killed,
        before,
        lost,
        newcomers: newcomers(&known, &answers),
        answers: answers.iter().map(|answer| answer.is_prime).collect(),
    })
}

/// The task. Its result says which worker ran it, so that new workers show.
fn test(number: u64) -> Answer {
    Answer {
        is_prime: is_prime(number),
        pid: process::id(),
    }
}

/// Like `kill -9`, from outside: the pool is not told.
fn kill(pid: u32) -> io::Result<()> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or(io::ErrorKind::InvalidInput)?;
    Ok(kill_process(pid, Signal::KILL)?)
}

/// The workers that are not yet known, in the order of their first answers.
fn newcomers(known: &[u32], answers: &[Answer]) -> Vec<(u32, usize)> {
    let mut newcomers: Vec<(u32, usize)> = Vec::new();
    for pid in answers.iter().map(|answer| answer.pid) {
        match newcomers.iter_mut().find(|newcomer| newcomer.0 == pid) {
            Some((_, tested)) => *tested += 1,
            None if known.contains(&pid) => {}
            None => newcomers.push((pid, 1)),
        }
    }
    newcomers
}

impl fmt::Display for Aftermath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (all, killed) = (self.answers.len(), self.killed);
        writeln!(
            f,
            "processes again: worker {killed} was killed when {} of {all} numbers were tested",
            self.before
        )?;
        if self.lost.is_empty() {
            writeln!(
                f,
                "lost          nothing: it was between two numbers, as happens on a busy machine; try again"
            )?;
        }
        for Lost { number, died, .. } in &self.lost {
            writeln!(f, "lost          {number}: {died}")?;
        }
        let others = plural(all - self.lost.len());
        writeln!(f, "ended well    {others}")?;
        for (pid, tested) in &self.newcomers {
            let tested = plural(*tested);
            writeln!(f, "new worker    {pid}, which has tested {tested}")?;
        }
        for Lost { number, again, .. } in &self.lost {
            let Answer { is_prime, pid } = again;
            let not = if *is_prime { "" } else { "not " };
            writeln!(f, "again         {number}: {not}prime, says worker {pid}")?;
        }
        Ok(())
    }
}

fn plural(numbers: usize) -> String {
    format!("{numbers} number{}", if numbers == 1 { "" } else { "s" })
}
