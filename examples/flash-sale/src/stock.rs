//! The stock and the orders, in SQLite, under an optimistic lock.
//!
//! A reservation first reads the row without a lock: how many units are left, and the row's version. Then it writes
//! `left - 1` **on condition that the version is still the same**. If somebody was faster, no row matches; that is a
//! conflict, and the reservation reads again after a random pause, which doubles each time so that a crowd spreads
//! out. The order is written in the same transaction, so there is never a unit taken without an order, nor an order
//! without a unit.
//!
//! ```text
//! reserve: accepted ──► settle: paid      a payment is written in the same transaction
//!                          └──► given up  the unit goes back on the shelf in the same transaction
//! ```
//!
//! An order leaves `accepted` once: [`settle`](Stock::settle) has that state in its condition. So settling twice pays
//! once.

use std::path::Path;
use std::thread;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

/// How often a reservation is tried again before it is refused.
const LOOKS_MAX: u32 = 64;
/// The longest pause after a first conflict, and the longest of all.
const PAUSES: (Duration, Duration) = (Duration::from_micros(100), Duration::from_millis(5));
/// How long a writer waits for another. SQLite has one at a time, each for less than a millisecond.
const BUSY: Duration = Duration::from_secs(30);

/// What is on sale, in hundredths of the currency.
const PRICE: i64 = 19_900;

// The tables deliberately have no constraint against selling a unit twice or paying an order twice: the code has to
// ensure that, and the audit would have nothing to find. A real shop has such constraints too.
const SCHEMA: &str = "
    PRAGMA journal_mode = WAL;
    CREATE TABLE product (units INTEGER NOT NULL, left INTEGER NOT NULL, version INTEGER NOT NULL);
    CREATE TABLE orders (
        id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, buyer INTEGER NOT NULL, state TEXT NOT NULL
    );
    CREATE TABLE payments (order_id INTEGER NOT NULL, cents INTEGER NOT NULL);
    CREATE INDEX payments_of ON payments (order_id);
";

/// One connection to the shop's database; each thread that uses it has its own.
#[derive(Debug)]
pub struct Stock {
    connection: Connection,
}

/// The outcome of a reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reserved {
    /// A unit is reserved for the order with this number.
    Order(i64),
    /// There is an order with this key already.
    Duplicate,
    /// Nothing is left.
    SoldOut,
    /// Others were faster each time.
    Contended,
}

/// How an accepted order ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was paid.
    Paid,
    /// The check said that it is a fraud; the unit went back.
    Fraud,
    /// The check never gave an answer; the unit went back.
    Unchecked,
}

impl Fate {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Paid, Self::Fraud, Self::Unchecked];

    /// Its name in the database.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Paid => "paid",
            Self::Fraud => "fraud",
            Self::Unchecked => "unchecked",
        }
    }
}

impl Stock {
    /// Creates a database with this many units on the shelf.
    ///
    /// # Errors
    /// If the file cannot be written, or is a shop already.
    pub fn create(path: &Path, units: u32) -> rusqlite::Result<Self> {
        let stock = Self::connect(path)?;
        stock.connection.execute_batch(SCHEMA)?;
        let product = "INSERT INTO product (units, left, version) VALUES (?1, ?1, 0)";
        stock.connection.execute(product, [units])?;
        Ok(stock)
    }

    /// Another connection to the same database.
    ///
    /// # Errors
    /// If the file cannot be opened, or is not a shop.
    pub fn open(path: &Path) -> rusqlite::Result<Self> {
        let stock = Self::connect(path)?;
        stock.left()?;
        Ok(stock)
    }

    fn connect(path: &Path) -> rusqlite::Result<Self> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(BUSY)?;
        // With the journal above this survives a crash of the program; a power cut can lose the last orders.
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        Ok(Self { connection })
    }

    /// The connection, for reading the tables.
    #[must_use]
    pub const fn connection(&self) -> &Connection {
        &self.connection
    }

    /// How many units are on the shelf.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn left(&self) -> rusqlite::Result<u32> {
        self.connection
            .query_row("SELECT left FROM product", [], |row| row.get(0))
    }

    /// Reserves a unit for the buyer, and creates the order. Calls `on_conflict` for every conflict.
    ///
    /// # Errors
    /// When the database cannot be read or written. There is no order then.
    pub fn reserve(
        &self,
        buyer: u32,
        key: &str,
        mut on_conflict: impl FnMut(),
    ) -> rusqlite::Result<Reserved> {
        let (mut pause, longest) = PAUSES;
        for _ in 0..LOOKS_MAX {
            let (left, version) = self.look()?;
            if self.is_known(key)? {
                return Ok(Reserved::Duplicate);
            }
            if left <= 0 {
                return Ok(Reserved::SoldOut);
            }
            if let Some(reserved) = self.take(buyer, key, left, version)? {
                return Ok(reserved);
            }
            on_conflict();
            thread::sleep(pause.mul_f64(fastrand::f64()));
            pause = (pause * 2).min(longest);
        }
        Ok(Reserved::Contended)
    }

    /// How many are left, and the row's version.
    fn look(&self) -> rusqlite::Result<(i64, i64)> {
        self.connection
            .query_row("SELECT left, version FROM product", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
    }

    fn is_known(&self, key: &str) -> rusqlite::Result<bool> {
        let order = "SELECT 1 FROM orders WHERE key = ?1";
        let found: Option<i64> = self
            .connection
            .query_row(order, [key], |row| row.get(0))
            .optional()?;
        Ok(found.is_some())
    }

    /// Takes one of `left` units if the version is still this one; `None` if it is not.
    fn take(
        &self,
        buyer: u32,
        key: &str,
        left: i64,
        version: i64,
    ) -> rusqlite::Result<Option<Reserved>> {
        let transaction = self.begin()?;
        let take = "UPDATE product SET left = ?1, version = version + 1 WHERE version = ?2";
        if transaction.execute(take, [left - 1, version])? == 0 {
            return Ok(None);
        }
        let order = "INSERT INTO orders (key, buyer, state) VALUES (?1, ?2, 'accepted') ON CONFLICT DO NOTHING";
        if transaction.execute(order, params![key, buyer])? == 0 {
            // Its twin came in between. Dropping the transaction puts the unit back.
            return Ok(Some(Reserved::Duplicate));
        }
        let id = transaction.last_insert_rowid();
        transaction.commit()?;
        Ok(Some(Reserved::Order(id)))
    }

    /// Ends an accepted order: takes the money, or puts the unit back. Returns false if an earlier call did.
    ///
    /// # Errors
    /// If the database cannot be written. The order is unchanged then.
    pub fn settle(&self, order: i64, fate: Fate) -> rusqlite::Result<bool> {
        let transaction = self.begin()?;
        let settle = "UPDATE orders SET state = ?2 WHERE id = ?1 AND state = 'accepted'";
        if transaction.execute(settle, params![order, fate.name()])? == 0 {
            return Ok(false);
        }
        if fate == Fate::Paid {
            // A real shop would call its bank here, with the order's number as the bank's idempotency key.
            let pay = "INSERT INTO payments (order_id, cents) VALUES (?1, ?2)";
            transaction.execute(pay, [order, PRICE])?;
        } else {
            // It does not depend on what it read, so it checks no version; but others that read must see the change.
            let give_back = "UPDATE product SET left = left + 1, version = version + 1";
            transaction.execute(give_back, [])?;
        }
        transaction.commit()?;
        Ok(true)
    }

    /// A transaction that may write from its start, so that it waits for others here, and never fails half-way.
    fn begin(&self) -> rusqlite::Result<Transaction<'_>> {
        Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sale_between_look_and_take_is_a_conflict_that_takes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shop.sqlite");
        let (slow, fast) = (
            Stock::create(&path, 5).unwrap(),
            Stock::open(&path).unwrap(),
        );
        let (left, version) = slow.look().unwrap();
        let sold = fast.reserve(1, "fast", || ()).unwrap();
        assert!(matches!(sold, Reserved::Order(_)));
        assert_eq!(slow.take(2, "slow", left, version).unwrap(), None);
        assert_eq!(
            (slow.left().unwrap(), slow.is_known("slow").unwrap()),
            (4, false)
        );

        // A unit is given back between read and write: the number that was read is too small, and would lose a unit.
        let Reserved::Order(id) = fast.reserve(1, "fraud", || ()).unwrap() else {
            panic!("there are units left");
        };
        let (left, version) = slow.look().unwrap();
        assert!(fast.settle(id, Fate::Fraud).unwrap());
        assert_eq!(slow.take(2, "slow", left, version).unwrap(), None);
        assert_eq!(slow.left().unwrap(), 4);
        assert!(matches!(
            slow.reserve(2, "slow", || ()).unwrap(),
            Reserved::Order(_)
        ));
    }

    #[test]
    fn twin_between_look_and_take_is_a_duplicate_that_takes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let stock = Stock::create(&folder.path().join("shop.sqlite"), 5).unwrap();
        stock.reserve(1, "key", || ()).unwrap();
        let (left, version) = stock.look().unwrap();
        assert_eq!(
            stock.take(1, "key", left, version).unwrap(),
            Some(Reserved::Duplicate)
        );
        assert_eq!(stock.look().unwrap(), (left, version));
    }
}
