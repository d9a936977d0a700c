//! Calls the program, and checks what it prints and its exit code.

#![expect(clippy::unwrap_used, reason = "a test reports a failure by a panic")]

use std::process::Command;

use lab::program::{Ran, assert_help_names, assert_refuses, ran};

fn fan_out(arguments: &[&str]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fan-out"));
    ran(command.args(arguments))
}

/// The number of all, whole, reduced and failed views in the row of a way.
fn row(text: &str, way: &str) -> [u32; 4] {
    let line = text.lines().find(|line| line.starts_with(way)).unwrap();
    let words = line[way.len()..].split_whitespace();
    let numbers: Vec<_> = words.take(4).map(|word| word.parse().unwrap()).collect();
    numbers.try_into().unwrap()
}

#[test]
fn without_trouble_every_view_is_whole() {
    let limits = ["--deadline-ms", "60000", "--request-ms", "60000"];
    let output = fan_out(&[&["--views", "12", "--trouble", "0"][..], &limits].concat());
    let text = output.ended(0);
    assert!(
        text.starts_with("12 views, 8 at once; faults in 0 % "),
        "{text}"
    );
    for way in ["without hedging", "with hedging"] {
        assert_eq!(row(text, way), [12, 12, 0, 0]);
    }
    assert!(!text.contains("failed views"), "{text}");
    assert_eq!(
        output.err, "",
        "progress bars are hidden where stderr is not a terminal"
    );
}

#[test]
fn failed_views_are_named_and_told_by_the_exit_code() {
    let output = fan_out(&["--views", "3", "--trouble", "100", "--backoff-ms", "1"]);
    assert_eq!(output.code, Some(1), "{}", output.err);
    let text = &output.out;
    for way in ["without hedging", "with hedging"] {
        assert_eq!(row(text, way), [3, 0, 0, 3]);
        let list = format!("\nfailed views ({way}); --only N replays one\n     0  no ");
        assert!(text.contains(&list), "{text}");
    }
}

#[test]
fn only_one_view_is_shown_whole() {
    let output = fan_out(&["--only", "7", "--trouble", "0", "--hedge-ms", "60000"]);
    let text = output.ended(0);
    assert!(text.starts_with("view 7; faults in 0 % "), "{text}");
    assert!(
        text.contains("ms (with hedging)\ncatalog   what was asked for at /catalog/7/0/0\n"),
        "{text}"
    );
}

#[test]
fn help_names_every_option() {
    assert_help_names(
        fan_out,
        &[
            "--views",
            "--only",
            "--at-once",
            "--trouble",
            "--seed",
            "--deadline-ms",
            "--request-ms",
            "--attempts",
            "--backoff-ms",
            "--hedge-ms",
        ],
    );
}

#[test]
fn wrong_options_are_refused_with_what_to_do() {
    assert_refuses(
        fan_out,
        &[
            (&["--views", "0"], "1..=100000"),
            (&["--trouble", "101"], "..=100"),
            (&["--at-once", "0"], "1..=32"),
            (&["--attempts", "none"], "invalid digit"),
            (&["--only", "3", "--views", "3"], "cannot be used with"),
            (&["--hedge", "3"], "--hedge-ms"),
        ],
    );
}
