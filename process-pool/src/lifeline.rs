//! The thread of a worker that notices the death of the pool's process, however busy the worker is, and
//! ends the worker with all that it has started.
//!
//! There is a signal for that, `PR_SET_PDEATHSIG`, but it comes when the *thread* that has started the
//! worker ends.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use future_result::sync::thread;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::getppid;

use crate::sys::{kill_own_group, pool_of_this_worker, private};

/// How often to look, in milliseconds, where there is nothing to wait for any more.
const INTERVAL: Duration = Duration::from_millis(50);

/// Starts the thread. `tasks` is the task pipe, which has no writer once the pool is gone.
pub(crate) fn start(pool: u32, tasks: OwnedFd) -> io::Result<()> {
    let parent = getppid();
    let process = pool_of_this_worker(pool).map(private);
    let tasks = private(tasks);
    let builder = thread::Builder::new().name("process-pool lifeline".to_owned());
    builder.spawn(move || {
        watch(process.as_ref(), &tasks);
        // A task has closed the descriptors, or put something else in their place.
        while getppid() == parent {
            std::thread::park_timeout(INTERVAL);
        }
        kill_own_group()
    })?;
    Ok(())
}

/// Returns when the descriptors are of no use any more.
fn watch(process: Option<&OwnedFd>, tasks: &OwnedFd) {
    let parent = getppid();
    loop {
        let mut fds = vec![PollFd::from_borrowed_fd(tasks.as_fd(), PollFlags::empty())];
        fds.extend(process.map(|fd| PollFd::from_borrowed_fd(fd.as_fd(), PollFlags::IN)));
        match poll(&mut fds, None) {
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(_) => return,
        }
        let pipe = fds[0].revents();
        if getppid() != parent || pipe == PollFlags::HUP {
            kill_own_group();
        }
        return;
    }
}
