//! The crawl: the same web pages fetched one by one and on the pools, compared in one table.
//!
//! ```text
//! cargo run --release -p crawl                                  # 6 pages from a server of its own
//! cargo run --release -p crawl -- --pages 200 --workers 50
//! cargo run --release -p crawl -- --pages 1000 --workers 1000 --way green
//! cargo run --release -p crawl -- --url https://www.rust-lang.org/ https://docs.rs/
//! ```
//!
//! Fetching a page is waiting: the processor has nothing to do until the server answers. So six pages of
//! 200 ms take 1.2 s one by one, and 0.2 s when six threads wait at the same time. Six processes
//! do as well, and one that crashes over a page would cost that page alone; but each has to be started first.
//! Green tasks wait all on one thread, so that a thousand of them cost no thousand threads. Neither do futures
//! on a thread pool, for a client that is written for them.
//!
//! | file | what it does |
//! |---|---|
//! | [`cli`] | the options and their limits |
//! | [`server`] | a small HTTP server on loopback that answers late on purpose |
//! | [`job`] | what is fetched, with how many workers and which client |
//! | [`mod@fetch`] | one URL to one page, or to the reason why not |
//! | [`async_client`] | the same page by async code |
//! | [`green`] | how the client waits within green tasks |
//! | [`ways`] | **the list of ways; this is the file to read, and to add a row to** |
//! | [`progress`] | gathers the pages as they come, and draws the bar |
//! | [`report`] | the table and the pages that failed |
//!
//! # Adding a way
//!
//! Write a function that fetches `job.urls` and gives every page to `arrivals`, and name it in
//! [`ways::WAYS`]. The clock, the bar, the table and the exit code come by themselves.
//!
//! # How the clock is kept fair
//!
//! Each way gets a client of its own, made before its clock starts, so that no way finds connections which
//! another has opened. One page of every host is fetched beforehand, so that the first way does not pay for
//! what is done once (names resolved, caches filled). Starting and ending a pool is inside the clock,
//! for processes the making of a client in each worker too. There are as many processes as threads.
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
