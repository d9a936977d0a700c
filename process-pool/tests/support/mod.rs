//! What several tests need: meeting points for tasks, and guards against hanging.

pub(crate) mod zygotes;

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use future_result::sync::atomic::{AtomicU32, Ordering};
use process_pool::{FutureResult, TaskError};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

/// Far more than anything takes on a busy machine. It orders nothing.
pub(crate) const PATIENCE: Duration = Duration::from_secs(100);

/// No process of a test outlives this, whatever is wrong with the library: neither the test's program nor
/// copies of its executable that it starts, such as workers. The loader calls it before `main`.
#[expect(unsafe_code, reason = "a constructor, and an alarm")]
mod alarm {
    use std::ffi::c_uint;

    #[used]
    // SAFETY: the loader calls each of these once, with arguments that a C function may ignore.
    #[unsafe(link_section = ".init_array")]
    static SET: extern "C" fn() = set;

    extern "C" fn set() {
        const SECONDS: c_uint = 900;
        // SAFETY: it has no preconditions; the signal ends the process.
        unsafe { libc::alarm(SECONDS) };
    }
}

/// Ends the program if the test takes forever.
pub(crate) struct Guard(#[expect(dead_code, reason = "its drop is what counts")] mpsc::Sender<()>);

pub(crate) fn guard() -> Guard {
    let (alive, dropped) = mpsc::channel::<()>();
    let test = thread::current().name().unwrap_or("main").to_owned();
    thread::spawn(move || {
        if dropped.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
            eprintln!("{test} hangs");
            std::process::abort();
        }
    });
    Guard(alive)
}

/// Runs a program's tests one after another, with the harness's list and filter as far as they
/// make sense there.
pub(crate) fn run_tests(tests: &[(&str, fn())]) {
    let filter = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'));
    let filter = filter.unwrap_or_default();
    for (name, test) in tests {
        if name.contains(&filter) {
            test();
            println!("test {name} ... ok");
        }
    }
}

/// The outcome, which must come in time.
pub(crate) fn soon<F: FutureResult>(handle: F) -> Result<F::Value, TaskError> {
    match handle.result_timeout(PATIENCE) {
        Ok(outcome) => outcome,
        Err(_) => panic!("the task does not end"),
    }
}

/// A place where tasks report that they have begun, and wait until they may go on.
pub(crate) struct Gate {
    listener: UnixListener,
    path: PathBuf,
}

impl Gate {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        // ORDERING: Relaxed; only uniqueness matters.
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("process-pool-{}-{count}.gate", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path).unwrap();
        Self { listener, path }
    }

    /// The argument for [`visit`].
    pub(crate) fn path(&self) -> String {
        self.path.to_str().unwrap().to_owned()
    }

    /// Waits for the next visitor.
    pub(crate) fn next(&self) -> Visitor {
        let mut fds = [PollFd::new(&self.listener, PollFlags::IN)];
        let limit = Timespec {
            tv_sec: PATIENCE.as_secs().try_into().unwrap(),
            tv_nsec: 0,
        };
        assert_eq!(poll(&mut fds, Some(&limit)), Ok(1), "nobody comes");
        let (mut stream, _) = self.listener.accept().unwrap();
        let mut pid = [0; 4];
        stream.read_exact(&mut pid).unwrap();
        Visitor {
            pid: u32::from_le_bytes(pid),
            stream,
        }
    }

    /// Whether nobody is waiting to be let in.
    pub(crate) fn is_quiet(&self) -> bool {
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        poll(
            &mut [PollFd::new(&self.listener, PollFlags::IN)],
            Some(&now),
        ) == Ok(0)
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// A task that has begun, and waits until this is dropped.
pub(crate) struct Visitor {
    pub(crate) pid: u32,
    stream: UnixStream,
}

impl Visitor {
    /// Lets it go on with one byte to read.
    pub(crate) fn permit(self) {
        self.let_in();
    }

    /// Like [`permit`](Self::permit), but keeps this end.
    pub(crate) fn let_in(&self) {
        (&self.stream).write_all(&[1]).unwrap();
    }

    /// Whether some process still has the other end.
    pub(crate) fn is_there(&self) -> bool {
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let flags = PollFlags::IN | PollFlags::RDHUP;
        poll(&mut [PollFd::new(&self.stream, flags)], Some(&now)) == Ok(0)
    }

    /// Waits until it sends another byte.
    pub(crate) fn wait_until_said(&mut self) {
        self.stream.set_read_timeout(Some(PATIENCE)).unwrap();
        self.stream.read_exact(&mut [0]).unwrap();
    }

    /// Lets it go on, and waits until it has closed its end.
    pub(crate) fn see_off(mut self) {
        self.stream.write_all(&[1]).unwrap();
        self.wait_until_gone();
    }

    /// Waits until the visitor's process is gone, with all copies of its end.
    pub(crate) fn wait_until_gone(mut self) {
        self.stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut rest = Vec::new();
        match self.stream.read_to_end(&mut rest) {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// In a task: reports that it has begun, and returns when it may go on.
pub(crate) fn visit(path: String) -> u32 {
    if let Some(mut stream) = knock(path) {
        let _ = stream.read(&mut [0]);
    }
    std::process::id()
}

/// In a task: reports that it has begun. The stream ends when it may go on.
pub(crate) fn knock(path: String) -> Option<UnixStream> {
    let mut stream = UnixStream::connect(path).ok()?;
    stream.write_all(&std::process::id().to_le_bytes()).ok()?;
    Some(stream)
}

pub(crate) fn send_signal(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(pid.try_into().unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

/// Kills a process, unless it is gone.
pub(crate) fn kill_if_there(pid: u32) {
    let pid = Pid::from_raw(pid.try_into().unwrap()).unwrap();
    let killed = kill_process(pid, Signal::KILL);
    assert!(matches!(killed, Ok(()) | Err(Errno::SRCH)), "{killed:?}");
}

/// Waits until a process is gone, or at least a zombie.
pub(crate) fn wait_for_end(pid: u32) {
    let pid = Pid::from_raw(pid.try_into().unwrap()).unwrap();
    let Ok(fd) = pidfd_open(pid, PidfdFlags::empty()) else {
        return;
    };
    let limit = Timespec {
        tv_sec: PATIENCE.as_secs().try_into().unwrap(),
        tv_nsec: 0,
    };
    let ended = poll(
        &mut [PollFd::from_borrowed_fd(fd.as_fd(), PollFlags::IN)],
        Some(&limit),
    );
    assert_eq!(ended, Ok(1), "process {pid:?} does not end");
}

/// The processes that this one started and has not waited for.
pub(crate) fn children() -> Vec<u32> {
    let mut all = Vec::new();
    for thread in std::fs::read_dir("/proc/self/task").unwrap() {
        let path = thread.unwrap().path().join("children");
        let text = std::fs::read_to_string(path).unwrap_or_default();
        all.extend(
            text.split_whitespace()
                .map(|pid| pid.parse::<u32>().unwrap()),
        );
    }
    all
}

/// The open descriptors of this process.
pub(crate) fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Waits until the threads of this process with this name are at rest: each sleeps at two looks, and none
/// woke up in between.
pub(crate) fn wait_until_at_rest(name: &str) {
    let look = || {
        let mut switches = 0;
        for thread in std::fs::read_dir("/proc/self/task").unwrap() {
            let path = thread.unwrap().path();
            let read = |file: &str| std::fs::read_to_string(path.join(file)).unwrap_or_default();
            if read("comm").trim_end() != name {
                continue;
            }
            let status = read("status");
            let value = |key: &str| {
                let line = status.lines().find_map(|line| line.strip_prefix(key));
                line.unwrap_or_default().trim().to_owned()
            };
            if !value("State:").starts_with('S') {
                return None;
            }
            switches += value("voluntary_ctxt_switches:")
                .parse::<u64>()
                .unwrap_or(0);
        }
        Some(switches)
    };
    // A pause between two looks, after which whatever is about to happen has most probably happened. The
    // outcome of a test does not depend on it, only how much it tests.
    let (_keep, never) = mpsc::channel::<()>();
    loop {
        let before = look();
        never.recv_timeout(Duration::from_millis(20)).unwrap_err();
        if before.is_some() && before == look() {
            return;
        }
    }
}

/// How often threads of this process whose names begin like this have woken up.
pub(crate) fn switches_of_threads(name: &str) -> u64 {
    let mut sum = 0;
    for thread in std::fs::read_dir("/proc/self/task").unwrap() {
        let path = thread.unwrap().path();
        let read = |file: &str| std::fs::read_to_string(path.join(file)).unwrap_or_default();
        if read("comm").starts_with(name) {
            let status = read("status");
            let mut lines = status.lines();
            let count = lines.find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
            sum += count.map_or(0, |count| count.trim().parse::<u64>().unwrap());
        }
    }
    sum
}

/// How many threads of this process have names that begin like this.
pub(crate) fn threads(name: &str) -> usize {
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    let names = threads.map(|thread| std::fs::read_to_string(thread.unwrap().path().join("comm")));
    names
        .filter(|it| it.as_ref().is_ok_and(|it| it.starts_with(name)))
        .count()
}

/// Waits until there are none of those.
pub(crate) fn wait_for_threads_end(name: &str) {
    while threads(name) > 0 {
        thread::yield_now();
    }
}
