//! The rush: buyers who arrive at a fixed rate, whether or not the shop keeps up.
//!
//! Buyer number `n` is due `n / rate` seconds after the doors open. Waits are measured from when a buyer was *due*, not
//! from when a client thread was free for it; otherwise a slow shop would slow the buyers down and look better.
//!
//! Each looks at the page and orders. Some click twice, which sends the order again with the same key; and some are a
//! robot's, all from one account.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use thread_pool::{BuildError, FutureResult, ThreadPoolExecutor};
use ureq::Agent;

use crate::front::KEY;
use crate::progress::Progress;

/// One buyer in this many clicks twice.
const TWICE_ONE_IN: u32 = 20;
/// One in this many is the robot's, whose account is number 0.
const ROBOT_ONE_IN: u32 = 5;
/// After this a client gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// The rush on the shop.
#[derive(Clone, Debug)]
pub struct Rush {
    /// How many buyers come.
    pub buyers: u32,
    /// How many arrive per second.
    pub rate: NonZeroU32,
    /// How many accounts they have, besides the robot's.
    pub accounts: NonZeroU32,
    /// How many may be in the shop at once, each on a connection.
    pub clients: usize,
    /// The seed of all randomness.
    pub seed: u64,
}

/// What the buyers saw.
#[derive(Debug, Default)]
pub struct Seen {
    /// The keys of accepted orders, once for each time that a buyer was told so.
    pub accepted: Vec<String>,
    /// Orders that were sent, including second clicks.
    pub sent: u64,
    /// Requests that got no answer at all.
    pub unanswered: u64,
    /// How long buyers waited for the answer to their first click.
    pub waits: Vec<Duration>,
    /// From the first buyer to the last.
    pub elapsed: Duration,
}

/// What one buyer does.
struct Buyer {
    account: u32,
    key: String,
    clicks: u32,
    due: Instant,
}

/// What one buyer saw.
#[derive(Default)]
struct Visit {
    accepted: u32,
    unanswered: u64,
    wait: Option<Duration>,
}

/// Sends all buyers, and waits until the last has an answer.
///
/// # Errors
/// When there are no threads for them.
pub fn run(address: SocketAddr, rush: &Rush, progress: &Arc<Progress>) -> Result<Seen, BuildError> {
    let clients = ThreadPoolExecutor::builder()
        .name("client")
        .workers(rush.clients)
        .build()?;
    let agent: Agent = Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(PATIENCE))
        .max_idle_connections(rush.clients)
        .max_idle_connections_per_host(rush.clients)
        .build()
        .into();
    let mut rng = Rng::with_seed(rush.seed);
    let start = Instant::now();
    let mut visits = Vec::with_capacity(rush.buyers as usize);
    let mut seen = Seen::default();
    for number in 0..rush.buyers {
        let due = start + Duration::from_secs(1) * number / rush.rate.get();
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let is_robot = rng.u32(..ROBOT_ONE_IN) == 0;
        let account = rng.u32(1..=rush.accounts.get());
        let buyer = Buyer {
            account: if is_robot { 0 } else { account },
            key: format!("{:x}-{number}", rush.seed),
            clicks: if rng.u32(..TWICE_ONE_IN) == 0 { 2 } else { 1 },
            due,
        };
        seen.sent += u64::from(buyer.clicks);
        let (agent, progress) = (agent.clone(), Arc::clone(progress));
        let key = buyer.key.clone();
        let visit = clients.submit(move || {
            let visit = buyer.visit(&agent, address);
            progress.visited();
            visit
        });
        visits.push((key, visit));
    }
    for (key, visit) in visits {
        // A buyer whose thread panicked has no answer either.
        let visit = visit.result().unwrap_or(Visit {
            unanswered: 1,
            ..Visit::default()
        });
        seen.accepted
            .extend((0..visit.accepted).map(|_| key.clone()));
        seen.unanswered += visit.unanswered;
        seen.waits.extend(visit.wait);
    }
    seen.elapsed = start.elapsed();
    Ok(seen)
}

impl Buyer {
    fn visit(&self, agent: &Agent, address: SocketAddr) -> Visit {
        let mut visit = Visit::default();
        let page = agent.get(format!("http://{address}/product")).call();
        if page
            .and_then(|mut page| page.body_mut().read_to_string())
            .is_err()
        {
            visit.unanswered += 1;
        }
        let orders = format!("http://{address}/orders?buyer={}", self.account);
        for click in 0..self.clicks {
            let answer = agent.post(&orders).header(KEY, &self.key).send_empty();
            let status = answer.and_then(|mut answer| {
                // Read to its end, so that the connection can be reused.
                answer.body_mut().read_to_string()?;
                Ok(answer.status().as_u16())
            });
            match status {
                Ok(202) => visit.accepted += 1,
                Ok(_) => {}
                Err(_) => visit.unanswered += 1,
            }
            if click == 0 {
                visit.wait = Some(self.due.elapsed());
            }
        }
        visit
    }
}
