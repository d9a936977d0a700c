//! Calls the program, and checks what it prints, what it writes, and its exit code.

use std::fs;
use std::process::Command;

use lab::program::{Ran, assert_help_names, assert_refuses, ran};
use queue_blocking::ways::WAYS;

const SMALL: [&str; 8] = [
    "--tasks",
    "40",
    "--every",
    "10",
    "--short-us",
    "100",
    "--long-us",
    "2000",
];

fn program(arguments: &[&str]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_queue-blocking"));
    ran(command.args(arguments))
}

#[test]
fn both_kinds_in_every_way_and_a_plot() {
    let folder = tempfile::tempdir().unwrap();
    let plot = folder.path().join("plot.svg");
    let mut arguments = SMALL.to_vec();
    arguments.extend(["--workers", "2", "--plot", plot.to_str().unwrap()]);
    let output = program(&arguments);
    let text = output.ended(0);
    for verb in ["wait", "compute"] {
        let plan = format!("36 short tasks, which {verb} for 100µs, and 4 long ones, for 2ms");
        assert!(text.contains(&plan), "{text}");
    }
    let picture = fs::read_to_string(plot).unwrap();
    for way in WAYS {
        assert_eq!(
            text.matches(&format!("\n{}", way.name)).count(),
            2,
            "{text}"
        );
        assert_eq!(picture.matches(&format!(">{}<", way.name)).count(), 2);
    }
}

#[test]
fn one_kind_alone() {
    let mut arguments = SMALL.to_vec();
    arguments.extend(["--kind", "wait", "--workers", "1", "--more", "2"]);
    let output = program(&arguments);
    let text = output.ended(0);
    assert!(!text.contains("compute"), "{text}");
    let row = text
        .lines()
        .find(|line| line.starts_with("more workers"))
        .unwrap();
    assert_eq!(row.split_whitespace().nth(2), Some("2"), "{row}");
}

#[test]
fn plot_that_cannot_be_written_is_told() {
    let mut arguments = SMALL.to_vec();
    arguments.extend(["--kind", "wait", "--plot", "/nowhere/plot.svg"]);
    let output = program(&arguments);
    assert_eq!(output.code, Some(1));
    let said = output.err;
    assert!(said.contains("cannot write /nowhere/plot.svg: "), "{said}");
}

#[test]
fn help_names_every_option() {
    assert_help_names(
        program,
        &[
            "--kind",
            "--tasks",
            "--every",
            "--short-us",
            "--long-us",
            "--load",
            "--workers",
            "--more",
            "--prefetch",
            "--seed",
            "--plot",
        ],
    );
}

#[test]
fn wrong_options_are_refused_with_what_to_do() {
    assert_refuses(
        program,
        &[
            (&["--kind", "sleep"], "possible values: wait, compute"),
            (&["--tasks", "0"], "1..=1000000"),
            (&["--load", "100"], "1..=99"),
            (&["--workers", "-1"], "1..=64"),
            (&["--more", "1"], "2..=16"),
            (&["--task", "3"], "--tasks"),
        ],
    );
}
