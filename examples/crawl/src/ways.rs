//! The ways to fetch all pages. Another way is one function and one entry in [`WAYS`].

use std::error::Error;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_lite_bridge::spawn;
use green_tasks::GreenPool;
use process_pool::ProcessPoolExecutor;
use thread_pool::{CompletionSet, ThreadPoolExecutor, as_completed};
use ureq::Agent;

use crate::async_client::AsyncClient;
use crate::fetch::{Outcome, fetch};
use crate::green;
use crate::job::{Client, Job};
use crate::progress::Arrivals;

/// All ways, in the order of the table. The others are compared with the first.
pub const WAYS: &[Way] = &[ONE_BY_ONE, MAP, AS_COMPLETED, PROCESSES, GREEN_TASKS, ASYNC];

/// Each page after the one before has arrived.
pub const ONE_BY_ONE: Way = Way {
    name: "one by one",
    fetch_all: one_by_one,
};
/// On threads, with results in the order of the URLs.
pub const MAP: Way = Way {
    name: "threads: map",
    fetch_all: threads_map,
};
/// On threads, with results in the order in which they arrive.
pub const AS_COMPLETED: Way = Way {
    name: "threads: as_completed",
    fetch_all: threads_as_completed,
};
/// On worker processes, as many as the other ways have threads.
pub const PROCESSES: Way = Way {
    name: "processes",
    fetch_all: processes,
};

/// On green tasks, all on one thread, as many at a time as the other ways have threads.
pub const GREEN_TASKS: Way = Way {
    name: "green tasks",
    fetch_all: green_tasks,
};

/// In async code on a thread pool with a worker for each CPU, with as many futures at a time as the other ways
/// have threads.
pub const ASYNC: Way = Way {
    name: "async on the pool",
    fetch_all: async_on_the_pool,
};

/// Not in the table: it fetches one page of every host beforehand.
pub const WARM_UP: Way = Way {
    name: "warm-up",
    fetch_all: threads_map,
};

/// Why a way could not run at all, for example because no thread could be started.
pub type WayError = Box<dyn Error + Send + Sync>;

/// A named way.
#[derive(Clone, Copy, Debug)]
pub struct Way {
    /// Its name in the table.
    pub name: &'static str,
    fetch_all: fn(&Job, &mut Arrivals<'_>) -> Result<(), WayError>,
}

/// The outcome of a way: a row of the table.
#[derive(Debug)]
pub struct Row {
    /// The name of the way.
    pub way: &'static str,
    /// The outcome of each page, in the order of the URLs, or why the way could not run.
    pub outcomes: Result<Vec<Outcome>, WayError>,
    /// The time of the whole way, including starting and ending its pool.
    pub elapsed: Duration,
}

impl Way {
    /// Fetches all pages of the job this way.
    #[must_use]
    pub fn run(&self, job: &Job) -> Row {
        let mut arrivals = Arrivals::expect(&job.urls, self.name);
        let done = (self.fetch_all)(job, &mut arrivals);
        let (outcomes, elapsed) = arrivals.finish();
        Row {
            way: self.name,
            outcomes: done.map(|()| outcomes),
            elapsed,
        }
    }
}

impl Row {
    /// The outcome of each page; empty if the way could not run.
    pub fn pages(&self) -> &[Outcome] {
        self.outcomes.as_deref().unwrap_or_default()
    }

    /// How many pages were fetched.
    #[must_use]
    pub fn fetched(&self) -> usize {
        self.pages().iter().filter(|page| page.is_ok()).count()
    }
}

fn one_by_one(job: &Job, arrivals: &mut Arrivals<'_>) -> Result<(), WayError> {
    for (index, url) in job.urls.iter().enumerate() {
        arrivals.add(index, fetch(&job.agent, url));
    }
    Ok(())
}

fn threads_map(job: &Job, arrivals: &mut Arrivals<'_>) -> Result<(), WayError> {
    let pool = threads(job)?;
    let agent = job.agent.clone();
    let pages = pool.map(move |url: String| fetch(&agent, &url), job.urls.clone());
    for (index, page) in pages.enumerate() {
        arrivals.add(index, page.unwrap_or_else(|error| Err(error.into())));
    }
    Ok(pool.shutdown()?)
}

fn threads_as_completed(job: &Job, arrivals: &mut Arrivals<'_>) -> Result<(), WayError> {
    let pool = threads(job)?;
    let submit = |url: String| {
        let agent = job.agent.clone();
        pool.submit(move || fetch(&agent, &url))
    };
    for (index, page) in as_completed(job.urls.iter().cloned().map(submit)) {
        arrivals.add_and_print(index, page.unwrap_or_else(|error| Err(error.into())));
    }
    Ok(pool.shutdown()?)
}

fn threads(job: &Job) -> Result<ThreadPoolExecutor, WayError> {
    Ok(ThreadPoolExecutor::builder()
        .workers(job.workers)
        .name("crawl")
        .build()?)
}

fn processes(job: &Job, arrivals: &mut Arrivals<'_>) -> Result<(), WayError> {
    let pool = ProcessPoolExecutor::new(job.workers)?;
    let submit = |url: String| pool.submit(fetch_in_worker, (job.client, url));
    // The bar moves when a page arrives, since a worker does not report how far it is.
    for (index, page) in as_completed(job.urls.iter().cloned().map(submit)) {
        arrivals.add(index, page.unwrap_or_else(|error| Err(error.into())));
    }
    Ok(pool.shutdown()?)
}

/// A task of a worker process. Connections cannot be sent, so each worker makes an agent for its first page
/// and keeps it: it fetches one page at a time, for one pool, which has one kind of client.
fn fetch_in_worker((client, url): (Client, String)) -> Outcome {
    static AGENT: OnceLock<Agent> = OnceLock::new();
    fetch(AGENT.get_or_init(|| client.agent(1)), &url)
}

fn green_tasks(job: &Job, arrivals: &mut Arrivals<'_>) -> Result<(), WayError> {
    green::runtime()?.run(|| {
        let agent = green::agent(&job.agent)?;
        let pool = GreenPool::new(job.workers);
        let urls: Vec<_> = job.urls.iter().cloned().enumerate().collect();
        // The same function that the threads call: it waits, and the other tasks go on.
        let fetch = move |(index, url): (usize, String)| (index, fetch(&agent, &url));
        for page in pool.imap_unordered(fetch, urls) {
            let (index, page) = page?;
            arrivals.add(index, page);
        }
        Ok(())
    })?
}

fn async_on_the_pool(job: &Job, arrivals: &mut Arrivals<'_>) -> Result<(), WayError> {
    let pool = Arc::new(ThreadPoolExecutor::builder().name("crawl").build()?);
    let client = Arc::new(AsyncClient::new(Arc::clone(&pool), job.client)?);
    let begin = |(index, url): (usize, String)| {
        let client = Arc::clone(&client);
        (index, spawn(&pool, async move { client.fetch(&url).await }))
    };
    // Whenever a page arrives, the next one is started.
    let mut begun = job.urls.iter().cloned().enumerate().map(begin);
    let mut fetching = CompletionSet::new();
    for (index, handle) in begun.by_ref().take(job.workers) {
        fetching.insert(index, handle);
    }
    while let Some((index, page)) = fetching.wait_next() {
        arrivals.add(index, page.unwrap_or_else(|error| Err(error.into())));
        if let Some((index, handle)) = begun.next() {
            fetching.insert(index, handle);
        }
    }
    Ok(pool.shutdown()?)
}
