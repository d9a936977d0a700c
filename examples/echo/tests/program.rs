//! Calls the program, and checks what it prints and its exit code.

#![expect(clippy::unwrap_used, reason = "a test reports a failure by a panic")]

use std::net::TcpListener;
use std::process::Command;

use lab::program::{Ran, assert_help_names, assert_refuses, ran};

fn echo(arguments: &[&str]) -> Ran {
    ran(Command::new(env!("CARGO_BIN_EXE_echo")).args(arguments))
}

/// The number after a name in the report.
fn figure(output: &Ran, name: &str) -> f64 {
    let line = output.out.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap().trim().parse().unwrap()
}

#[test]
fn its_own_server_answers_on_every_connection() {
    let output = echo(&["--connections", "50", "--seconds", "1"]);
    assert_eq!(output.code, Some(0), "{}", output.err);
    assert_eq!(figure(&output, "connections held "), 50.0);
    assert_eq!(figure(&output, "connections lost "), 0.0);
    assert!(figure(&output, "messages ") >= 50.0);
    assert!(figure(&output, "99 % within, µs") >= figure(&output, "half within, µs"));
}

#[test]
fn a_server_that_is_not_there_loses_all_connections() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let output = echo(&[
        "--connect",
        &address,
        "--connections",
        "3",
        "--seconds",
        "1",
    ]);
    assert_eq!(output.code, Some(1));
    assert_eq!(figure(&output, "connections lost "), 3.0);
    assert!(output.out.contains("lost: 3 x "));
}

#[test]
fn more_connections_than_the_system_allows_are_refused_with_what_to_do() {
    let limited = "ulimit -n 100 && exec \"$0\" --connections 100 --seconds 1";
    let output = ran(Command::new("sh").args(["-c", limited, env!("CARGO_BIN_EXE_echo")]));
    assert_eq!(output.code, Some(1));
    assert!(output.err.contains("ulimit -Hn"));
    assert_eq!(output.out, "");
}

#[test]
fn help_names_every_option() {
    assert_help_names(
        echo,
        &[
            "--connections",
            "--seconds",
            "--interval-ms",
            "--size",
            "--listen",
            "--connect",
        ],
    );
}

#[test]
fn wrong_options_are_refused_with_what_to_do() {
    assert_refuses(
        echo,
        &[
            (&["--connections", "0"], "1..=1000000"),
            (&["--size", "0"], "1..=65536"),
            (&["--connect", "nowhere"], "--connect"),
            (
                &["--listen", "127.0.0.1:0", "--connect", "127.0.0.1:1"],
                "cannot be used with",
            ),
        ],
    );
}
