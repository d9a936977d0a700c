//! Calls the program, and checks what it prints and its exit code.

#![expect(clippy::unwrap_used, reason = "a test reports a failure by a panic")]

use std::net::{Ipv4Addr, TcpListener};
use std::process::Command;
use std::time::Duration;

use crawl::server::Server;
use crawl::ways::WAYS;
use lab::program::{Ran, assert_help_names, assert_refuses, ran};

fn crawl(arguments: &[&str]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crawl"));
    // The servers of these tests are on loopback, which no proxy can reach.
    for proxy in ["ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY"] {
        command.env_remove(proxy).env_remove(proxy.to_lowercase());
    }
    ran(command.args(arguments))
}

/// The pages and the failed pages in each row of the table.
fn rows(output: &Ran) -> Vec<(u32, u32)> {
    let text = &output.out;
    let row = |name: &str| {
        let is_row = |line: &&str| line.starts_with(name) && line.ends_with(" x");
        let line = text
            .lines()
            .find(is_row)
            .unwrap_or_else(|| panic!("no row {name} in\n{text}"));
        let mut numbers = line[name.len()..]
            .split_whitespace()
            .map(|word| word.parse().unwrap());
        (numbers.next().unwrap(), numbers.next().unwrap())
    };
    WAYS.iter().map(|way| row(way.name)).collect()
}

/// The list of failed pages, one line each.
fn failures(output: &Ran) -> Vec<String> {
    let text = &output.out;
    let lines = text
        .lines()
        .skip_while(|line| *line != "failed pages")
        .skip(1);
    lines.map(str::to_owned).collect()
}

/// Fetches these pages and two good ones, and checks that with every way only these failed, with the reason.
fn assert_fails_alone(server: &Server, url: &str, reason: &str, more: &[&str]) {
    let (first, last) = (server.url("/page/1"), server.url("/page/2"));
    let output = crawl(&[&["--url", &first, url, &last], more].concat());
    assert_eq!(output.code, Some(1), "{}", output.err);
    assert_eq!(rows(&output), vec![(2, 1); WAYS.len()]);
    let failures = failures(&output);
    assert_eq!(failures.len(), WAYS.len(), "{failures:?}");
    for (way, line) in WAYS.iter().zip(&failures) {
        assert!(line.starts_with(way.name), "{line}");
        assert!(line.contains(url) && line.contains(reason), "{line}");
    }
}

#[test]
fn six_pages_in_every_way() {
    let output = crawl(&["--latency-ms", "2"]);
    assert_eq!(output.code, Some(0), "{}", output.err);
    assert_eq!(rows(&output), vec![(6, 0); WAYS.len()]);
    assert!(failures(&output).is_empty());
    assert!(output.out.starts_with("6 pages from http://127.0.0.1:"));
    assert!(output.out.contains("6 workers"));
    assert_eq!(
        output.err, "",
        "progress bars are hidden where stderr is not a terminal"
    );
}

#[test]
fn pages_are_printed_as_they_come() {
    let output = crawl(&["--latency-ms", "2", "--pages", "9", "--workers", "3"]);
    let text = &output.out;
    for page in 1..=9 {
        assert_eq!(
            text.matches(&format!("  Page {page} (")).count(),
            1,
            "{text}"
        );
    }
}

#[test]
fn status_500_fails_alone() {
    let server = Server::start(Duration::ZERO).unwrap();
    assert_fails_alone(&server, &server.url("/status/500"), "status 500", &[]);
}

#[test]
fn dead_link_fails_alone() {
    let server = Server::start(Duration::ZERO).unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let dead = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    assert_fails_alone(&server, &dead, "refused", &[]);
}

#[test]
fn page_that_is_never_answered_fails_alone() {
    let server = Server::start(Duration::ZERO).unwrap();
    let limit = ["--timeout-ms", "1500"];
    assert_fails_alone(
        &server,
        &server.url("/slow"),
        "no answer after 1.5s",
        &limit,
    );
}

#[test]
fn help_names_every_option_and_what_workers_are() {
    assert_help_names(
        crawl,
        &[
            "--pages",
            "--workers",
            "--latency-ms",
            "--timeout-ms",
            "--url",
            "thread, process, green task or future",
            "--way",
        ],
    );
}

#[test]
fn wrong_options_are_refused_with_what_to_do() {
    assert_refuses(
        crawl,
        &[
            (&["--pages", "0"], "1..=100000"),
            (&["--pages", "six"], "invalid digit"),
            (&["--workers", "0"], "1..=1024"),
            (&["--workers", "1000000"], "1..=1024"),
            (&["--timeout-ms", "0"], "1..=600000"),
            (&["--latency-ms", "-1"], "0..=60000"),
            (&["--url"], "--url <URL>"),
            (&["--url", "rust-lang.org"], "https://www.rust-lang.org/"),
            (
                &["--url", "http://a.example/", "--pages", "3"],
                "cannot be used with",
            ),
            (&["--page", "3"], "--pages"),
            (&["http://a.example/"], "unexpected argument"),
        ],
    );
}
