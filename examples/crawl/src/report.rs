//! The table at the end, and the pages that failed.

use std::fmt;

use crate::fetch::FetchError;
use crate::ways::Row;

/// The outcome of all ways.
#[derive(Debug)]
pub struct Report<'a> {
    urls: &'a [String],
    rows: Vec<Row>,
}

impl<'a> Report<'a> {
    /// A report on these URLs; every row has as many outcomes, in the same order.
    #[must_use]
    pub fn new(urls: &'a [String], rows: Vec<Row>) -> Self {
        Self { urls, rows }
    }

    /// Whether every way fetched every page.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.rows.iter().all(|row| row.fetched() == self.urls.len())
    }

    /// How many times as fast as the first way, if both fetched as many pages.
    fn speed_up(&self, row: &Row) -> Option<f64> {
        let first = self.rows.first()?;
        let is_fair = row.fetched() > 0 && row.fetched() == first.fetched();
        is_fair.then(|| first.elapsed.as_secs_f64() / row.elapsed.as_secs_f64())
    }

    /// Each failed page with its way, its URL and the reason.
    fn failures(&self) -> impl Iterator<Item = (&'static str, &str, &FetchError)> {
        self.rows.iter().flat_map(|row| {
            let pages = self.urls.iter().zip(row.pages());
            pages.filter_map(|(url, page)| Some((row.way, url.as_str(), page.as_ref().err()?)))
        })
    }
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wide = self
            .rows
            .iter()
            .map(|row| row.way.len())
            .max()
            .unwrap_or_default();
        let [way, pages, failed] = ["way", "pages", "failed"];
        let [seconds, rate, speed_up] = ["seconds", "pages/s", "speed-up"];
        writeln!(
            f,
            "\n{way:wide$} {pages:>7} {failed:>7} {seconds:>9} {rate:>9} {speed_up:>9}"
        )?;
        for row in &self.rows {
            write!(f, "{:wide$} ", row.way)?;
            if let Err(error) = &row.outcomes {
                writeln!(f, "could not run: {error}")?;
                continue;
            }
            let (pages, seconds) = (row.fetched(), row.elapsed.as_secs_f64());
            let (failed, rate) = (self.urls.len() - pages, pages as f64 / seconds);
            let speed_up = self.speed_up(row);
            let speed_up = speed_up.map_or_else(|| "-".to_owned(), |times| format!("{times:.1} x"));
            writeln!(
                f,
                "{pages:>7} {failed:>7} {seconds:>9.3} {rate:>9.1} {speed_up:>9}"
            )?;
        }
        if self.failures().next().is_some() {
            writeln!(f, "\nfailed pages")?;
        }
        for (way, url, reason) in self.failures() {
            writeln!(f, "{way:wide$}  {url}  {reason}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::fetch::Page;

    fn row(way: &'static str, millis: u64, outcomes: Vec<Result<Page, FetchError>>) -> Row {
        Row {
            way,
            outcomes: Ok(outcomes),
            elapsed: Duration::from_millis(millis),
        }
    }

    fn page() -> Result<Page, FetchError> {
        Ok(Page {
            title: "a title".to_owned(),
            bytes: 3,
        })
    }

    #[test]
    fn table_compares_with_the_first_way() {
        let urls = ["http://a/".to_owned(), "http://b/".to_owned()];
        let rows = vec![
            row("slow", 400, vec![page(), page()]),
            row("quick", 100, vec![page(), page()]),
        ];
        let report = Report::new(&urls, rows);
        assert!(report.is_complete());
        assert_eq!(
            report.to_string(),
            "
way     pages  failed   seconds   pages/s  speed-up
slow        2       0     0.400       5.0     1.0 x
quick       2       0     0.100      20.0     4.0 x
"
        );
    }

    #[test]
    fn failed_page_is_counted_in_its_row_and_listed_with_its_reason() {
        let urls = ["http://a/".to_owned(), "http://b/".to_owned()];
        let rows = vec![row("slow", 400, vec![page(), Err(FetchError::Status(500))])];
        let report = Report::new(&urls, rows);
        assert!(!report.is_complete());
        let text = report.to_string();
        assert!(
            text.contains("slow       1       1     0.400       2.5"),
            "{text}"
        );
        assert!(
            text.ends_with("slow  http://b/  the server answered with status 500\n"),
            "{text}"
        );
    }

    #[test]
    fn way_that_could_not_run_says_why_and_the_others_stay() {
        let urls = ["http://a/".to_owned()];
        let broken = Row {
            way: "broken",
            outcomes: Err("no threads".into()),
            elapsed: Duration::ZERO,
        };
        let report = Report::new(&urls, vec![broken, row("good", 100, vec![page()])]);
        assert!(!report.is_complete());
        let text = report.to_string();
        assert!(
            text.contains("broken could not run: no threads\n"),
            "{text}"
        );
        assert!(
            text.contains("good         1       0     0.100      10.0         -\n"),
            "{text}"
        );
    }
}
