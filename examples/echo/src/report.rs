//! The figures at the end.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::load::Outcome;

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let messages = self.latencies.count();
        let rate = messages as f64 / self.elapsed.as_secs_f64();
        let micros = |time: Option<Duration>| time.unwrap_or_default().as_secs_f64() * 1e6;
        let connecting = self.connecting.as_secs_f64();
        writeln!(f, "connections held       {:>12}", self.held)?;
        writeln!(f, "connections lost       {:>12}", self.lost.len())?;
        writeln!(f, "connecting, s          {connecting:>12.3}")?;
        writeln!(f, "messages               {messages:>12}")?;
        writeln!(f, "messages a second      {rate:>12.0}")?;
        for (name, part) in [("half within, µs", 0.5), ("99 % within, µs", 0.99)] {
            writeln!(
                f,
                "{name:22} {:>12.1}",
                micros(self.latencies.quantile(part))
            )?;
        }
        let longest = micros(Some(self.latencies.longest()));
        writeln!(f, "the longest, µs        {longest:>12.1}")?;
        let mut reasons = BTreeMap::new();
        for error in &self.lost {
            *reasons.entry(error.to_string()).or_insert(0) += 1;
        }
        for (reason, count) in reasons {
            writeln!(f, "lost: {count} x {reason}")?;
        }
        Ok(())
    }
}
