//! The options of the command line, with their limits and defaults.

use std::time::Duration;

use clap::{Parser, value_parser};
use ureq::http::Uri;

use crate::ways::{WAYS, Way};

/// The most workers without `--workers`.
const DEFAULT_WORKERS_LIMIT: usize = 32;

/// Fetches web pages one by one, on threads, on processes, on green tasks and in async code, and compares the times.
///
/// Without --url the pages come from a deliberately slow server, which this program starts on
/// loopback. The exit code is 0 if every page was fetched, 1 if one failed, 2 if an option is invalid.
#[derive(Clone, Debug, Parser)]
#[command(name = "crawl", version, max_term_width = 100)]
pub struct Options {
    /// How many pages to fetch from the program's own server, 1 to 100000
    #[arg(
        long,
        value_name = "N",
        default_value_t = 6,
        allow_negative_numbers = true
    )]
    #[arg(value_parser = value_parser!(u32).range(1..=100_000))]
    pub pages: u32,

    /// How many pages to fetch at the same time, each on a thread, process, green task or future of its own, 1 to 1024 [default: all, at most 32]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    #[arg(value_parser = value_parser!(u32).range(1..=1_024))]
    pub workers: Option<u32>,

    /// How long the program's own server takes to answer, in milliseconds, 0 to 60000
    #[arg(
        long,
        value_name = "N",
        default_value_t = 200,
        allow_negative_numbers = true
    )]
    #[arg(value_parser = value_parser!(u32).range(0..=60_000))]
    pub latency_ms: u32,

    /// How long a page may take before it counts as failed, in milliseconds, 1 to 600000
    #[arg(
        long,
        value_name = "N",
        default_value_t = 10_000,
        allow_negative_numbers = true
    )]
    #[arg(value_parser = value_parser!(u32).range(1..=600_000))]
    pub timeout_ms: u32,

    /// Use only ways whose name contains this, as in --way green; may be repeated
    #[arg(long, value_name = "NAME", value_parser = parse_way)]
    pub way: Vec<String>,

    /// Fetch these http or https pages instead, each once by every way
    #[arg(long, value_name = "URL", num_args = 1.., value_parser = parse_url)]
    #[arg(conflicts_with_all = ["pages", "latency_ms"])]
    pub url: Vec<String>,
}

impl Options {
    /// The number of workers to fetch this many pages.
    #[must_use]
    pub fn workers_for(&self, pages: usize) -> usize {
        self.workers
            .map_or(pages.clamp(1, DEFAULT_WORKERS_LIMIT), |workers| {
                workers as usize
            })
    }

    /// The requested ways, in the order of the table.
    pub fn ways(&self) -> impl Iterator<Item = &'static Way> {
        let is_wanted = |way: &&Way| self.way.iter().any(|part| way.name.contains(part.as_str()));
        WAYS.iter()
            .filter(move |way| self.way.is_empty() || is_wanted(way))
    }

    /// The latency of the program's own server.
    #[must_use]
    pub fn latency(&self) -> Duration {
        Duration::from_millis(self.latency_ms.into())
    }

    /// The time limit of one page.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms.into())
    }
}

/// Rejects what is not part of any name.
fn parse_way(text: &str) -> Result<String, String> {
    if WAYS.iter().any(|way| way.name.contains(text)) {
        return Ok(text.to_owned());
    }
    let names: Vec<_> = WAYS.iter().map(|way| way.name).collect();
    Err(format!("give a part of one of these: {}", names.join(", ")))
}

/// Rejects what the client would reject later, once for every way.
fn parse_url(text: &str) -> Result<String, String> {
    let has_scheme = |uri: &Uri| matches!(uri.scheme_str(), Some("http" | "https"));
    match text.parse::<Uri>() {
        Ok(uri) if has_scheme(&uri) && uri.host().is_some_and(|host| !host.is_empty()) => {
            Ok(text.to_owned())
        }
        Ok(_) => Err("write the whole address, as in https://www.rust-lang.org/learn".to_owned()),
        Err(error) => Err(format!(
            "{error}; write the whole address with special characters percent-encoded, as in https://www.rust-lang.org/learn"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(arguments: &[&str]) -> Result<Options, clap::Error> {
        Options::try_parse_from([&["crawl"], arguments].concat())
    }

    #[test]
    fn workers_follow_the_pages_up_to_the_limit() {
        let options = options(&[]).unwrap();
        assert_eq!(options.workers_for(6), 6);
        assert_eq!(options.workers_for(5_000), DEFAULT_WORKERS_LIMIT);
    }

    #[test]
    fn workers_given_are_taken_as_they_are() {
        let options = options(&["--workers", "100"]).unwrap();
        assert_eq!(options.workers_for(6), 100);
    }

    #[test]
    fn ways_are_chosen_by_a_part_of_their_names() {
        let names = |arguments: &[&str]| -> Vec<_> {
            let options = options(arguments).unwrap();
            options.ways().map(|way| way.name).collect()
        };
        assert_eq!(names(&[]).len(), WAYS.len());
        assert_eq!(names(&["--way", "green"]), ["green tasks"]);
        assert_eq!(names(&["--way", "green", "--way", "one"]).len(), 2);
        assert!(options(&["--way", "carrier pigeons"]).is_err());
    }

    #[test]
    fn several_urls_after_one_option_or_several() {
        let once = options(&["--url", "http://a.example/", "https://b.example/x?y=1"]).unwrap();
        let twice = options(&[
            "--url",
            "http://a.example/",
            "--url",
            "https://b.example/x?y=1",
        ]);
        assert_eq!(once.url, twice.unwrap().url);
    }

    #[test]
    fn urls_that_cannot_be_fetched_are_refused() {
        for url in [
            "rust-lang.org",
            "ftp://a.example/",
            "/page",
            "http://",
            "http://a b/",
            "",
        ] {
            assert!(options(&["--url", url]).is_err(), "{url:?} was taken");
        }
    }
}
