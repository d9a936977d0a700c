//! The inquest of all schedulers of a run, when nothing can ever go on.
//!
//! Only its own scheduler knows a task, so each is asked what its tasks wait for, and whether they were told to
//! stop before. From all their answers follow one report, and what all must do. Meanwhile every scheduler sleeps,
//! except to answer and to hear the verdict.

use future_result::{Cause, TaskError};

use super::Scheduler;
use super::task::Phase;
use crate::deadlock::{Deadlock, Record};

/// Who must still be heard, and what the others said.
pub(super) struct Inquest {
    missing: Vec<usize>,
    heard: Vec<Testimony>,
}

/// What a scheduler knows.
pub(super) struct Testimony {
    tasks: Vec<Record>,
    /// Some of them have not yet been told to stop for that.
    is_news: bool,
    /// Something is left on its thread's own stack, past which it cannot return.
    is_held: bool,
}

/// What all must do.
#[derive(Clone)]
pub(crate) enum Verdict {
    /// All tasks are told to stop.
    Stop(Deadlock),
    /// They were told, and cannot. What is held up on a thread's own stack takes a risk; if nothing is, the
    /// remaining tasks stay where they are.
    GiveUp { report: Deadlock, is_held: bool },
}

impl Inquest {
    pub(super) fn new(missing: Vec<usize>) -> Self {
        Self {
            missing,
            heard: Vec::new(),
        }
    }

    /// For a scheduler that is alone.
    pub(super) fn of(testimony: Testimony) -> Verdict {
        let mut inquest = Self::new(Vec::new());
        inquest.hear(0, Some(testimony));
        inquest.verdict()
    }

    /// Notes a testimony. True if it was the last.
    pub(super) fn hear(&mut self, place: usize, testimony: Option<Testimony>) -> bool {
        self.missing.retain(|&other| other != place);
        self.heard.extend(testimony);
        self.missing.is_empty()
    }

    pub(super) fn verdict(self) -> Verdict {
        let is_news = self.heard.iter().any(|one| one.is_news);
        let is_held = self.heard.iter().any(|one| one.is_held);
        let mut tasks: Vec<_> = self.heard.into_iter().flat_map(|one| one.tasks).collect();
        tasks.sort_by_key(|task| task.serial);
        let report = Deadlock::of(&tasks);
        if is_news {
            Verdict::Stop(report)
        } else {
            Verdict::GiveUp { report, is_held }
        }
    }
}

impl Scheduler {
    /// What this scheduler knows.
    pub(super) fn testimony(&self) -> Testimony {
        let tasks = self.tasks.all();
        let is_told = |reason: Option<TaskError>| matches!(reason, Some(TaskError::Deadlock(_)));
        Testimony {
            is_news: tasks.iter().any(|task| !is_told(task.reason())),
            is_held: self.current().phase.get() != Phase::Ended,
            tasks: tasks.iter().map(Record::of).collect(),
        }
    }

    /// Tells the crew.
    pub(super) fn testify(&self) {
        if let Some(post) = &self.post {
            post.crew.testify(post.place, self.testimony());
        }
    }

    /// Carries out the verdict.
    pub(super) fn obey(&self, verdict: Verdict) {
        match verdict {
            Verdict::Stop(report) => self.stop_all(&report),
            Verdict::GiveUp { report, is_held } => {
                let is_ours = self.current().phase.get() != Phase::Ended;
                if is_ours || !is_held {
                    self.give_up(report);
                }
            }
        }
    }

    /// Nothing can ever go on: tells all tasks to stop, even shielded ones.
    fn stop_all(&self, report: &Deadlock) {
        let error = TaskError::Deadlock(Cause::new(report.to_string()));
        for task in self.tasks.all() {
            let told = matches!(task.reason(), Some(TaskError::Deadlock(_)));
            if !told {
                self.stop(&task, error.clone());
            }
        }
        let mut first = self.deadlock.borrow_mut();
        // At the end it is usual that shielded tasks must be told.
        if first.is_none() && !self.is_closing.get() {
            *first = Some(report.clone());
        }
    }
}
