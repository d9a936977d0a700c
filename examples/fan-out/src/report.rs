//! The tables: the outcome of all views in each way, and of each service; then the views that failed.

use std::fmt;
use std::time::Duration;

use lab::quantile::quantile;

use crate::client::CallError;
use crate::run::Row;
use crate::services::{Plan, SERVICES};
use crate::view::View;

/// The outcome of all views in all ways.
#[derive(Debug)]
pub struct Report {
    plan: Plan,
    rows: Vec<Row>,
}

/// How often a service did what, over all views.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Outcomes {
    at_once: usize,
    by_hedge: usize,
    by_retry: usize,
    left_out: usize,
    failed: usize,
}

impl Report {
    /// A report on these rows, with the plan of their faults.
    #[must_use]
    pub fn new(plan: Plan, rows: impl Into<Vec<Row>>) -> Self {
        let rows = rows.into();
        Self { plan, rows }
    }

    /// Whether no view of any way failed.
    #[must_use]
    pub fn is_good(&self) -> bool {
        let mut views = self.rows.iter().flat_map(|row| &row.views);
        views.all(|(_, made, _)| made.is_ok())
    }

    fn ways(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [way, views, whole, reduced] = ["way", "views", "whole", "reduced"];
        let [failed, p50, p99, rate] = ["failed", "p50 ms", "p99 ms", "views/s"];
        let [requests, retries, hedges, ran_on] = ["requests", "retries", "hedges", "ran on"];
        writeln!(
            f,
            "{way:15} {views:>6} {whole:>6} {reduced:>7} {failed:>6} {p50:>7} {p99:>7} {rate:>7} \
             {requests:>8} {retries:>7} {hedges:>6} {ran_on:>6}"
        )?;
        for row in &self.rows {
            let made = row
                .views
                .iter()
                .filter_map(|(_, made, _)| made.as_ref().ok());
            let (whole, reduced): (Vec<&View>, Vec<_>) =
                made.partition(|view| view.iter().all(Result::is_ok));
            let (views, whole, reduced) = (row.views.len(), whole.len(), reduced.len());
            let failed = views - whole - reduced;
            // Failed ones too: somebody waited for them.
            let mut times: Vec<_> = row.views.iter().map(|&(.., elapsed)| elapsed).collect();
            times.sort_unstable();
            let [p50, p99] = [0.5, 0.99].map(|part| millis(quantile(&times, part)));
            let rate = views as f64 / row.elapsed.as_secs_f64();
            let tally = &row.tally;
            writeln!(
                f,
                "{:15} {views:>6} {whole:>6} {reduced:>7} {failed:>6} {p50:>7} {p99:>7} {rate:>7.1} \
                 {:>8} {:>7} {:>6} {:>6}",
                row.way,
                tally.requests.get(),
                tally.retries.get(),
                tally.hedges.get(),
                tally.ran_on.get(),
            )?;
        }
        writeln!(
            f,
            "reduced: without an optional service; ran on: requests on the wire that nobody wanted any more"
        )
    }

    fn services(&self, row: &Row, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [service, is_required, fault] = ["service", "required", "fault"];
        let [at_once, by_hedge, by_retry] = ["at once", "by hedge", "by retry"];
        let [left_out, failed, after] = ["left out", "failed", "hedge ms"];
        writeln!(
            f,
            "\n{service:8} {is_required:8} {fault:8} {after:>8} {at_once:>8} {by_hedge:>8} {by_retry:>8} \
             {left_out:>8} {failed:>6}   ({})",
            row.way
        )?;
        for (index, service) in SERVICES.iter().enumerate() {
            let outcomes = outcomes(row, index);
            writeln!(
                f,
                "{:8} {:8} {:8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>6}",
                service.name,
                if service.is_required { "yes" } else { "no" },
                self.plan.kinds[index].name(),
                millis(row.hedge_after[index]),
                outcomes.at_once,
                outcomes.by_hedge,
                outcomes.by_retry,
                outcomes.left_out,
                outcomes.failed,
            )?;
        }
        Ok(())
    }
}

fn outcomes(row: &Row, service: usize) -> Outcomes {
    let mut outcomes = Outcomes::default();
    for (_, made, _) in &row.views {
        match made {
            Ok(view) => match &view[service] {
                Ok(answered) if answered.by_second => outcomes.by_hedge += 1,
                Ok(answered) if answered.attempt > 0 => outcomes.by_retry += 1,
                Ok(_) => outcomes.at_once += 1,
                Err(_) => outcomes.left_out += 1,
            },
            Err(error) if error.service == service => outcomes.failed += 1,
            // Another service ended the view; what this one would have answered is unknown.
            Err(_) => {}
        }
    }
    outcomes
}

fn millis(time: Option<Duration>) -> String {
    time.map_or_else(
        || "-".to_owned(),
        |time| format!("{:.1}", time.as_secs_f64() * 1e3),
    )
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ways(f)?;
        for row in &self.rows {
            self.services(row, f)?;
        }
        for row in &self.rows {
            let failed = row.views.iter();
            let failed = failed.filter_map(|(view, made, _)| Some((view, made.as_ref().err()?)));
            for (place, (view, error)) in failed.enumerate() {
                if place == 0 {
                    writeln!(f, "\nfailed views ({}); --only N replays one", row.way)?;
                }
                writeln!(f, "{view:>6}  {error}")?;
            }
        }
        self.only_view(f)
    }
}

impl Report {
    /// For a single view, the outcome of each service.
    fn only_view(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for row in &self.rows {
            let [(number, Ok(view), elapsed)] = &row.views[..] else {
                continue;
            };
            writeln!(
                f,
                "\nview {number} after {} ms ({})",
                millis(Some(*elapsed)),
                row.way
            )?;
            for (service, part) in SERVICES.iter().zip(view) {
                write!(f, "{:8}  ", service.name)?;
                match part {
                    Ok(answered) => writeln!(f, "{}", answered.body)?,
                    Err(CallError::Unwanted) => writeln!(f, "left out")?,
                    Err(error) => writeln!(f, "left out: {error}")?,
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::call::Answered;
    use crate::tally::Tally;
    use crate::view::ViewError;

    fn answered(attempt: u32, by_second: bool) -> Result<Answered, CallError> {
        Ok(Answered {
            body: String::new(),
            attempt,
            by_second,
        })
    }

    fn row(views: Vec<(u32, Result<View, ViewError>, Duration)>) -> Row {
        Row {
            way: "the way",
            views,
            tally: Arc::new(Tally::default()),
            elapsed: Duration::from_secs(1),
            hedge_after: [None; SERVICES.len()],
        }
    }

    #[test]
    fn every_outcome_is_counted_once_and_failed_views_are_named() {
        let good = || answered(0, false);
        let whole = vec![
            good(),
            answered(1, false),
            answered(1, true),
            good(),
            good(),
        ];
        let reduced = vec![good(), good(), good(), Err(CallError::TimedOut), good()];
        let failed = ViewError {
            service: 1,
            error: CallError::Status(503),
        };
        let row = row(vec![
            (0, Ok(whole), Duration::from_millis(10)),
            (1, Ok(reduced), Duration::from_millis(20)),
            (2, Err(failed), Duration::from_millis(30)),
        ]);
        let report = Report::new(Plan::new(1, 3), [row]);
        assert!(!report.is_good());
        let text = report.to_string();
        for line in [
            "the way              3      1       1      1    20.0    30.0     3.0        0       0      0      0\n",
            "\ncatalog  yes      slow            -        2        0        0        0      0\n",
            "\nprice    yes      error           -        1        0        1        0      1\n",
            "\nstock    yes      flapping        -        1        1        0        0      0\n",
            "\nreviews  no       hang            -        1        0        0        1      0\n",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        let failed = "\nfailed views (the way); --only N replays one\n     2  no price: it answered with status 503\n";
        assert!(text.ends_with(failed), "{text}");
    }

    #[test]
    fn single_view_is_shown_whole() {
        let view = vec![answered(0, false), Err(CallError::TimedOut)];
        let report = Report::new(
            Plan::new(1, 3),
            [row(vec![(7, Ok(view_of_five(view)), Duration::ZERO)])],
        );
        assert!(report.is_good());
        let text = report.to_string();
        assert!(text.contains("\nview 7 after 0.0 ms (the way)\n"), "{text}");
        assert!(
            text.contains("\nprice     left out: no answer in time\n"),
            "{text}"
        );
    }

    fn view_of_five(mut view: View) -> View {
        view.extend((view.len()..SERVICES.len()).map(|_| answered(0, false)));
        view
    }
}
