//! Python, in a process that does one run after another. `PYTHON` names an interpreter other than `python3`.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::done;
use crate::group::{Run, Workload};

/// Python's own thread pool, as rows: the names here and in `python/pools.py`.
pub(crate) const PYTHON_THREADS: &[(&str, &str)] =
    &[("Python: ThreadPoolExecutor", "ThreadPoolExecutor")];

/// Starts a script of `python/`, which does one run of the group for each line that it reads, and prints its
/// wall and CPU time in nanoseconds. First it prints that it is ready, or why it cannot be.
pub(crate) fn python(script: &'static str, group: &str) -> Result<Workload, String> {
    let interpreter = interpreter();
    let path = format!("{}/python/{script}", env!("CARGO_MANIFEST_DIR"));
    let mut child = Command::new(&interpreter)
        .args([&path, group])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{interpreter} cannot be started: {error}"))?;
    let (Some(mut ask), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
        return Err("its pipes are missing".to_owned());
    };
    let child = Reaped(child);
    let mut lines = BufReader::new(answers).lines().map_while(Result::ok);
    let ready = lines.next().unwrap_or_default();
    if ready != "ready" {
        return Err(ready);
    }
    Ok(Box::new(move || {
        let _child = &child;
        done(ask.write_all(b"run\n"));
        let times = lines.next().unwrap_or_default();
        let mut times = times.split(' ').map(str::parse).map_while(Result::ok);
        let mut next = || match times.next() {
            Some(nanos) => Duration::from_nanos(nanos),
            None => panic!("{script} did not print its times"),
        };
        Run {
            total: next(),
            each: Vec::new(),
            cpu_elsewhere: next(),
        }
    }))
}

/// A script that is itself a contest's child: it measures one row and prints the round. The caller adds the
/// pin.
pub(crate) fn script(group: &str, pool: &str) -> Command {
    let mut command = Command::new(interpreter());
    command
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/python/pools.py"))
        .args(["--child", group, pool]);
    command
}

/// By how many bytes a Python process grows when this many tasks of `gevent` wait, or why it cannot run.
pub(crate) fn gevent_memory(tasks: usize) -> Result<usize, String> {
    let path = format!("{}/python/green.py", env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(interpreter())
        .args([&path, "memory", &tasks.to_string()])
        .output()
        .map_err(|error| format!("{} cannot be started: {error}", interpreter()))?;
    let printed = String::from_utf8_lossy(&output.stdout);
    let mut lines = printed.lines();
    match lines.next() {
        Some("ready") => {}
        other => return Err(other.unwrap_or("it printed nothing").to_owned()),
    }
    let bytes = lines.next().and_then(|line| line.parse().ok());
    bytes.ok_or_else(|| "it could not hold that many tasks".to_owned())
}

/// The versions that `python/pools.py` reports; `None` without Python.
#[must_use]
pub fn python_versions() -> Option<String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/python/pools.py");
    let mut command = Command::new(interpreter());
    let output = command.args([script, "--versions"]).output().ok()?;
    let versions = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (output.status.success() && !versions.is_empty()).then_some(versions)
}

fn interpreter() -> String {
    env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned())
}

/// A process that is killed and reaped on drop.
struct Reaped(Child);

impl Drop for Reaped {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
