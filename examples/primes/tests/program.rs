//! Calls the program, and checks what it prints and its exit code.

use std::process::Command;

use lab::program::{Ran, assert_help_names, assert_refuses, ran};
use primes::ways::WAYS;

fn primes(arguments: &[&str]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_primes"));
    ran(command.args(arguments))
}

#[test]
fn nine_numbers_in_every_way() {
    let output = primes(&["--numbers", "9", "--bits", "32", "--workers", "2"]);
    let text = output.ended_quietly(0);
    assert!(
        text.starts_with("2 workers; 9 numbers of 32 bits\n"),
        "{text}"
    );
    for way in WAYS {
        let is_row = |line: &&str| line.starts_with(way.name) && line.ends_with(" x");
        let row = text.lines().find(is_row).unwrap();
        let numbers: Vec<_> = row[way.name.len()..].split_whitespace().take(2).collect();
        assert_eq!(numbers, ["9", "5"], "{row}");
    }
    assert!(text.ends_with("all ways agree on every number\n"), "{text}");
}

#[test]
fn kill_is_told_and_changes_no_answer() {
    let output = primes(&["--kill", "--numbers", "8", "--bits", "40", "--workers", "2"]);
    let text = output.ended_quietly(0);
    assert!(
        text.contains("was killed when 4 of 8 numbers were tested"),
        "{text}"
    );
    assert!(text.contains("\nlost          "), "{text}");
    assert!(
        text.ends_with("all answers are those of the other ways\n"),
        "{text}"
    );
}

#[test]
fn workers_follow_the_cpus() {
    let output = primes(&["--numbers", "1", "--bits", "32"]);
    let workers = num_cpus::get();
    let text = output.ended_quietly(0);
    assert!(text.starts_with(&format!("{workers} worker")), "{text}");
    assert!(text.contains("; 1 number of 32 bits\n"), "{text}");
}

#[test]
fn help_names_every_option() {
    assert_help_names(primes, &["--numbers", "--bits", "--workers", "--kill"]);
}

#[test]
fn wrong_options_are_refused_with_what_to_do() {
    assert_refuses(
        primes,
        &[
            (&["--numbers", "0"], "1..=1000"),
            (&["--numbers", "six"], "invalid digit"),
            (&["--bits", "31"], "32..=62"),
            (&["--bits", "64"], "32..=62"),
            (&["--workers", "0"], "1..=256"),
            (&["--workers", "-1"], "1..=256"),
            (&["--number", "3"], "--numbers"),
            (&["1000003"], "unexpected argument"),
        ],
    );
}
