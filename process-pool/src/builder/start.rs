//! The start of a pool: it checks the settings, prepares the messages to workers, and starts the first one.

use std::sync::Arc;

use future_result::sync::{Mutex, thread};
use future_result::{FutureResult, pair};

use super::Builder;
use crate::call::{NOT_BY_NAME, is_in_executable};
use crate::child::Plan;
use crate::core::Core;
use crate::dispatcher::Dispatcher;
use crate::host::Host;
use crate::job::Terms;
use crate::protocol::{Conduct, SETUP, Setup, VERSION, split_task};
use crate::retry::Retries;
use crate::state::Limits;
use crate::sys::{self, Image};
use crate::{BuildError, ProcessPoolExecutor, codec, entry, frame, names, probe};

impl Builder {
    /// Starts the pool and its first worker.
    ///
    /// # Errors
    ///
    /// [`BuildError`] if a setting is out of range, a worker cannot be started, or what is to be
    /// [preloaded](Self::preload) fails. (A failing initializer is no such error: it fails the tasks.)
    ///
    /// # Examples
    ///
    /// ```
    /// use process_pool::{BuildError, ProcessPoolExecutor};
    ///
    /// let error = ProcessPoolExecutor::builder().workers(0).build().unwrap_err();
    /// assert!(matches!(error, BuildError::NoWorkers));
    ///
    /// let builder = ProcessPoolExecutor::builder().directory("/nowhere");
    /// assert!(matches!(builder.build(), Err(BuildError::Spawn(_))));
    /// ```
    pub fn build(self) -> Result<ProcessPoolExecutor, BuildError> {
        let workers = self.workers.unwrap_or_else(num_cpus::get);
        if workers == 0 {
            return Err(BuildError::NoWorkers);
        }
        if self.max_tasks == Some(0) {
            return Err(BuildError::NoTasks);
        }
        sys::keep_constructor();
        if entry::is_worker_to_be() {
            return Err(BuildError::NotInitialized);
        }
        if sys::is_privileged() {
            return Err(BuildError::Privileged);
        }
        if entry::depth() >= entry::DEPTH_MAX {
            return Err(BuildError::TooDeep);
        }
        let executable = self.plan.executable.as_deref().map(std::path::absolute);
        let executable = executable.transpose();
        let executable = executable.map_err(|error| BuildError::Worker(error.to_string()))?;
        let is_elsewhere = executable.is_some();
        if !is_elsewhere && !is_in_executable() {
            return Err(BuildError::NotInExecutable);
        }
        let initializer = self.initializer.transpose();
        let initializer = initializer.map_err(BuildError::Initializer)?;
        if is_elsewhere && initializer.as_deref().is_some_and(is_by_address) {
            return Err(BuildError::Initializer(NOT_BY_NAME.to_owned()));
        }
        let preload = self.preload.transpose().map_err(BuildError::Preload)?;
        if is_elsewhere && preload.as_deref().is_some_and(is_by_address) {
            return Err(BuildError::Preload(NOT_BY_NAME.to_owned()));
        }
        let names = names::all().map_err(BuildError::Names)?;
        let conduct = self.conduct;
        let setup = |initializer| setup(initializer, &names, is_elsewhere, conduct);
        let mut plan = Plan {
            executable,
            depth: entry::depth(),
            places: self.affinity.places(workers)?,
            setup: setup(None).map_err(BuildError::Initializer)?,
            ..self.plan
        };
        if is_elsewhere {
            probe::probe(&plan, probe::PATIENCE).map_err(BuildError::Worker)?;
        }
        plan.setup = setup(initializer.as_deref()).map_err(BuildError::Initializer)?;
        if preload.is_some() {
            let message = setup(preload.as_deref());
            plan.preload = Some(message.map_err(BuildError::Preload)?);
        }
        let limits = Limits {
            workers,
            min_workers: self.min_workers.unwrap_or(workers),
            keep_alive: self.keep_alive,
            memory: self.conduct.memory_limit,
            tasks: self.max_tasks,
            prefetch: self.prefetch.map(|tasks| tasks.max(1)),
        };
        let (host, bell) = Host::new(plan).map_err(BuildError::Spawn)?;
        host.preload().map_err(BuildError::Preload)?;
        let core = Arc::new(Core::new(host, bell, limits));
        let dispatcher = Dispatcher::new(Arc::clone(&core)).map_err(BuildError::Spawn)?;
        let (completer, terminated) = pair();
        let builder = thread::Builder::new().name("process-pool".to_owned());
        let thread = builder.spawn(move || dispatcher.run(completer));
        Ok(ProcessPoolExecutor {
            core,
            workers,
            is_elsewhere,
            terms: Terms {
                limit: self.time_limit,
                retries: Retries::NONE,
            },
            terminated: terminated.shared(),
            thread: Mutex::new(Some(thread.map_err(BuildError::Spawn)?)),
        })
    }
}

/// Whether this call only works in this executable.
fn is_by_address(call: &[u8]) -> bool {
    split_task(call).is_ok_and(|(call, _)| !call.is_named())
}

/// The first message to every worker.
pub(crate) fn setup(
    initializer: Option<&[u8]>,
    names: &[(&str, &str)],
    is_elsewhere: bool,
    conduct: Conduct,
) -> Result<Vec<u8>, String> {
    let setup = Setup {
        version: VERSION,
        build: Image::get().build(),
        is_elsewhere,
        names: names.to_vec(),
        initializer,
        conduct,
    };
    let mut message = Vec::new();
    frame::begin(&mut message);
    codec::encode(&setup, &mut message)?;
    frame::seal(&mut message, SETUP, 0).map_err(|error| error.to_string())?;
    Ok(message)
}
