//! What a worker has put into its [store](crate::store), and the pool may not yet have read.

use std::collections::VecDeque;

use crate::store::Block;

#[derive(Debug, Default)]
pub(crate) struct Unread {
    /// In the order of the numbers of their tasks.
    values: VecDeque<(u64, Vec<Block>)>,
}

impl Unread {
    pub(crate) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Adds the parts of this task's value; it is the last one so far.
    pub(crate) fn push(&mut self, sequence: u64, parts: Vec<Block>) {
        self.values.push_back((sequence, parts));
    }

    /// Frees the parts of tasks below this number, whose values were read.
    pub(crate) fn forget(&mut self, read: u64) {
        while self.values.front().is_some_and(|it| it.0 < read) {
            self.values.pop_front();
        }
    }
}
