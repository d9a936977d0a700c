//! Calls the program, and checks what it prints, what it leaves behind, and its exit code.

#![expect(clippy::unwrap_used, reason = "a test reports a failure by a panic")]

use std::fs;
use std::path::Path;
use std::process::Command;

use lab::program::{Ran, assert_help_names, assert_refuses, ran};
use tempfile::TempDir;

const SMALL: [&str; 4] = ["--files", "6", "--kib", "2"];

fn pipeline(arguments: &[&str], temporary: &Path) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pipeline"));
    ran(command.args(arguments).env("TMPDIR", temporary))
}

fn entries(folder: &Path) -> usize {
    fs::read_dir(folder).unwrap().count()
}

#[test]
fn without_input_files_are_made_and_nothing_is_left() {
    let temporary = TempDir::new().unwrap();
    let output = pipeline(&SMALL, temporary.path());
    let text = output.ended(0);
    assert!(
        text.starts_with("6 files; 4 threads read and write, "),
        "{text}"
    );
    assert!(text.contains("\n6 of 6 files in "), "{text}");
    assert!(!text.contains("failed files"), "{text}");
    assert_eq!(
        output.err, "",
        "progress bars are hidden where stderr is not a terminal"
    );
    if cfg!(unix) {
        assert_eq!(entries(temporary.path()), 0);
    }
}

#[test]
fn broken_files_are_told_one_by_one_and_by_the_exit_code() {
    let temporary = TempDir::new().unwrap();
    let arguments = [&SMALL[..], &["--broken", "3", "--max-mib", "1"]].concat();
    let output = pipeline(&arguments, temporary.path());
    assert_eq!(output.code, Some(1), "{}", output.err);
    let text = &output.out;
    assert!(text.contains("\n6 of 9 files in "), "{text}");
    let failed = text.split_once("\nfailed files\n").unwrap().1;
    let failed: Vec<_> = failed.lines().collect();
    assert_eq!(failed.len(), 3, "{text}");
    for (line, (name, reason)) in failed.iter().zip([
        ("broken-00000.log", "cannot be read"),
        ("broken-00001.log", "none of its 1 lines is an entry"),
        ("broken-00002.log", "is larger than 1 MiB; --max-mib"),
    ]) {
        assert!(line.contains(name), "{line}");
        if cfg!(unix) {
            assert!(line.contains(reason), "{line}");
        }
    }
}

#[test]
fn input_is_made_taken_again_and_never_made_over() {
    let temporary = TempDir::new().unwrap();
    let input = temporary.path().join("logs");
    let input = input.to_str().unwrap();
    let made = pipeline(
        &[&SMALL[..], &[input, "--generate"]].concat(),
        temporary.path(),
    );
    assert_eq!(made.code, Some(0), "{}", made.err);
    let output = temporary.path().join("logs-packed");
    assert_eq!(entries(&output), 6);

    let elsewhere = temporary.path().join("a/b");
    let again = pipeline(
        &[input, "--output", elsewhere.to_str().unwrap()],
        temporary.path(),
    );
    assert_eq!(again.code, Some(0), "{}", again.err);
    assert_eq!(entries(&elsewhere), 6);

    let refused = pipeline(&[input, "--generate"], temporary.path());
    assert_eq!(refused.code, Some(1));
    assert!(refused.err.contains("is not empty; name another folder"));
}

#[test]
fn folders_that_will_not_do_are_refused_with_what_to_do() {
    let temporary = TempDir::new().unwrap();
    let path = temporary.path().to_str().unwrap();
    let missing = format!("{path}/missing");
    for (arguments, told) in [
        (&[missing.as_str()][..], "let --generate make it"),
        (
            &[path, "--output", path],
            "name another folder with --output",
        ),
        (&["/"], "name one with --output"),
    ] {
        let output = pipeline(arguments, temporary.path());
        assert_eq!(output.code, Some(1), "{arguments:?}");
        let text = &output.err;
        assert!(
            text.starts_with("pipeline: ") && text.contains(told),
            "{text}"
        );
        assert_eq!(output.out, "", "{arguments:?}");
    }
    assert_eq!(entries(temporary.path()), 0);
}

#[test]
fn help_names_every_option() {
    assert_help_names(
        |arguments: &[&str]| pipeline(arguments, Path::new(".")),
        &[
            "[INPUT]",
            "--output",
            "--generate",
            "--files",
            "--kib",
            "--broken",
            "--seed",
            "--io-workers",
            "--cpu-workers",
            "--window",
            "--max-mib",
            "--level",
        ],
    );
}

#[test]
fn wrong_options_are_refused_with_what_to_do() {
    assert_refuses(
        |arguments: &[&str]| pipeline(arguments, Path::new(".")),
        &[
            (&["--files", "0"], "1..=100000"),
            (&["--level", "10"], "0..=9"),
            (&["--window", "0"], "1..=10000"),
            (&["--io-workers", "0"], "1..=256"),
            (&["--cpu-workers", "many"], "invalid digit"),
            (&["--generate"], "<INPUT>"),
            (&["--output", "x"], "<INPUT>"),
            (&["--windows", "3"], "--window"),
        ],
    );
}
