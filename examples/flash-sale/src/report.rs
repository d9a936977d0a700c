//! The final report: the outcome of the orders, what it took, and whether every promise was kept.

use std::fmt;
use std::time::Duration;

use lab::quantile::quantile;

use crate::run::Sale;
use crate::shop::Refusal;
use crate::stock::Fate;

/// What is printed after a sale.
#[derive(Debug)]
pub struct Report {
    sale: Sale,
    /// The waits that half of the buyers, and 99 % of them, did not exceed.
    waits: [Option<Duration>; 2],
}

impl Report {
    /// The report on this sale.
    #[must_use]
    pub fn new(mut sale: Sale) -> Self {
        sale.seen.waits.sort_unstable();
        let waits = [0.5, 0.99].map(|part| quantile(&sale.seen.waits, part));
        Self { sale, waits }
    }

    /// Whether every promise was kept, every request was answered, and nothing broke.
    #[must_use]
    pub fn is_good(&self) -> bool {
        let Sale { tally, seen, audit } = &self.sale;
        audit.breaches().is_empty() && seen.unanswered == 0 && tally.trouble.get().is_none()
    }
}

/// A line of the report.
fn line(f: &mut fmt::Formatter<'_>, what: &str, count: u64) -> fmt::Result {
    writeln!(f, "{what:<36}{count:>9}")
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Sale { tally, seen, audit } = &self.sale;
        line(f, "orders sent", seen.sent)?;
        line(f, "  accepted", audit.accepted)?;
        for fate in Fate::ALL {
            line(
                f,
                &format!("    {}", fate.name()),
                tally.settled[fate as usize].get(),
            )?;
        }
        line(f, "  refused", tally.all_refused())?;
        for refusal in Refusal::ALL {
            let count = tally.refused[refusal as usize].get();
            line(f, &format!("    {}", refusal.reason()), count)?;
        }
        line(f, "requests without an answer", seen.unanswered)?;
        line(f, "conflicts over the stock", tally.conflicts.get())?;
        line(f, "product pages", tally.pages.get())?;
        line(f, "  read from the database", tally.page_loads.get())?;
        line(f, "fraud checks begun", tally.checks.get())?;
        line(f, "  workers killed", tally.killed.get())?;
        line(f, "  checks that died and were redone", tally.died.get())?;
        let seconds = seen.elapsed.as_secs_f64();
        let [half, most] = self
            .waits
            .map(|wait| wait.unwrap_or_default().as_secs_f64() * 1e3);
        writeln!(
            f,
            "\n{:.0} orders a second for {seconds:.2} s; waits p50 {half:.1} ms, p99 {most:.1} ms\n",
            seen.sent as f64 / seconds
        )?;
        writeln!(
            f,
            "audit: of {} units {} left, {} paid; of {} accepted {} paid, {} given up, {} without an end",
            audit.units,
            audit.left,
            audit.paid,
            audit.accepted,
            audit.paid,
            audit.given_up,
            audit.unsettled
        )?;
        if let Some(trouble) = tally.trouble.get() {
            writeln!(f, "broken: {trouble}")?;
        }
        if seen.unanswered > 0 {
            let unanswered = seen.unanswered;
            writeln!(
                f,
                "broken: {unanswered} requests got no answer; let fewer come, with --rate or --clients"
            )?;
        }
        let breaches = audit.breaches();
        for &breach in &breaches {
            writeln!(f, "broken promise: {breach}: {}", audit.details(breach))?;
        }
        if breaches.is_empty() {
            writeln!(f, "never oversold, no accepted order lost, each paid once")?;
        }
        Ok(())
    }
}
