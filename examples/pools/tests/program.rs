//! Calls the program, and checks what it prints, what it writes, and its exit code.

use std::fs;
use std::process::Command;

use lab::program::{Ran, assert_help_names, assert_refuses, ran};
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

fn program(arguments: &[&str]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pools"));
    ran(command.args(arguments))
}

#[test]
fn all_kinds_in_every_way_and_a_plot() {
    let folder = tempfile::tempdir().unwrap();
    let plot = folder.path().join("plot.svg");
    let mut arguments = SMALL.to_vec();
    arguments.extend(["--plot", plot.to_str().unwrap()]);
    let output = program(&arguments);
    let text = &output.out;
    assert_eq!(output.code, Some(0), "{text}{}", output.err);
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
    let text = output.ended(0);
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
            "--times",
            "--compute-ms",
            "--tasks",
            "--wait-us",
            "--mixed-workers",
            "--processes",
            "--plot",
        ],
    );
}

#[test]
fn wrong_options_are_refused_with_what_to_do() {
    assert_refuses(
        program,
        &[
            (&["--kind", "gpu"], "possible values: cpu, io, mixed"),
            (&["--times", "0"], "1..=100"),
            (&["--wait-us", "99"], "100..=1000000"),
            (&["--processes", "-1"], "1..=256"),
            (&["--mixed-workers", "many"], "invalid digit"),
            (&["--task", "3"], "--tasks"),
        ],
    );
}
