//! A whole sale: the stock, the shop, the doors, the rush, and the audit.

use std::io;
use std::path::Path;
use std::sync::Arc;

use thiserror::Error;

use crate::audit::Audit;
use crate::front::{ServeError, Server};
use crate::load::{self, Rush, Seen};
use crate::progress::Progress;
use crate::shop::{OpenError, Plan, Shop};
use crate::stock::Stock;
use crate::tally::Tally;

/// All that is known after a sale.
#[derive(Debug)]
pub struct Sale {
    /// What the shop counted.
    pub tally: Arc<Tally>,
    /// What the buyers saw.
    pub seen: Seen,
    /// What is true.
    pub audit: Audit,
}

/// Why the sale could not begin or end.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SaleError {
    /// There is no place for the database.
    #[error("cannot make a temporary folder: {0}; name another one in TMPDIR")]
    Folder(#[from] io::Error),
    /// The database could not be created or read.
    #[error("the database: {0}")]
    Stock(#[from] rusqlite::Error),
    /// The shop did not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The server did not start or end.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// There were no clients.
    #[error("cannot start the clients' threads: {0}; allow fewer with --clients")]
    Clients(#[from] thread_pool::BuildError),
    /// The shop did not close.
    #[error("the shop does not close: {0}")]
    Close(#[from] thread_pool::ShutdownError),
}

/// Sells this many units, in a new database in this folder.
///
/// # Errors
/// If the sale cannot begin or end. What happened to orders is in the outcome.
pub fn sell(
    folder: &Path,
    units: u32,
    plan: &Plan,
    rush: &Rush,
    view: impl FnOnce(Arc<Tally>) -> Progress,
) -> Result<Sale, SaleError> {
    let path = folder.join("shop.sqlite");
    let stock = Stock::create(&path, units)?;
    let tally = Arc::new(Tally::default());
    let shop = Arc::new(Shop::open(&path, plan, Arc::clone(&tally))?);
    let server = Server::start(Arc::clone(&shop))?;
    let progress = Arc::new(view(Arc::clone(&tally)));
    let seen = load::run(server.address(), rush, &progress)?;
    server.stop()?;
    // Orders under check still have to end.
    shop.close()?;
    progress.finish();
    let audit = Audit::of(stock.connection(), &seen.accepted)?;
    Ok(Sale { tally, seen, audit })
}
