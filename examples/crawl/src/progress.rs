//! Collects the pages of one way as they arrive, in any order, and draws the bar.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::fetch::{FetchError, Outcome};

/// How often the bar is drawn while no page arrives.
const TICK: Duration = Duration::from_millis(100);

/// The pages that a way has fetched so far. The bar is on stderr, and hidden if that is not a terminal.
#[derive(Debug)]
pub struct Arrivals<'a> {
    urls: &'a [String],
    way: &'static str,
    slots: Vec<Option<Outcome>>,
    bar: ProgressBar,
    is_announced: bool,
    start: Instant,
}

impl<'a> Arrivals<'a> {
    /// Starts the clock of a way that will fetch these pages.
    #[must_use]
    pub fn expect(urls: &'a [String], way: &'static str) -> Self {
        let bar = ProgressBar::new(urls.len() as u64).with_message(way);
        let style = "{msg:26} {bar:30} {pos}/{len} {elapsed}";
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style);
        }
        if !bar.is_hidden() {
            bar.enable_steady_tick(TICK);
        }
        let slots = vec![const { None }; urls.len()];
        Self {
            urls,
            way,
            slots,
            bar,
            is_announced: false,
            start: Instant::now(),
        }
    }

    /// Takes the outcome of the page at this index.
    pub fn add(&mut self, index: usize, outcome: Outcome) {
        if let Some(slot) = self.slots.get_mut(index) {
            *slot = Some(outcome);
            self.bar.inc(1);
        }
    }

    /// Takes it too, and prints it at once: for a way that yields each page as soon as it arrives.
    pub fn add_and_print(&mut self, index: usize, outcome: Outcome) {
        let seconds = self.start.elapsed().as_secs_f64();
        let url = self.urls.get(index).map_or("", String::as_str);
        let line = match &outcome {
            Ok(page) => format!("{} ({} bytes)", page.title, page.bytes),
            Err(error) => format!("failed: {error}"),
        };
        self.bar.suspend(|| {
            // If nobody reads the output any more, the run still goes on.
            let mut out = io::stdout().lock();
            if !self.is_announced {
                let _ = writeln!(out, "{}, pages as they come:", self.way);
            }
            let _ = writeln!(out, "{seconds:7.3} s  {url}  {line}");
        });
        self.is_announced = true;
        self.add(index, outcome);
    }

    /// Stops the clock. A page without an outcome counts as failed.
    #[must_use]
    pub fn finish(self) -> (Vec<Outcome>, Duration) {
        let elapsed = self.start.elapsed();
        self.bar.finish_and_clear();
        let missing = || FetchError::Task("it never told what became of the page".to_owned());
        let outcomes = self
            .slots
            .into_iter()
            .map(|slot| slot.unwrap_or_else(|| Err(missing())));
        (outcomes.collect(), elapsed)
    }
}
