//! All views, without and with hedging.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use thread_pool::{TaskError, ThreadPoolExecutor};

use crate::call::HedgeAfter;
use crate::cli::Options;
use crate::server::Server;
use crate::services::SERVICES;
use crate::tally::Tally;
use crate::view::{Assembler, View, ViewError};

/// The quantile of a service's answer times after which its second request is sent.
const HEDGE_PART: f64 = 0.95;

/// Why the views could not be built at all.
pub type RunError = Box<dyn Error + Send + Sync>;

/// The outcome of all views in one way.
#[derive(Debug)]
pub struct Row {
    /// Its name in the table.
    pub way: &'static str,
    /// Every view by its number, and how long it took.
    pub views: Vec<(u32, Result<View, ViewError>, Duration)>,
    /// What was counted meanwhile.
    pub tally: Arc<Tally>,
    /// From the first view to the last.
    pub elapsed: Duration,
    /// After how long each service got a second request, if at all.
    pub hedge_after: HedgeAfter,
}

/// Builds all views twice, with the same faults: without hedging, and with a second request after the time that the
/// options give or the first run has measured.
///
/// # Errors
/// When the services or the pools cannot be started, or a view panicked.
pub fn both(options: &Options) -> Result<[Row; 2], RunError> {
    let server = Server::start(options.plan())?;
    let without = run("without hedging", options, [None; SERVICES.len()], &server)?;
    let measured = |service| {
        let fixed = options.hedge_ms.map(|ms| Duration::from_millis(ms.into()));
        let measured = || without.tally.answer_time(service, HEDGE_PART);
        // A service that never answered will not answer a second request either.
        fixed.or_else(measured)
    };
    let hedge_after = std::array::from_fn(measured);
    let with = run("with hedging", options, hedge_after, &server)?;
    Ok([without, with])
}

fn run(
    way: &'static str,
    options: &Options,
    hedge_after: HedgeAfter,
    server: &Server,
) -> Result<Row, RunError> {
    let at_once = options.at_once as usize;
    let mut policy = options.policy();
    policy.hedge_after = hedge_after;
    let tally = Arc::new(Tally::default());
    let assembler = Assembler::new(policy, server.url(), at_once, Arc::clone(&tally))?;
    let assembler = Arc::new(assembler);
    let pool = ThreadPoolExecutor::builder()
        .workers(at_once)
        .name("views")
        .build()?;

    let bar = bar(way, options.range().len());
    let start = Instant::now();
    let assembler_of_views = Arc::clone(&assembler);
    let one = move |view| {
        let (made, elapsed) = assembler_of_views.timed(view);
        (view, made, elapsed)
    };
    // As they complete: in order, one slow view would hold up those behind it.
    let views = pool.map(one, options.range()).unordered();
    let views = views.inspect(|_| bar.inc(1));
    let mut views = views.collect::<Result<Vec<_>, TaskError>>()?;
    let elapsed = start.elapsed();
    bar.finish_and_clear();
    views.sort_by_key(|(view, ..)| *view);
    // Waits for requests that are still running, so that all are counted.
    drop((pool, assembler));
    Ok(Row {
        way,
        views,
        tally,
        elapsed,
        hedge_after,
    })
}

/// A bar on stderr, hidden if that is not a terminal.
fn bar(way: &'static str, views: usize) -> ProgressBar {
    let bar = ProgressBar::new(views as u64).with_message(way);
    if let Ok(style) = ProgressStyle::with_template("{msg:16} {bar:30} {pos}/{len} {elapsed}") {
        bar.set_style(style);
    }
    bar
}
