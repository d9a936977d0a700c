//! The report that nothing can ever go on.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::{self, Write};
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;

use future_result::CellId;

use crate::scheduler::{Rest, Task};

/// Each task of a runtime waits for another, so none of them could ever go on.
///
/// For each task it says what it waits for and, as far as is known, where in the source and for whom.
///
/// # Examples
///
/// ```
/// use green_tasks::{sync::Event, Runtime, RuntimeError};
///
/// let ended = Runtime::new().run(|| Event::new().wait());
/// let Err(RuntimeError::Deadlock(deadlock)) = ended else { unreachable!() };
/// assert_eq!(deadlock.tasks().len(), 1);
/// assert!(deadlock.to_string().contains("waits for an event"));
/// ```
#[derive(Clone, Debug)]
pub struct Deadlock {
    tasks: Arc<[String]>,
}

/// What the report says of a task.
pub(crate) struct Record {
    pub(crate) serial: u64,
    spawned_at: &'static Location<'static>,
    cell: Option<CellId>,
    rest: Option<Rest>,
    awaited: Vec<CellId>,
}

impl Record {
    pub(crate) fn of(task: &Rc<Task>) -> Self {
        Self {
            serial: task.serial,
            spawned_at: task.spawned_at,
            cell: task.cell,
            rest: task.rest(),
            awaited: task.awaited(),
        }
    }

    /// A line of the report, given the tasks' numbers by their cells.
    fn line(&self, by_cell: &BTreeMap<CellId, u64>) -> String {
        let mut line = String::new();
        // Writing to a string does not fail.
        let _ = match self.serial {
            0 => write!(line, "the main task, of the run at {},", self.spawned_at),
            serial => write!(line, "task {serial}, spawned at {},", self.spawned_at),
        };
        let Some(rest) = self.rest else {
            line.push_str(" was just about to go on");
            return line;
        };
        line.push(' ');
        line.push_str(rest.what);
        for (index, cell) in self.awaited.iter().enumerate() {
            let word = if index == 0 { " of" } else { " or" };
            let _ = match by_cell.get(cell) {
                Some(0) => write!(line, "{word} the main task"),
                Some(serial) => write!(line, "{word} task {serial}"),
                None => write!(line, "{word} a task that has gone"),
            };
        }
        if let Some(at) = rest.at {
            let _ = write!(line, " at {at}");
        }
        line
    }
}

impl Deadlock {
    pub(crate) fn of(tasks: &[Record]) -> Self {
        let by_cell = tasks
            .iter()
            .filter_map(|task| Some((task.cell?, task.serial)))
            .collect();
        Self {
            tasks: tasks.iter().map(|task| task.line(&by_cell)).collect(),
        }
    }

    /// One line for each task.
    #[must_use]
    pub fn tasks(&self) -> &[String] {
        &self.tasks
    }
}

impl fmt::Display for Deadlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no task could ever go on: ")?;
        for (index, line) in self.tasks.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            f.write_str(line)?;
        }
        Ok(())
    }
}

impl Error for Deadlock {}
