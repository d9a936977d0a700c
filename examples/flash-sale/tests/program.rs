//! Calls the program, and checks what it prints, what it leaves behind, and its exit code.

#![expect(clippy::unwrap_used, reason = "a test reports a failure by a panic")]

use std::fs;
use std::process::Command;

use lab::program::{Ran, assert_help_names, assert_refuses, ran};
use tempfile::TempDir;

const SMALL: [&str; 6] = ["--units", "20", "--buyers", "80", "--work", "50"];

fn flash_sale(arguments: &[&str], temporary: &TempDir) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flash-sale"));
    let command = command.args(arguments).env("TMPDIR", temporary.path());
    ran(command)
}

/// The number in the line that begins with this.
fn number(text: &str, what: &str) -> u64 {
    let line = text.lines().find_map(|line| line.trim().strip_prefix(what));
    line.unwrap().trim().parse().unwrap()
}

#[test]
fn sale_ends_with_a_report_and_leaves_nothing() {
    let temporary = TempDir::new().unwrap();
    let output = flash_sale(&SMALL, &temporary);
    let text = &output.out;
    assert_eq!(output.code, Some(0), "{text}{}", output.err);
    assert!(
        text.starts_with("20 units, 80 buyers at 1000 a second; "),
        "{text}"
    );
    assert!(
        text.ends_with("never oversold, no accepted order lost, each paid once\n"),
        "{text}"
    );
    assert_eq!(
        number(text, "orders sent"),
        number(text, "accepted") + number(text, "refused")
    );
    assert!(text.contains("waits p50 "), "{text}");
    assert_eq!(number(text, "workers killed"), 0);
    assert_eq!(
        output.err, "",
        "the view is hidden where stderr is not a terminal"
    );
    assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 0);
}

#[test]
fn promises_are_kept_while_workers_are_killed() {
    let temporary = TempDir::new().unwrap();
    let output = flash_sale(&[&SMALL[..], &["--kill", "4"]].concat(), &temporary);
    let text = &output.out;
    assert_eq!(output.code, Some(0), "{text}{}", output.err);
    assert!(
        text.contains(", of which one is killed at every 4 checks"),
        "{text}"
    );
    assert!(number(text, "workers killed") > 0, "{text}");
    assert!(
        text.ends_with("never oversold, no accepted order lost, each paid once\n"),
        "{text}"
    );
}

#[test]
fn folder_that_is_not_there_is_told_with_what_to_do() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flash-sale"));
    let command = command.args(SMALL).env("TMPDIR", "/nowhere/at/all");
    let output = ran(command);
    assert_eq!(output.code, Some(1));
    let text = &output.err;
    assert!(
        text.starts_with("flash-sale: cannot make a temporary folder: "),
        "{text}"
    );
    assert!(text.contains("name another one in TMPDIR"), "{text}");
}

#[test]
fn help_names_every_option() {
    assert_help_names(
        |arguments: &[&str]| flash_sale(arguments, &TempDir::new().unwrap()),
        &[
            "--units",
            "--buyers",
            "--rate",
            "--accounts",
            "--clients",
            "--user-rate",
            "--queue",
            "--front",
            "--back",
            "--checkers",
            "--work",
            "--kill",
            "--seed",
        ],
    );
}

#[test]
fn wrong_options_are_refused_with_what_to_do() {
    assert_refuses(
        |arguments: &[&str]| flash_sale(arguments, &TempDir::new().unwrap()),
        &[
            (&["--units", "0"], "1..=1000000"),
            (&["--rate", "0"], "1..=1000000"),
            (&["--rate", "many"], "invalid digit"),
            (&["--kill", "1"], "2..=1000000"),
            (&["--front", "65"], "1..=64"),
            (&["--buyer", "3"], "--buyers"),
        ],
    );
}
