//! Maps over items in memory: a slice, or a vector.

#![expect(unsafe_code, reason = "items are moved out of a vector one by one")]

use std::mem::ManuallyDrop;
use std::ops::Range;

use future_result::contain;

use crate::ThreadPoolExecutor;
use crate::block::{self, Source};

impl ThreadPoolExecutor {
    /// Applies `function` to every item of a slice, and returns all results, in its order.
    ///
    /// The calling thread starts at once, and workers join in as soon as there turns out
    /// to be enough to do, so a small map costs hardly more than a loop. Nothing is queued or
    /// allocated for an item, and items may take very different times. For endless or slow inputs, or
    /// to get results as they come, use [`map`](Self::map).
    ///
    /// A call that waits for the task that calls this waits for itself; that wait ends as at the end of a
    /// [`scope`](Self::scope).
    ///
    /// # Panics
    ///
    /// With the first panic of `function`, when all calls that had begun have ended. The others are
    /// not made. Also if a [`Blocker`](future_result::Blocker) of the calling thread's panics while it waits
    /// for the workers, when all of them have left.
    ///
    /// # Examples
    ///
    /// ```
    /// use thread_pool::ThreadPoolExecutor;
    ///
    /// let pool = ThreadPoolExecutor::new(2)?;
    /// let words = vec!["borrowed".to_owned(), "not moved".to_owned()];
    /// assert_eq!(pool.map_slice(&words, |word| word.len()), [8, 9]);
    /// // Results may borrow, too.
    /// let first: Vec<&str> = pool.map_slice(&words, |word| &word[..1]);
    /// assert_eq!(first, ["b", "n"]);
    /// # Ok::<(), thread_pool::BuildError>(())
    /// ```
    pub fn map_slice<'a, T, R, F>(&self, items: &'a [T], function: F) -> Vec<R>
    where
        T: Sync,
        R: Send,
        F: Fn(&'a T) -> R + Sync,
    {
        block::map(&self.core, items.len(), &Borrowed(items), &function)
    }

    /// Like [`map_slice`](Self::map_slice), but consumes the items. Collect an iterator that knows its size
    /// into a vector first.
    ///
    /// # Panics
    ///
    /// As [`map_slice`](Self::map_slice) does; items that no call was made for are dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// use thread_pool::ThreadPoolExecutor;
    ///
    /// let pool = ThreadPoolExecutor::new(2)?;
    /// let names = vec![String::from("ada"), String::from("grace")];
    /// let greetings = pool.map_vec(names, |name| name + "!");
    /// assert_eq!(greetings, ["ada!", "grace!"]);
    /// # Ok::<(), thread_pool::BuildError>(())
    /// ```
    pub fn map_vec<T, R, F>(&self, items: Vec<T>, function: F) -> Vec<R>
    where
        T: Send,
        R: Send,
        F: Fn(T) -> R + Sync,
    {
        let len = items.len();
        let items: Vec<ManuallyDrop<T>> = items.into_iter().map(ManuallyDrop::new).collect();
        let source = Owned(items);
        block::map(&self.core, len, &source, &function)
    }
}

struct Borrowed<'a, T>(&'a [T]);

impl<'a, T: Sync> Source for Borrowed<'a, T> {
    type Item = &'a T;

    unsafe fn get(&self, index: usize) -> &'a T {
        // SAFETY: below the length, as the caller ensures.
        unsafe { self.0.get_unchecked(index) }
    }

    unsafe fn drop_items(&self, _: Range<usize>) {}
}

/// Items that whoever gets them drops.
struct Owned<T>(Vec<ManuallyDrop<T>>);

// SAFETY: each item is moved out once, by one thread, and no reference to one is ever given.
unsafe impl<T: Send> Sync for Owned<T> {}

impl<T: Send> Source for Owned<T> {
    type Item = T;

    unsafe fn get(&self, index: usize) -> T {
        let item: *const ManuallyDrop<T> = &raw const self.0[index];
        // SAFETY: inside the vector, and read once, as the caller ensures.
        unsafe { item.cast::<T>().read() }
    }

    unsafe fn drop_items(&self, indices: Range<usize>) {
        for index in indices {
            // SAFETY: passed on to the caller.
            let item = unsafe { self.get(index) };
            contain(|| drop(item));
        }
    }
}
