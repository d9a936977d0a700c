//! What is true after the sale: read from the database, and compared with what buyers were told.
//!
//! Counters prove nothing: the code that counts may be wrong itself. So nothing here comes from a tally.

use std::collections::BTreeSet;
use std::fmt;

use rusqlite::Connection;

/// What the database says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// Units that were for sale.
    pub units: u64,
    /// Units on the shelf; negative, if that happens.
    pub left: i64,
    /// Orders that were accepted, however they ended.
    pub accepted: u64,
    /// Those that have not ended.
    pub unsettled: u64,
    /// Those that were paid.
    pub paid: u64,
    /// Those that were given up, as fraud or unchecked.
    pub given_up: u64,
    /// Paid orders without exactly one payment.
    pub not_paid_once: u64,
    /// Payments without a paid order.
    pub stray_payments: u64,
    /// Orders that buyers were told are accepted, but that are missing.
    pub missing: Vec<String>,
    /// Keys that buyers were told more than once are accepted.
    pub accepted_twice: Vec<String>,
}

/// A broken promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breach {
    /// More was sold than there was.
    Oversold,
    /// Units on the shelf and units sold do not add up.
    Unbalanced,
    /// Accepted orders have not ended, or are missing.
    Lost,
    /// An order was accepted twice.
    Twice,
    /// An order was not paid exactly once, or money was taken for none.
    Paid,
}

impl Audit {
    /// Reads the database after the sale, and looks for the orders with these keys in it.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn of(connection: &Connection, told: &[String]) -> rusqlite::Result<Self> {
        let count = |query: &str| connection.query_row(query, [], |row| row.get(0));
        let mut audit = Self {
            units: count("SELECT units FROM product")? as u64,
            left: count("SELECT left FROM product")?,
            accepted: count("SELECT count(*) FROM orders")? as u64,
            unsettled: count("SELECT count(*) FROM orders WHERE state = 'accepted'")? as u64,
            paid: count("SELECT count(*) FROM orders WHERE state = 'paid'")? as u64,
            given_up: count("SELECT count(*) FROM orders WHERE state IN ('fraud', 'unchecked')")?
                as u64,
            not_paid_once: count(
                "SELECT count(*) FROM orders WHERE state = 'paid'
                 AND (SELECT count(*) FROM payments WHERE order_id = id) <> 1",
            )? as u64,
            stray_payments: count(
                "SELECT count(*) FROM payments LEFT JOIN orders ON order_id = id AND state = 'paid'
                 WHERE id IS NULL",
            )? as u64,
            ..Self::default()
        };
        let mut known = connection.prepare("SELECT 1 FROM orders WHERE key = ?1")?;
        let mut seen = BTreeSet::new();
        for key in told {
            if !seen.insert(key) {
                audit.accepted_twice.push(key.clone());
            } else if !known.exists([key])? {
                audit.missing.push(key.clone());
            }
        }
        Ok(audit)
    }

    /// All broken promises; none after a good sale.
    #[must_use]
    pub fn breaches(&self) -> Vec<Breach> {
        let held = i128::from(self.paid) + i128::from(self.unsettled);
        let units = i128::from(self.units);
        let checks = [
            (Breach::Oversold, self.left < 0 || held > units),
            (Breach::Unbalanced, i128::from(self.left) + held != units),
            (Breach::Lost, self.unsettled > 0 || !self.missing.is_empty()),
            (Breach::Twice, !self.accepted_twice.is_empty()),
            (
                Breach::Paid,
                self.not_paid_once > 0 || self.stray_payments > 0,
            ),
        ];
        let broken = checks.into_iter().filter(|(_, is_broken)| *is_broken);
        broken.map(|(breach, _)| breach).collect()
    }

    /// How the promise was broken, with what helps to find out why.
    #[must_use]
    pub fn details(&self, breach: Breach) -> String {
        let Self { units, left, .. } = self;
        match breach {
            Breach::Oversold | Breach::Unbalanced => {
                let (paid, unsettled) = (self.paid, self.unsettled);
                format!("{units} units, {left} left, {paid} paid, {unsettled} without an end")
            }
            Breach::Lost => format!(
                "{} without an end, {} not there{}",
                self.unsettled,
                self.missing.len(),
                first(&self.missing)
            ),
            Breach::Twice => format!(
                "{} keys{}",
                self.accepted_twice.len(),
                first(&self.accepted_twice)
            ),
            Breach::Paid => format!(
                "{} paid orders without exactly one payment, {} payments for no paid order",
                self.not_paid_once, self.stray_payments
            ),
        }
    }
}

/// The first few of these keys, to look for.
fn first(keys: &[String]) -> String {
    keys.first()
        .map(|key| format!(", the first is {key}"))
        .unwrap_or_default()
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Oversold => "more was sold than there was",
            Self::Unbalanced => "units left and units sold are not those that there were",
            Self::Lost => "accepted orders were lost",
            Self::Twice => "an order was accepted twice",
            Self::Paid => "an order was not paid exactly once",
        })
    }
}
