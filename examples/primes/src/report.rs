//! The table at the end, and whether all ways agree.

use std::fmt;

use crate::ways::Row;

/// The outcome of all ways.
#[derive(Debug)]
pub struct Report<'a> {
    numbers: &'a [u64],
    rows: Vec<Row>,
}

impl<'a> Report<'a> {
    /// A report on these numbers; every row has as many answers, in the same order.
    #[must_use]
    pub fn new(numbers: &'a [u64], rows: Vec<Row>) -> Self {
        Self { numbers, rows }
    }

    /// Whether every way finished, with the same answers.
    #[must_use]
    pub fn is_agreed(&self) -> bool {
        self.rows.iter().all(|row| row.answers.is_ok()) && self.disputed().next().is_none()
    }

    /// Whether every way finished with these answers.
    #[must_use]
    pub fn confirms(&self, answers: &[bool]) -> bool {
        let mut rows = self.rows.iter();
        rows.all(|row| row.answers.is_ok() && row.answers() == answers)
    }

    /// The numbers on which two ways that finished disagree.
    fn disputed(&self) -> impl Iterator<Item = u64> {
        let numbers = self.numbers.iter().enumerate();
        numbers.filter_map(|(index, &number)| {
            let mut answers = self.rows.iter().filter_map(|row| row.answers().get(index));
            let first = answers.next();
            answers
                .any(|answer| Some(answer) != first)
                .then_some(number)
        })
    }

    /// How many times as fast as the first way, if that finished.
    fn speed_up(&self, row: &Row) -> Option<f64> {
        let first = self.rows.first().filter(|first| first.answers.is_ok())?;
        Some(first.elapsed.as_secs_f64() / row.elapsed.as_secs_f64())
    }
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wide = self.rows.iter().map(|row| row.way.len()).max();
        let wide = wide.unwrap_or_default();
        let [way, numbers, primes] = ["way", "numbers", "primes"];
        let [seconds, rate, speed_up] = ["seconds", "numbers/s", "speed-up"];
        writeln!(
            f,
            "{way:wide$} {numbers:>8} {primes:>7} {seconds:>9} {rate:>10} {speed_up:>9}"
        )?;
        for row in &self.rows {
            write!(f, "{:wide$} ", row.way)?;
            if let Err(error) = &row.answers {
                writeln!(f, "did not finish: {error}")?;
                continue;
            }
            let (numbers, primes) = (self.numbers.len(), row.primes());
            let seconds = row.elapsed.as_secs_f64();
            let rate = numbers as f64 / seconds;
            let speed_up = self.speed_up(row);
            let speed_up = speed_up.map_or_else(|| "-".to_owned(), |times| format!("{times:.1} x"));
            writeln!(
                f,
                "{numbers:>8} {primes:>7} {seconds:>9.3} {rate:>10.1} {speed_up:>9}"
            )?;
        }
        for number in self.disputed() {
            writeln!(f, "the ways do not agree on whether {number} is prime")?;
        }
        if self.is_agreed() {
            writeln!(f, "\nall ways agree on every number")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::ways::WayError;

    fn row(way: &'static str, millis: u64, answers: Result<Vec<bool>, WayError>) -> Row {
        Row {
            way,
            answers,
            elapsed: Duration::from_millis(millis),
        }
    }

    #[test]
    fn table_compares_with_the_first_way() {
        let rows = vec![
            row("slow", 400, Ok(vec![true, false])),
            row("quick", 100, Ok(vec![true, false])),
        ];
        let report = Report::new(&[7, 9], rows);
        assert!(report.is_agreed());
        assert_eq!(
            report.to_string(),
            "\
way    numbers  primes   seconds  numbers/s  speed-up
slow         2       1     0.400        5.0     1.0 x
quick        2       1     0.100       20.0     4.0 x

all ways agree on every number
"
        );
    }

    #[test]
    fn numbers_on_which_ways_do_not_agree_are_named() {
        let rows = vec![
            row("right", 400, Ok(vec![true, false])),
            row("wrong", 100, Ok(vec![true, true])),
        ];
        let report = Report::new(&[7, 9], rows);
        assert!(!report.is_agreed());
        let text = report.to_string();
        assert!(
            text.ends_with("the ways do not agree on whether 9 is prime\n"),
            "{text}"
        );
        assert!(!text.contains("whether 7"), "{text}");
    }

    #[test]
    fn way_that_did_not_end_says_why_and_the_others_stay() {
        let rows = vec![
            row("broken", 0, Err("no processes".into())),
            row("good", 100, Ok(vec![true])),
        ];
        let report = Report::new(&[7], rows);
        assert!(!report.is_agreed());
        let text = report.to_string();
        assert!(
            text.contains("broken did not finish: no processes\n"),
            "{text}"
        );
        assert!(
            text.ends_with("good          1       1     0.100       10.0         -\n"),
            "{text}"
        );
    }
}
