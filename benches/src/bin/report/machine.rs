//! The machine on which it was measured.

use std::fs;
use std::process::Command;

const LOCK: &str = include_str!("../../../../Cargo.lock");
const PEERS: &[&str] = &[
    "async-channel",
    "corosensei",
    "async-executor",
    "blocking",
    "chili",
    "executors",
    "forte",
    "futures",
    "may",
    "oneshot",
    "orx-parallel",
    "paralight",
    "procspawn",
    "rayon",
    "rusty_pool",
    "scheduled-thread-pool",
    "smol",
    "threadpool",
    "tokio",
];

/// CPUs, kernel and compiler, in one line.
pub(crate) fn machine() -> String {
    let cpus = std::thread::available_parallelism().map_or(1, |cpus| cpus.get());
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("of an unknown kind", |(_, model)| model);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let kernel = kernel.split('-').next().unwrap_or_default().trim();
    format!(
        "{cpus} CPUs ({model}), {} {kernel}, {}",
        std::env::consts::OS,
        rustc()
    )
}

fn rustc() -> String {
    let output = Command::new("rustc").arg("--version").output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.unwrap_or_else(|_| "an unknown rustc".to_owned())
}

/// The peers' versions: of crates, from the lock file; of Python and its packages, as installed.
pub(crate) fn peers() -> String {
    let packages = LOCK.split("[[package]]").filter_map(|package| {
        let field = |name: &str| {
            let mut lines = package.lines();
            lines.find_map(|line| {
                line.strip_prefix(name)?
                    .strip_prefix(" = \"")?
                    .strip_suffix('"')
            })
        };
        let name = field("name")?;
        PEERS
            .contains(&name)
            .then_some(format!("{name} {}", field("version")?))
    });
    let mut peers: Vec<_> = packages.collect();
    peers.extend(benches::python_versions());
    peers.join(", ")
}
