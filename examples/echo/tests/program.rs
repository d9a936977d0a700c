//! The program as it is called: what it prints and its exit code.

#![expect(
    clippy::unwrap_used,
    reason = "in a test, a panic is the report of a failure"
)]

use std::net::TcpListener;
use std::process::{Command, Output};

fn echo(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_echo"))
        .args(arguments)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// The number behind a name in the report.
fn figure(output: &Output, name: &str) -> f64 {
    let line = text(&output.stdout)
        .lines()
        .find_map(|line| line.strip_prefix(name));
    line.unwrap().trim().parse().unwrap()
}

#[test]
fn its_own_server_answers_on_every_connection() {
    let output = echo(&["--connections", "50", "--seconds", "1"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
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
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(figure(&output, "connections lost "), 3.0);
    assert!(text(&output.stdout).contains("lost: 3 x "));
}

#[test]
fn more_connections_than_the_system_allows_are_refused_with_what_to_do() {
    let limited = "ulimit -n 100 && exec \"$0\" --connections 100 --seconds 1";
    let output = Command::new("sh")
        .args(["-c", limited, env!("CARGO_BIN_EXE_echo")])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("ulimit -Hn"));
    assert_eq!(text(&output.stdout), "");
}

#[test]
fn help_names_every_option() {
    let output = echo(&["--help"]);
    assert_eq!(output.status.code(), Some(0));
    for option in [
        "--connections",
        "--seconds",
        "--interval-ms",
        "--size",
        "--listen",
        "--connect",
    ] {
        assert!(text(&output.stdout).contains(option), "{option}");
    }
}

#[test]
fn wrong_options_are_refused_with_what_to_do() {
    for (arguments, told) in [
        (&["--connections", "0"][..], "from 1 to 1000000"),
        (&["--size", "0"], "from 1 to 65536"),
        (&["--connect", "nowhere"], "--connect"),
        (
            &["--listen", "127.0.0.1:0", "--connect", "127.0.0.1:1"],
            "cannot be used with",
        ),
    ] {
        let output = echo(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(text(&output.stderr).contains(told), "{arguments:?}");
    }
}
