//! What a process does to itself.

use std::io;

use rustix::process::{Resource, Rlimit, nice, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// From now on this process gets no more memory than so many bytes of its own, and neither does what it
/// starts. Neither of them can change that.
///
/// The limit is that of data: heaps, stacks of threads, private mappings that can be written. That of the
/// address space would also count what is only reserved: with 256 MiB of that, a task that had allocated in
/// three threads got no 150 MiB more, since the allocator reserves 64 MiB for each thread.
pub(crate) fn limit_memory(bytes: u64) -> io::Result<()> {
    let limit = Rlimit {
        current: Some(bytes),
        maximum: Some(bytes),
    };
    Ok(setrlimit(Resource::Data, limit)?)
}

/// Changes the niceness of this process by so much.
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

/// From now on this thread, and what it starts, runs on these CPUs alone.
///
/// # Errors
///
/// Text that goes on after whose CPUs they are. The thread may run on some of them then.
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
    // Of several the system leaves out silently what is not there, and of none it has no number to tell.
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
