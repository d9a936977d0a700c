//! Pools of Python, by a script that prints what a child of ours prints.

use std::env;
use std::process::Command;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/python/processes.py");

fn python() -> Command {
    let mut command = Command::new(env::var_os("PYTHON").unwrap_or_else(|| "python3".into()));
    command.arg(SCRIPT);
    command
}

/// Whether there is a Python that can run the script.
///
/// # Errors
///
/// Why not.
pub(crate) fn find() -> Result<(), String> {
    match python().arg("--check").output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Err(format!("no Python can be started: {error}")),
    }
}

/// Runs one row; the pin is still to be added.
pub(crate) fn command(group: &str, row: &str) -> Command {
    let mut command = python();
    command.args(["--child", group, row]);
    command
}
