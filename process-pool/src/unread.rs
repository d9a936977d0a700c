//! What a worker has put into its [store](crate::store), and the pool may not have read yet.

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

    /// The value of this task, the last one so far, has these parts.
    pub(crate) fn push(&mut self, sequence: u64, parts: Vec<Block>) {
        self.values.push_back((sequence, parts));
    }

    /// The values of tasks below this number were read: their parts are in use no more.
    pub(crate) fn forget(&mut self, read: u64) {
        while self.values.front().is_some_and(|it| it.0 < read) {
            self.values.pop_front();
        }
    }
}
