//! The program as it is called: what it prints, what it writes, and its exit code.

#![expect(
    clippy::unwrap_used,
    reason = "in a test, a panic is the report of a failure"
)]

use std::fs;
use std::process::{Command, Output};

use pools::ways::WAYS;

const SMALL: [&str; 8] = [
    "--times",
    "1",
    "--compute-ms",
    "1",
    "--tasks",
    "12",
    "--wait-us",
    "200",
];

fn program(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pools"));
    command.args(arguments).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn all_kinds_in_every_way_and_a_plot() {
    let folder = tempfile::tempdir().unwrap();
    let plot = folder.path().join("plot.svg");
    let mut arguments = SMALL.to_vec();
    arguments.extend(["--plot", plot.to_str().unwrap()]);
    let output = program(&arguments);
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{text}{}", stderr(&output));
    let picture = fs::read_to_string(plot).unwrap();
    for kind in ["CPU-bound", "I/O-bound", "mixed"] {
        assert!(text.contains(&format!("{kind}: ")), "{text}");
        assert!(picture.contains(&format!(">{kind}<")), "{picture}");
    }
    for way in WAYS {
        let rows = text.matches(&format!("\n{}, ", way.name)).count();
        assert_eq!(rows, 3, "{text}");
    }
    assert!(text.ends_with("all ways agree on every number\n"), "{text}");
}

#[test]
fn kinds_that_are_not_asked_for_are_left_out() {
    let mut arguments = SMALL.to_vec();
    arguments.extend(["--kind", "io", "--processes", "2"]);
    let output = program(&arguments);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = stdout(&output);
    assert!(text.contains("I/O-bound: each task waits 0.2 ms"), "{text}");
    assert!(
        !text.contains("CPU-bound") && !text.contains("mixed:"),
        "{text}"
    );
}

#[test]
fn plot_that_cannot_be_written_is_told() {
    let mut arguments = SMALL.to_vec();
    arguments.extend(["--kind", "cpu", "--plot", "/nowhere/plot.svg"]);
    let output = program(&arguments);
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    assert!(said.contains("cannot write /nowhere/plot.svg: "), "{said}");
}

#[test]
fn help_names_every_option() {
    let output = program(&["--help"]);
    assert_eq!(output.status.code(), Some(0));
    let text = stdout(&output);
    let options = [
        "--kind",
        "--times",
        "--compute-ms",
        "--tasks",
        "--wait-us",
        "--mixed-workers",
        "--processes",
        "--plot",
    ];
    for option in options {
        assert!(text.contains(option), "{option}");
    }
}

#[test]
fn wrong_options_are_refused_with_what_to_do() {
    for (arguments, told) in [
        (&["--kind", "gpu"][..], "possible values: cpu, io, mixed"),
        (&["--times", "0"], "1..=100"),
        (&["--wait-us", "99"], "100..=1000000"),
        (&["--processes", "-1"], "1..=256"),
        (&["--mixed-workers", "many"], "invalid digit"),
        (&["--task", "3"], "--tasks"),
    ] {
        let output = program(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(
            stderr(&output).contains(told),
            "{arguments:?}: {}",
            stderr(&output)
        );
        assert_eq!(stdout(&output), "", "{arguments:?}");
    }
}
