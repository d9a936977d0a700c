//! The CPUs on which each worker runs.

use std::fmt;

use future_result::sync::thread;

use crate::protocol::PLACE;
use crate::{BuildError, Builder, codec, frame, sys};

/// What [`Builder::affinity`] was given.
#[derive(Default)]
pub(crate) struct Affinity(Option<Box<Place>>);

type Place = dyn Fn(usize, &[usize]) -> Vec<usize> + Send + Sync;

impl Builder {
    /// Runs each worker, and what its tasks start, only on the CPUs that `place` returns for it: one
    /// worker on each CPU, or whatever suits the program. By default the system moves
    /// workers wherever this process may run.
    ///
    /// [`build`](Self::build) calls `place` once for each of the [workers](Self::workers): with the worker's index,
    /// from 0 up, and the numbers of the CPUs on which the building thread may run, in ascending order. A worker
    /// that replaces one that died or left has its index, and so its CPUs.
    ///
    /// If a worker cannot run on all the CPUs that it is given, or is given none, `build` returns
    /// [`BuildError::Affinity`]. If a CPU is taken away from the process later, no worker starts there, and if no
    /// other works, the pool is [broken](crate::Rejection::Broken). Threads that constructors started before
    /// `main` stay where they are.
    ///
    /// # Examples
    ///
    /// ```
    /// use process_pool::{FutureResult, ProcessPoolExecutor};
    ///
    /// // A CPU for each worker.
    /// let pool = ProcessPoolExecutor::builder()
    ///     .affinity(|index, cpus| vec![cpus[index % cpus.len()]])
    ///     .build()?;
    /// let cpus = pool.submit(|()| std::thread::available_parallelism().map_or(0, usize::from), ());
    /// assert_eq!(cpus.result()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn affinity<F>(mut self, place: F) -> Self
    where
        F: Fn(usize, &[usize]) -> Vec<usize> + Send + Sync + 'static,
    {
        self.affinity = Affinity(Some(Box::new(place)));
        self
    }
}

impl Affinity {
    /// The first message to each worker; none if they may run anywhere.
    pub(crate) fn places(&self, workers: usize) -> Result<Vec<Vec<u8>>, BuildError> {
        let Some(place) = &self.0 else {
            return Ok(Vec::new());
        };
        let ours = sys::cpus().map_err(|error| BuildError::Affinity(error.to_string()))?;
        let places: Vec<_> = (0..workers).map(|index| place(index, &ours)).collect();
        let messages = places.iter().map(|cpus| message(cpus)).collect();
        try_out(places)?;
        messages
    }
}

impl fmt::Debug for Affinity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "set" } else { "any" })
    }
}

fn message(cpus: &[usize]) -> Result<Vec<u8>, BuildError> {
    let mut message = Vec::new();
    frame::begin(&mut message);
    codec::encode(&cpus, &mut message).map_err(BuildError::Affinity)?;
    let sealed = frame::seal(&mut message, PLACE, 0);
    sealed.map_err(|error| BuildError::Affinity(error.to_string()))?;
    Ok(message)
}

/// Tries on a thread what workers will do, so that `build` reports what is impossible.
fn try_out(places: Vec<Vec<usize>>) -> Result<(), BuildError> {
    let each = move || {
        places.iter().enumerate().try_for_each(|(index, cpus)| {
            sys::run_on(cpus).map_err(|text| format!("worker {index} {text}"))
        })
    };
    let thread = thread::Builder::new()
        .spawn(each)
        .map_err(BuildError::Spawn)?;
    match thread.join() {
        Ok(tried) => tried.map_err(BuildError::Affinity),
        // It cannot panic.
        Err(_) => Ok(()),
    }
}
