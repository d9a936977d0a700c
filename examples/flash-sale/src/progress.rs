//! The live view, on stderr; hidden if that is not a terminal.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::shop::Refusal;
use crate::stock::Fate;
use crate::tally::Tally;

/// How often the view is drawn while nobody arrives.
const TICK: Duration = Duration::from_millis(100);

/// A bar of the buyers, and below it the outcome of their orders so far.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    tally: Arc<Tally>,
}

impl Progress {
    /// Draws the view for this many buyers.
    #[must_use]
    pub fn expect(buyers: u32, tally: Arc<Tally>) -> Self {
        let bar = ProgressBar::new(u64::from(buyers));
        let template = "buyers {bar:40} {pos}/{len} {elapsed}\n{msg}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        if !bar.is_hidden() {
            bar.enable_steady_tick(TICK);
        }
        Self { bar, tally }
    }

    /// No view, for callers that only want the outcome.
    #[must_use]
    pub fn hidden(tally: Arc<Tally>) -> Self {
        let bar = ProgressBar::hidden();
        Self { bar, tally }
    }

    /// Counts one more buyer.
    pub fn visited(&self) {
        self.bar.inc(1);
        if !self.bar.is_hidden() {
            self.bar.set_message(Now(&self.tally).to_string());
        }
    }

    /// Clears the view.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// The line below the bar.
struct Now<'a>(&'a Tally);

impl fmt::Display for Now<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let refused = |refusal: Refusal| self.0.refused[refusal as usize].get();
        write!(
            f,
            "accepted {}, paid {}; refused {}: queue full {}, sold out {}; conflicts {}; workers killed {}",
            self.0.accepted.get(),
            self.0.settled[Fate::Paid as usize].get(),
            self.0.all_refused(),
            refused(Refusal::Busy),
            refused(Refusal::SoldOut),
            self.0.conflicts.get(),
            self.0.killed.get(),
        )
    }
}
