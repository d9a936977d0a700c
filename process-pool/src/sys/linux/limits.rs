//! Limits that a process sets for itself.

use std::io;

use rustix::process::{Resource, Rlimit, nice, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Limits the memory of this process, and of each one that it starts, to this many bytes. Neither can lift
/// that.
///
/// The limit is that of data: heaps, stacks of threads, private writable mappings. That of the
/// address space would also count what is only reserved: with a limit of 256 MiB, a task that had allocated in
/// three threads got no further 150 MiB, since the allocator reserves 64 MiB for each thread.
pub(crate) fn limit_memory(bytes: u64) -> io::Result<()> {
    let limit = Rlimit {
        current: Some(bytes),
        maximum: Some(bytes),
    };
    Ok(setrlimit(Resource::Data, limit)?)
}

/// Adds `by` to the niceness of this process.
pub(crate) fn change_niceness(by: i32) -> io::Result<()> {
    nice(by)?;
    Ok(())
}

/// The numbers of the CPUs that this thread may run on.
pub(crate) fn cpus() -> io::Result<Vec<usize>> {
    let cpus = sched_getaffinity(None)?;
    Ok((0..CpuSet::MAX_CPU)
        .filter(|&cpu| cpus.is_set(cpu))
        .collect())
}

/// From now on this thread, and what it starts, runs only on these CPUs.
///
/// # Errors
///
/// Text that continues a sentence about the thread, which may then run on some of them.
pub(crate) fn run_on(numbers: &[usize]) -> Result<(), String> {
    let missing = |cpu| format!("cannot run on CPU {cpu}: it does not exist, or must not be used");
    let mut cpus = CpuSet::new();
    for &cpu in numbers {
        if cpu >= CpuSet::MAX_CPU {
            return Err(missing(cpu));
        }
        cpus.set(cpu);
    }
    let set = sched_setaffinity(None, &cpus);
    // If some do not exist, the system silently leaves them out; if none does, its error does not say which.
    let is = sched_getaffinity(None).map_err(|error| format!("cannot be placed: {error}"))?;
    match numbers.iter().find(|&&cpu| !is.is_set(cpu)) {
        Some(&cpu) => Err(missing(cpu)),
        None if numbers.is_empty() => Err("was given no CPU".to_owned()),
        None => set.map_err(|error| format!("cannot be placed: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cpu_that_is_not_there_is_told_by_its_number() {
        let ours = cpus().unwrap();
        std::thread::spawn(move || {
            for missing in [CpuSet::MAX_CPU - 1, CpuSet::MAX_CPU, usize::MAX] {
                let text = run_on(&[missing, ours[0]]).unwrap_err();
                assert!(text.contains(&format!("CPU {missing}")), "{text}");
                assert!(run_on(&[missing]).is_err());
            }
            assert!(run_on(&[]).unwrap_err().contains("no CPU"));
            run_on(&ours[..1]).unwrap();
            assert_eq!(cpus().unwrap(), ours[..1]);
        })
        .join()
        .unwrap();
    }
}
