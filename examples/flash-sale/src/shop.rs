//! The path of an order through the shop: **the file to read**.
//!
//! ```text
//!              async             front pool                 back pool               process pool
//! order ──► too fast? ──────► reserve a unit ─────────────► have it checked ──────► fraud?
//!              │    │            │    │                       pay, or give back ◄────┘
//!              ▼    ▼ queue full ▼    ▼
//!            429   503       409 410  202 accepted
//! ```
//!
//! **Peaks are clipped in front.** The front pool's queue is bounded. An order that finds it full is refused at once,
//! and cheaply; it would have waited longer than its buyer. Everybody else waits for at most a full queue.
//!
//! **The queue behind needs no bound**, since the stock is one: each order in it holds a unit. None of them is ever
//! refused, which makes *accepted* a promise: the order and its unit are in the database before the buyer is told.
//!
//! **Waiting costs the front nothing.** The handle of a pool's task is a future, so the HTTP server's one thread awaits
//! any number of them. If a buyer hangs up, the handle is dropped, which detaches the task: the order goes on. The back
//! pool's threads do block on their checks, so as many orders as it has threads are under check at once.

use std::num::{NonZeroU32, NonZeroU64};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use moka::future::Cache;
use thiserror::Error;
use thread_pool::{Builder, ThreadPoolExecutor, WhenFull, with_worker_state};

use crate::fraud::Checks;
use crate::stock::{Fate, Reserved, Stock};
use crate::tally::Tally;

/// How old the product page may be.
const PAGE_AGE: Duration = Duration::from_millis(100);

/// How the shop is staffed.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Threads that reserve.
    pub front_workers: usize,
    /// Orders that may wait for them.
    pub queue: usize,
    /// Threads that process accepted orders, each one at a time.
    pub back_workers: usize,
    /// Processes that check.
    pub checkers: usize,
    /// How long a check is, in thousands of rounds.
    pub work: u32,
    /// Kill a worker process once in this many checks.
    pub kill_every: Option<NonZeroU64>,
    /// Orders per second that one buyer may send, and as many at once.
    pub user_rate: NonZeroU32,
}

/// Why an order got no unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Its buyer orders too fast.
    TooFast,
    /// Too many orders are waiting.
    Busy,
    /// There is an order with its key already.
    Duplicate,
    /// Nothing is left.
    SoldOut,
    /// Others were faster each time.
    Contended,
    /// Something is broken in the shop.
    Failed,
}

impl Refusal {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::TooFast,
        Self::Busy,
        Self::Duplicate,
        Self::SoldOut,
        Self::Contended,
        Self::Failed,
    ];

    /// In words, for the buyer and for the report.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::TooFast => "too many orders of one buyer",
            Self::Busy => "the queue is full",
            Self::Duplicate => "the order is here already",
            Self::SoldOut => "sold out",
            Self::Contended => "too many conflicts",
            Self::Failed => "something is broken",
        }
    }
}

/// Why there is no shop.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// There are no threads, or one cannot open the stock.
    #[error("cannot staff the shop: {0}")]
    Threads(#[from] thread_pool::BuildError),
    /// There are no worker processes.
    #[error("cannot start worker processes: {0}")]
    Processes(#[from] process_pool::BuildError),
}

/// The shop, open.
#[derive(Debug)]
pub struct Shop {
    limiter: DefaultKeyedRateLimiter<u32>,
    page: Cache<(), Arc<str>>,
    window: ThreadPoolExecutor,
    front: ThreadPoolExecutor,
    back: Arc<Back>,
}

/// Processes accepted orders.
#[derive(Debug)]
struct Back {
    pool: ThreadPoolExecutor,
    desk: Arc<Desk>,
}

/// What the threads of the pools share.
#[derive(Debug)]
struct Desk {
    checks: Checks,
    tally: Arc<Tally>,
}

impl Shop {
    /// Opens a shop for the stock in this database.
    ///
    /// # Errors
    /// If the stock, a thread or a process is missing.
    pub fn open(path: &Path, plan: &Plan, tally: Arc<Tally>) -> Result<Self, OpenError> {
        // Each thread has its own connection; if one cannot be opened, the pool is not built.
        let staff = |name: &str, workers: usize| {
            let path = path.to_owned();
            staffed(name, workers).try_worker_state(move |_| Stock::open(&path))
        };
        let front = staff("front", plan.front_workers)
            .queue_bound(plan.queue)
            .when_full(WhenFull::Reject)
            .build()?;
        let desk = Arc::new(Desk {
            checks: Checks::new(plan.checkers, plan.work, plan.kill_every)?,
            tally,
        });
        Ok(Self {
            limiter: RateLimiter::keyed(Quota::per_second(plan.user_rate)),
            page: Cache::builder().time_to_live(PAGE_AGE).build(),
            window: staff("window", 1).build()?,
            front,
            back: Arc::new(Back {
                pool: staff("back", plan.back_workers).build()?,
                desk,
            }),
        })
    }

    /// Takes an order: its number, or why not. Once it has a number the order is kept, whatever happens.
    ///
    /// # Cancel safety
    /// If the future is dropped, an order that is in the queue stays there.
    ///
    /// # Errors
    /// If it is not accepted.
    pub async fn order(&self, buyer: u32, key: String) -> Result<i64, Refusal> {
        let tally = &self.back.desk.tally;
        let answer = self.place(buyer, key).await;
        match answer {
            Ok(_) => tally.accepted.add(),
            Err(refusal) => tally.refused[refusal as usize].add(),
        };
        answer
    }

    async fn place(&self, buyer: u32, key: String) -> Result<i64, Refusal> {
        if self.limiter.check_key(&buyer).is_err() {
            return Err(Refusal::TooFast);
        }
        let back = Arc::clone(&self.back);
        let Ok(placed) = self.front.try_submit(move || back.reserve(buyer, key)) else {
            return Err(Refusal::Busy);
        };
        placed.await.unwrap_or_else(|error| {
            self.back.desk.tally.note(&error);
            Err(Refusal::Failed)
        })
    }

    /// The product page. However many ask at once for a page that is too old, only one reads the stock.
    ///
    /// # Errors
    /// If the stock cannot be read, with the reason.
    pub async fn page(&self) -> Result<Arc<str>, Arc<String>> {
        let tally = &self.back.desk.tally;
        tally.pages.add();
        let load = async {
            tally.page_loads.add();
            let left = self.window.submit(|| on_stock(Stock::left)).await;
            match left {
                Ok(Ok(left)) => Ok(format!("a thing that everybody wants: {left} left\n").into()),
                Ok(Err(error)) => Err(error),
                Err(error) => Err(error.to_string()),
            }
        };
        self.page.try_get_with((), load).await
    }

    /// Processes all accepted orders, and closes.
    ///
    /// # Errors
    /// When a pool does not end.
    pub fn close(&self) -> Result<(), thread_pool::ShutdownError> {
        // Front to back, so that no order finds the next pool closed.
        self.window.shutdown()?;
        self.front.shutdown()?;
        self.back.pool.shutdown()
    }
}

fn staffed(name: &str, workers: usize) -> Builder {
    ThreadPoolExecutor::builder().name(name).workers(workers)
}

/// Uses the calling worker's connection.
fn on_stock<R>(f: impl FnOnce(&Stock) -> rusqlite::Result<R>) -> Result<R, String> {
    let used = with_worker_state(|stock: &Stock| f(stock).map_err(|error| error.to_string()));
    used.unwrap_or_else(|| Err("this is not a thread of the shop".to_owned()))
}

impl Back {
    /// On the front pool: reserves a unit, and sends the order on to the back pool.
    fn reserve(&self, buyer: u32, key: String) -> Result<i64, Refusal> {
        let tally = &self.desk.tally;
        let reserved = on_stock(|stock| {
            stock.reserve(buyer, &key, || {
                tally.conflicts.add();
            })
        });
        match reserved {
            Ok(Reserved::Order(id)) => {
                let desk = Arc::clone(&self.desk);
                if let Err(refused) = self.pool.execute(move || desk.process(id, &key)) {
                    // It is accepted all the same, so it is processed here.
                    tally.note(&refused);
                    refused.into_job()();
                }
                Ok(id)
            }
            Ok(Reserved::Duplicate) => Err(Refusal::Duplicate),
            Ok(Reserved::SoldOut) => Err(Refusal::SoldOut),
            Ok(Reserved::Contended) => Err(Refusal::Contended),
            Err(error) => {
                tally.note(&error);
                Err(Refusal::Failed)
            }
        }
    }
}

impl Desk {
    /// On the back pool: from accepted to its end.
    fn process(&self, order: i64, key: &str) {
        let fate = match self.checks.verdict(key, &self.tally) {
            Ok(false) => Fate::Paid,
            Ok(true) => Fate::Fraud,
            Err(error) => {
                self.tally.note(&error);
                Fate::Unchecked
            }
        };
        match on_stock(|stock| stock.settle(order, fate)) {
            Ok(true) => {
                self.tally.settled[fate as usize].add();
            }
            Ok(false) => self
                .tally
                .note(&format!("order {order} was settled before")),
            Err(error) => self.tally.note(&error),
        }
    }
}
