//! A bar for each stage, on stderr; hidden if that is not a terminal.

use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::stage::Stage;

/// How often the bars are drawn while nothing finishes.
const TICK: Duration = Duration::from_millis(100);

/// The bars. A file that failed in a stage is not expected in later ones.
#[derive(Debug)]
pub struct Progress {
    bars: [ProgressBar; Stage::ALL.len()],
}

impl Progress {
    /// Draws the bars for this many files.
    #[must_use]
    pub fn expect(files: usize) -> Self {
        let all = MultiProgress::new();
        let style = ProgressStyle::with_template("{msg:8} {bar:30} {pos}/{len} {elapsed}");
        let bars = Stage::ALL.map(|stage| {
            let bar = all.add(ProgressBar::new(files as u64).with_message(stage.name()));
            if let Ok(style) = &style {
                bar.set_style(style.clone());
            }
            if !bar.is_hidden() {
                bar.enable_steady_tick(TICK);
            }
            bar
        });
        Self { bars }
    }

    /// No bars, for callers that only want the outcome.
    #[must_use]
    pub fn hidden() -> Self {
        Self {
            bars: Stage::ALL.map(|_| ProgressBar::hidden()),
        }
    }

    /// A stage has finished one more file.
    pub fn done(&self, stage: Stage) {
        self.bars[stage as usize].inc(1);
    }

    /// One more file failed in this stage.
    pub fn failed(&self, stage: Stage) {
        for bar in &self.bars[stage as usize..] {
            bar.dec_length(1);
        }
    }

    /// Clears the bars.
    pub fn finish(self) {
        for bar in self.bars {
            bar.finish_and_clear();
        }
    }
}
