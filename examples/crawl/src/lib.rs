//! The same web pages fetched one by one and on the pools, compared in one table.
//!
//! ```text
//! cargo run --release -p crawl                                  # 6 pages from a server of its own
//! cargo run --release -p crawl -- --pages 200 --workers 50
//! cargo run --release -p crawl -- --pages 1000 --workers 1000 --way green
//! cargo run --release -p crawl -- --url https://www.rust-lang.org/ https://docs.rs/
//! ```
//!
//! Fetching a page is waiting: the CPU has nothing to do until the server answers. So six pages of
//! 200 ms take 1.2 s one by one, and 0.2 s when six threads wait at the same time. Six processes
//! do as well, and a crash would cost only its own page; but each has to be started first.
//! Green tasks all wait on one thread, so a thousand of them do not need a thousand threads. Nor do futures
//! on a thread pool, with a client that is written for them.
//!
//! | file | what it does |
//! |---|---|
//! | [`cli`] | the options and their limits |
//! | [`server`] | a small, deliberately slow HTTP server on loopback |
//! | [`job`] | what is fetched, with how many workers and which client |
//! | [`mod@fetch`] | one URL to one page, or to the reason why not |
//! | [`async_client`] | the same in async code |
//! | [`green`] | how the client waits within green tasks |
//! | [`ways`] | **the list of ways; this is the file to read, and to add a row to** |
//! | [`progress`] | gathers the pages as they come, and draws the bar |
//! | [`report`] | the table and the pages that failed |
//!
//! # Adding a way
//!
//! Write a function that fetches `job.urls` and gives every page to `arrivals`, and add it to
//! [`ways::WAYS`]. The clock, the bar, the table and the exit code need no change.
//!
//! # How the clock is kept fair
//!
//! Each way gets a client of its own, made before its clock starts, so that no way finds connections that
//! another has opened. One page of every host is fetched beforehand, so that the first way does not pay for
//! what is done once (resolving names, filling caches). The clock includes starting and ending a pool,
//! and for processes, making a client in each worker. There are as many processes as threads.
//!
//! # Examples
//!
//! ```
//! use crawl::{job::{Client, Job}, server::Server, ways};
//! use std::time::Duration;
//!
//! let server = Server::start(Duration::from_millis(5))?;
//! let urls = (1..=3).map(|n| server.url(&format!("/page/{n}"))).collect();
//! let job = Job::new(urls, 3, Client::direct(Duration::from_secs(10)));
//!
//! let row = ways::MAP.run(&job);
//! for page in row.outcomes.map_err(|error| error.to_string())? {
//!     assert!(page?.title.starts_with("Page "));
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod async_client;
pub mod cli;
pub mod fetch;
pub mod green;
pub mod job;
pub mod progress;
pub mod report;
pub mod server;
pub mod ways;
