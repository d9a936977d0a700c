//! The table of the stages, the totals, and the files that failed.

use std::fmt;

use crate::flow::{Job, Outcome, Work};
use crate::memory;
use crate::stage::Stage;

const MIB: f64 = 1024.0 * 1024.0;

/// The outcome of all files.
#[derive(Debug)]
pub struct Report<'a> {
    job: &'a Job,
    outcome: &'a Outcome,
    peak_memory: Option<u64>,
}

impl<'a> Report<'a> {
    /// The report on this outcome, with the peak memory up to now.
    #[must_use]
    pub fn new(job: &'a Job, outcome: &'a Outcome) -> Self {
        Self {
            job,
            outcome,
            peak_memory: memory::peak(),
        }
    }

    fn stages(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [stage, pool, threads, files, failed] = ["stage", "pool", "threads", "files", "failed"];
        let [mib, busy, rate, load] = ["MiB", "busy s", "MiB/s", "load"];
        writeln!(
            f,
            "{stage:8} {pool:>4} {threads:>7} {files:>6} {failed:>6} {mib:>8} {busy:>8} {rate:>8} {load:>5}"
        )?;
        for stage in Stage::ALL {
            let Work {
                files,
                failed,
                bytes,
                busy,
            } = self.outcome.stages[stage as usize];
            let (pool, threads) = match stage {
                Stage::Read | Stage::Write => ("io", self.job.io_workers),
                Stage::Parse | Stage::Compress => ("cpu", self.job.cpu_workers),
            };
            let (mib, busy) = (bytes as f64 / MIB, busy.as_secs_f64());
            let load = 100.0 * ratio(busy, self.outcome.elapsed.as_secs_f64() * threads as f64);
            writeln!(
                f,
                "{:8} {pool:>4} {threads:>7} {files:>6} {failed:>6} {mib:>8.1} {busy:>8.3} {:>8.1} {load:>4.0}%",
                stage.name(),
                ratio(mib, busy)
            )?;
        }
        writeln!(
            f,
            "MiB/s of one busy thread; load: how much of its pool's time a stage took"
        )
    }
}

/// 0 if the divisor is 0.
fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (job, outcome) = (self.job, self.outcome);
        self.stages(f)?;

        let seconds = outcome.elapsed.as_secs_f64();
        let raw = outcome.stages[Stage::Compress as usize].bytes as f64 / MIB;
        let packed = outcome.packed_bytes as f64 / MIB;
        writeln!(
            f,
            "\n{} of {} files in {seconds:.3} s, {:.1} MiB/s: {raw:.1} MiB became {packed:.1} MiB",
            outcome.written,
            job.files.len(),
            ratio(raw, seconds)
        )?;
        write!(
            f,
            "at most {} of {} allowed files at once; peak memory ",
            outcome.most_at_once, job.window
        )?;
        match self.peak_memory {
            Some(bytes) => writeln!(f, "{:.1} MiB", bytes as f64 / MIB)?,
            None => writeln!(f, "unknown on this system")?,
        }
        let stats = &outcome.stats;
        write!(f, "{} entries, {} odd lines; ", stats.entries, stats.odd)?;
        for (class, entries) in (1..).zip(stats.by_class) {
            write!(f, "{class}xx: {entries}, ")?;
        }
        writeln!(f, "{:.1} MiB sent", stats.sent as f64 / MIB)?;

        if !outcome.failed.is_empty() {
            writeln!(f, "\nfailed files")?;
        }
        for (&file, reason) in &outcome.failed {
            writeln!(f, "{}  {reason}", job.files[file].display())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::stage::FileError;

    fn job(files: usize) -> Job {
        Job {
            files: (0..files).map(|n| format!("in/{n}").into()).collect(),
            output: "out".into(),
            io_workers: 4,
            cpu_workers: 2,
            window: 8,
            max_bytes: 1,
            level: 6,
        }
    }

    #[test]
    fn stage_has_the_speed_of_one_thread_and_its_share_of_the_pool() {
        let mut outcome = Outcome {
            elapsed: Duration::from_secs(2),
            ..Outcome::default()
        };
        outcome.stages[Stage::Compress as usize] = Work {
            files: 3,
            failed: 0,
            bytes: 30 * 1024 * 1024,
            busy: Duration::from_secs(3),
        };
        let text = Report::new(&job(3), &outcome).to_string();
        let row = "compress  cpu       2      3      0     30.0    3.000     10.0   75%\n";
        assert!(text.contains(row), "{text}");
    }

    #[test]
    fn failed_files_are_told_one_by_one_in_their_order() {
        let mut outcome = Outcome::default();
        outcome.failed.insert(2, FileError::NoFile);
        outcome.failed.insert(0, FileError::NoLog(3));
        let text = Report::new(&job(3), &outcome).to_string();
        let list = "\nfailed files\nin/0  is not an access log: none of its 3 lines is an entry\nin/2  is not a file\n";
        assert!(text.ends_with(list), "{text}");
        assert!(
            text.contains("\n0 of 3 files in 0.000 s, 0.0 MiB/s"),
            "{text}"
        );
    }
}
