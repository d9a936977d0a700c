//! The counts as a file that is committed.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::process::Command;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/instructions.txt");
const HEAD: &str = "\
# Instructions of the hot paths, one turn each, by `cargo run --release -p benches --bin instructions -- --bless`.
";

/// Percent by which a path may take more, with the same compiler. Variation between runs is below 1 %.
const TOLERANCE: f64 = 4.0;
/// And with another compiler, which may inline differently.
const TOLERANCE_OF_COMPILERS: f64 = 25.0;

/// How many instructions each path took.
pub(crate) struct Counts {
    compiler: String,
    paths: BTreeMap<String, f64>,
}

impl Counts {
    pub(crate) const fn new(compiler: String) -> Self {
        let paths = BTreeMap::new();
        Self { compiler, paths }
    }

    pub(crate) fn insert(&mut self, path: &str, count: f64) {
        self.paths.insert(path.to_owned(), count);
    }

    pub(crate) fn get(&self, path: &str) -> Option<f64> {
        self.paths.get(path).copied()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, f64)> {
        self.paths
            .iter()
            .map(|(path, &count)| (path.as_str(), count))
    }

    pub(crate) fn compiler(&self) -> &str {
        &self.compiler
    }

    /// In percent.
    pub(crate) fn tolerance(&self) -> f64 {
        if compiler().is_ok_and(|compiler| compiler == self.compiler) {
            TOLERANCE
        } else {
            TOLERANCE_OF_COMPILERS
        }
    }

    pub(crate) fn read() -> Result<Self, String> {
        let text = fs::read_to_string(FILE).map_err(|error| format!("{FILE}: {error}"))?;
        let mut lines = text.lines().filter(|line| !line.starts_with('#'));
        let mut counts = Self::new(lines.next().unwrap_or_default().to_owned());
        for line in lines {
            let parsed = line
                .rsplit_once(' ')
                .and_then(|(path, count)| Some((path, count.parse().ok()?)));
            let (path, count) =
                parsed.ok_or_else(|| format!("{FILE}: {line:?} is no path with a count"))?;
            counts.insert(path.trim_end(), count);
        }
        Ok(counts)
    }

    pub(crate) fn write(&self) -> Result<(), String> {
        let mut text = format!("{HEAD}{}\n", self.compiler);
        for (path, count) in self.iter() {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{path:24} {count:.1}");
        }
        print!("{text}");
        fs::write(FILE, text).map_err(|error| format!("{FILE}: {error}"))
    }
}

/// What `rustc --version` prints.
pub(crate) fn compiler() -> Result<String, String> {
    let output = Command::new("rustc").arg("--version").output();
    let output = output.map_err(|error| format!("cannot ask rustc for its version: {error}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
