//! The tasks that one worker has and has not answered, and how much of them is written. Only bookkeeping: it
//! knows no pipe.
//!
//! Tasks are in the order of their numbers. A worker answers in that order, so an answer is always for the
//! first one. Bytes go out in the order of [`unwritten`](Lane::unwritten): control messages first, then
//! the tasks.

use std::collections::VecDeque;
use std::io::IoSlice;

use crate::job::Job;

/// How many pieces go out with one write: more than a pipe takes at a time, unless they are tiny.
const PIECES_MAX: usize = 64;

#[derive(Debug, Default)]
pub(crate) struct Lane {
    /// Control messages, still to be written from `control_written` on.
    control: Vec<u8>,
    control_written: usize,
    tasks: VecDeque<(u64, Job)>,
    /// How many of the tasks are completely written.
    written: usize,
    /// How many bytes of the next task are written.
    offset: usize,
    /// The number of the next task.
    next: u64,
}

impl Lane {
    /// Appends a control message. It overtakes tasks of which nothing is written yet; if it must not,
    /// all tasks of the lane must be written.
    pub(crate) fn control(&mut self, message: &[u8]) {
        debug_assert_eq!(self.offset, 0, "in the middle of a task's message");
        self.control.extend_from_slice(message);
    }

    /// Appends a task.
    ///
    /// # Errors
    ///
    /// Gives it back if it is too long for a message.
    pub(crate) fn push(&mut self, mut job: Job) -> Result<(), Job> {
        if !job.seal(self.next) {
            return Err(job);
        }
        self.tasks.push_back((self.next, job));
        self.next += 1;
        Ok(())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// How many tasks are unanswered.
    pub(crate) fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Whether one of them has a time limit.
    pub(crate) fn is_timed(&self) -> bool {
        self.tasks.iter().any(|(_, job)| job.limit().is_some())
    }

    /// Whether any task from this number on is to be stopped.
    pub(crate) fn is_cancelled_from(&self, first: u64) -> bool {
        let mut tasks = self.tasks.iter();
        tasks.any(|(sequence, job)| *sequence >= first && job.is_cancelled())
    }

    /// The number that the next task will have.
    pub(crate) const fn next(&self) -> u64 {
        self.next
    }

    /// The task that the worker runs, or will run next.
    pub(crate) fn front(&self) -> Option<&Job> {
        self.tasks.front().map(|(_, job)| job)
    }

    /// The number of that task.
    pub(crate) fn front_number(&self) -> Option<u64> {
        self.tasks.front().map(|(sequence, _)| *sequence)
    }

    /// What to write next; nothing if all is written.
    pub(crate) fn unwritten(&self) -> Vec<IoSlice<'_>> {
        let control = self.control.get(self.control_written..).unwrap_or_default();
        let tasks = self.tasks.iter().skip(self.written);
        let tasks = tasks.enumerate().map(|(index, (_, job))| {
            let from = if index == 0 { self.offset } else { 0 };
            job.frame().get(from..).unwrap_or_default()
        });
        let pieces = std::iter::once(control).chain(tasks);
        pieces
            .filter(|piece| !piece.is_empty())
            .take(PIECES_MAX)
            .map(IoSlice::new)
            .collect()
    }

    /// This many bytes of that were written.
    pub(crate) fn wrote(&mut self, mut bytes: usize) {
        let control = bytes.min(self.control.len() - self.control_written);
        self.control_written += control;
        bytes -= control;
        if self.control_written == self.control.len() {
            self.control = Vec::new();
            self.control_written = 0;
        }
        while let Some((_, job)) = self.tasks.get(self.written) {
            let left = job.frame().len() - self.offset;
            if bytes < left {
                self.offset += bytes;
                return;
            }
            bytes -= left;
            self.offset = 0;
            self.written += 1;
        }
    }

    /// Takes out the task that this answer is for; `None` if the worker may not answer it.
    pub(crate) fn answered(&mut self, sequence: u64) -> Option<Job> {
        let (number, _) = self.tasks.front()?;
        if *number != sequence || self.written == 0 {
            return None;
        }
        self.written -= 1;
        self.tasks.pop_front().map(|(_, job)| job)
    }

    /// Takes out the tasks from this number on, which the worker will pass over. A message of which it
    /// got a part is still sent to its end, or the worker would not find the next one.
    pub(crate) fn take_back(&mut self, first: u64) -> VecDeque<(u64, Job)> {
        let at = self
            .tasks
            .partition_point(|(sequence, _)| *sequence < first);
        if at <= self.written {
            if let Some((_, job)) = self.tasks.get(self.written)
                && self.offset > 0
            {
                let rest = job.frame().get(self.offset..).unwrap_or_default();
                self.control.extend_from_slice(rest);
                self.offset = 0;
            }
            self.written = at;
        }
        self.tasks.split_off(at)
    }

    /// Takes everything out of a dead worker's lane: first the tasks below `unstarted`, with
    /// their numbers, then the others.
    pub(crate) fn dissolve(self, unstarted: u64) -> (Vec<(u64, Job)>, Vec<Job>) {
        let (started, rest): (Vec<_>, Vec<_>) = self
            .tasks
            .into_iter()
            .partition(|(sequence, _)| *sequence < unstarted);
        (started, rest.into_iter().map(|(_, job)| job).collect())
    }
}

#[cfg(test)]
#[cfg(not(any(pool_loom, pool_sim)))]
mod tests {
    use future_result::pair;

    use super::*;
    use crate::call::Call;
    use crate::frame::Decoder;
    use crate::job::{Terms, message};
    use crate::retry::Retries;

    fn job(argument: &[u8]) -> Job {
        let call = Call::one(|n: u32| n).unwrap();
        let bytes = message(call, |buffer| {
            buffer.extend_from_slice(argument);
            Ok(())
        });
        let (completer, _handle) = pair::<()>();
        let terms = Terms {
            limit: None,
            retries: Retries::NONE,
        };
        Job::new(bytes.unwrap(), terms, completer, |_| Ok(()))
    }

    /// Writes everything in steps of at most `step` bytes.
    fn write(lane: &mut Lane, step: usize) -> Vec<u8> {
        let mut stream = Vec::new();
        loop {
            let pieces = lane.unwritten();
            let all: Vec<u8> = pieces
                .iter()
                .flat_map(|piece| piece.iter().copied())
                .collect();
            if all.is_empty() {
                return stream;
            }
            let now = all.len().min(step);
            stream.extend_from_slice(&all[..now]);
            drop(pieces);
            lane.wrote(now);
        }
    }

    #[test]
    fn everything_is_written_once_and_in_order_whatever_the_pipe_takes() {
        for step in [1, 7, 24, 100, usize::MAX] {
            let mut lane = Lane::default();
            let mut control = Vec::new();
            crate::frame::begin(&mut control);
            crate::frame::seal(&mut control, 1, 0).unwrap();
            lane.control(&control);
            for size in [0, 1, 1000, 5] {
                lane.push(job(&vec![7; size])).unwrap();
            }
            let stream = write(&mut lane, step);
            let mut decoder = Decoder::new();
            decoder.room().unwrap().extend_from_slice(&stream);
            let mut seen = Vec::new();
            while let Some((header, _)) = decoder.next().unwrap() {
                seen.push((header.kind, header.sequence));
            }
            assert!(decoder.is_between_frames());
            assert_eq!(seen, [(1, 0), (2, 0), (2, 1), (2, 2), (2, 3)]);
        }
    }

    #[test]
    fn only_the_first_task_that_is_written_can_be_answered() {
        let mut lane = Lane::default();
        lane.push(job(b"0")).unwrap();
        assert!(lane.answered(0).is_none());
        write(&mut lane, usize::MAX);
        lane.push(job(b"1")).unwrap();
        assert!(lane.answered(1).is_none());
        assert!(lane.answered(0).is_some());
        assert!(lane.answered(0).is_none());
        assert!(lane.answered(1).is_none());
        write(&mut lane, usize::MAX);
        assert!(lane.answered(1).is_some());
        assert!(lane.is_empty());
    }

    #[test]
    fn what_is_taken_back_is_written_to_the_end_if_it_was_begun_and_else_not_at_all() {
        for step in 0..400 {
            let mut lane = Lane::default();
            for size in [10, 100, 50, 30] {
                lane.push(job(&vec![7; size])).unwrap();
            }
            let pieces = lane.unwritten();
            let all: Vec<u8> = pieces
                .iter()
                .flat_map(|piece| piece.iter().copied())
                .collect();
            drop(pieces);
            let mut stream = all[..step.min(all.len())].to_vec();
            lane.wrote(stream.len());
            let taken = lane.take_back(1);
            assert_eq!(taken.iter().map(|it| it.0).collect::<Vec<_>>(), [1, 2, 3]);
            lane.push(job(b"next")).unwrap();
            stream.extend(write(&mut lane, 13));

            let mut decoder = Decoder::new();
            decoder.room().unwrap().extend_from_slice(&stream);
            let mut seen = Vec::new();
            while let Some((header, _)) = decoder.next().unwrap() {
                seen.push(header.sequence);
            }
            assert!(decoder.is_between_frames());
            // Those whose messages were begun, without a gap, then the new one.
            let begun = seen.len() as u64 - 1;
            assert!((1..=4).contains(&begun) && seen.pop() == Some(4));
            assert_eq!(seen, (0..begun).collect::<Vec<_>>());
            assert!(lane.answered(0).is_some());
            assert!(lane.answered(4).is_some());
        }
    }

    #[test]
    fn the_dead_leave_what_began_and_what_did_not() {
        let mut lane = Lane::default();
        for _ in 0..3 {
            lane.push(job(b"")).unwrap();
        }
        write(&mut lane, usize::MAX);
        assert!(lane.answered(0).is_some());
        let (started, rest) = lane.dissolve(2);
        assert_eq!(started.iter().map(|it| it.0).collect::<Vec<_>>(), [1]);
        assert_eq!(rest.len(), 1);
    }
}
