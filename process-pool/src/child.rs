//! One worker process, as the pool holds it: how it is started, written to, killed and reaped.

use std::ffi::OsString;
use std::io::{self, IoSlice};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;

use crate::host::Host;
use crate::nursery::{Birth, Nursery};
use crate::output::Output;
use crate::page::Page;
use crate::state::{End, Process};
use crate::store::{self, Store};
use crate::sys::{self, Descriptor, Exit, Interest, ProcessHandle};
use crate::{entry, token};

/// How every worker of a pool is started.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) environment: Vec<(OsString, OsString)>,
    pub(crate) directory: Option<PathBuf>,
    /// The workers' executable, if it is not this program's own.
    pub(crate) executable: Option<PathBuf>,
    /// How deep this pool is nested in workers of pools.
    pub(crate) depth: u32,
    /// For each place among the workers, the complete message before the first one; or nothing.
    pub(crate) places: Vec<Vec<u8>>,
    /// The first message, complete.
    pub(crate) setup: Vec<u8>,
    /// The first message to a zygote, complete, if workers are forked from one.
    pub(crate) preload: Option<Vec<u8>>,
}

/// A process that was started, or is about to be, and is not reaped. It must not be dropped before
/// [`reap`](Self::reap).
#[derive(Debug)]
pub(crate) struct Child {
    birth: Arc<Birth>,
    /// Where it was asked for, if it is forked.
    nursery: Option<Arc<Nursery>>,
    tasks: Descriptor,
    /// The worker's end of the task pipe. As long as somebody has it, a write after the worker's death
    /// raises no SIGPIPE, which this program may not ignore.
    _task_reader: Descriptor,
    page: Arc<Page>,
    output: Arc<Output>,
}

/// What a worker's answers come through.
#[derive(Debug)]
pub(crate) struct Results {
    pub(crate) pipe: Descriptor,
    pub(crate) page: Arc<Page>,
    /// The store with long parts of values.
    pub(crate) values: Arc<Descriptor>,
}

/// Where a worker comes from.
#[derive(Debug)]
pub(crate) enum Source<'a> {
    /// A new program.
    Program(&'a Plan),
    Zygote(&'a Arc<Nursery>),
}

/// Starts the worker with this number, which reads long parts of arguments from this store. Also returns what its
/// answers come through.
///
/// # Errors
///
/// If the system has no room for a process, or no descriptors. Nothing is left behind then.
pub(crate) fn spawn(
    id: u64,
    source: &Source<'_>,
    arguments: &Store,
) -> io::Result<(Child, Results)> {
    let (task_reader, tasks) = sys::pipe()?;
    let (results, result_writer) = sys::pipe()?;
    for pipe in [&tasks, &results] {
        sys::never_wait(pipe)?;
        sys::widen(pipe);
    }
    let (page, memory) = Page::create()?;
    let arguments = arguments.read_only()?;
    let values = Store::create(store::RESULTS)?.into_fd();
    // All that it prints goes there, from its very first moment.
    let (output, printer) = Output::new()?;
    let fds = [&task_reader, &result_writer, &memory, &arguments, &values];
    let (birth, nursery) = match source {
        Source::Program(plan) => {
            // Our end is kept until the process has started.
            let (_ours, theirs) = sys::pass(&fds)?;
            (Arc::new(Birth::of(launch(plan, theirs, printer)?)), None)
        }
        Source::Zygote(nursery) => {
            let [tasks, results, page, arguments, values] = fds;
            let all = [tasks, results, page, arguments, values, &printer];
            (nursery.ask_for(id, all)?, Some(Arc::clone(nursery)))
        }
    };
    let page = Arc::new(page);
    let results = Results {
        pipe: results,
        page: Arc::clone(&page),
        values: Arc::new(values),
    };
    let child = Child {
        birth,
        nursery,
        tasks,
        _task_reader: task_reader,
        page,
        output: Arc::new(output),
    };
    Ok((child, results))
}

/// Starts a process with this end of a socket, through which it was [passed](sys::pass) all that it needs.
///
/// # Errors
///
/// If the system has no room for it, or no descriptors. Nothing is left behind then.
pub(crate) fn launch(
    plan: &Plan,
    socket: Descriptor,
    printer: Descriptor,
) -> io::Result<ProcessHandle> {
    let role = entry::role(sys::socket_number(&socket)?);
    let mut command = sys::command(plan.executable.as_deref());
    command
        .envs(plan.environment.iter().map(|(name, value)| (name, value)))
        .env(entry::ROLE, role)
        .env(entry::DEPTH, plan.depth.saturating_add(1).to_string())
        .stdin(Stdio::from(socket))
        .stdout(Stdio::from(printer.try_clone()?))
        .stderr(Stdio::from(printer));
    if let Some(directory) = &plan.directory {
        command.current_dir(directory);
    }
    let mut started = command.spawn()?;
    match ProcessHandle::new(started.id()) {
        Ok(process) => Ok(process),
        Err(error) => {
            // No descriptors left, for example. It is still ours to reap.
            let _ = started.kill();
            let _ = started.wait();
            Err(error)
        }
    }
}

impl Child {
    /// Readable once it has ended. If it is still expected, the nursery watches it.
    pub(crate) fn process_fd(&self) -> Option<&Descriptor> {
        self.birth.process().map(ProcessHandle::fd)
    }

    /// Whether whoever started it has to watch its end.
    pub(crate) const fn is_program(&self) -> bool {
        self.nursery.is_none()
    }

    /// The pipe that it prints to.
    pub(crate) const fn output(&self) -> &Arc<Output> {
        &self.output
    }

    /// The pipe for messages to it.
    pub(crate) const fn tasks(&self) -> &Descriptor {
        &self.tasks
    }

    /// Whether it has ended, or is never to begin.
    pub(crate) fn has_ended(&self) -> bool {
        self.birth.has_ended()
    }

    /// Kills it, and waits for its end.
    pub(crate) fn abandon(self) -> End {
        self.kill();
        self.await_end();
        self.reap()
    }
}

impl Process for Child {
    type Poller = Host;

    fn pid(&self) -> u32 {
        self.birth.process().map_or(0, ProcessHandle::pid)
    }

    fn write(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let written = sys::write_pieces(&self.tasks, pieces)?;
        self.page.ring();
        Ok(written)
    }

    fn watch_room(&self, host: &Host, id: u64) -> io::Result<()> {
        let token = token::new(id, token::Source::Tasks);
        host.poller().add(&self.tasks, token, Interest::Write)
    }

    fn unwatch_room(&self, host: &Host) {
        host.poller().remove(&self.tasks);
    }

    fn unwatch_end(&self, host: &Host) {
        if let Some(process) = self.process_fd() {
            host.poller().remove(process);
        }
    }

    fn take_back(&self, end: u64) -> u64 {
        self.page.take_back(end)
    }

    fn done(&self) -> u64 {
        self.page.done()
    }

    fn is_full(&self) -> bool {
        self.page.is_full()
    }

    fn is_blameless(&self) -> bool {
        self.birth.is_blameless()
    }

    fn kill(&self) {
        match (self.birth.process(), &self.nursery) {
            (Some(process), _) => process.kill(),
            (None, Some(nursery)) => nursery.kill(&self.birth),
            (None, None) => {}
        }
    }

    fn await_end(&self) {
        match (self.birth.process(), &self.nursery) {
            (Some(process), _) => process.await_end(),
            (None, Some(nursery)) => nursery.await_end(&self.birth),
            (None, None) => {}
        }
    }

    fn reap(&self) -> End {
        let reaped = self.birth.process().map(ProcessHandle::reap);
        let (exit, peak_rss) = reaped.unwrap_or((Exit::Unknown, None));
        End {
            exit,
            peak_rss,
            stderr: self.output.last_words(),
        }
    }
}
