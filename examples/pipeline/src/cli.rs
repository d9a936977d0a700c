//! The options of the command line, with their limits and defaults, and the job that they describe.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Parser, value_parser};
use tempfile::TempDir;
use thiserror::Error;

use crate::flow::Job;
use crate::generate::{Recipe, generate};

/// Reads, parses, compresses and writes all access logs in a folder, many at once, in bounded memory.
///
/// Without INPUT, files are generated in a temporary folder, which is removed at the end. Every file NAME becomes NAME.gz
/// in the output folder, whole or not at all. The exit code is 0 if every file was written, 1 if one was not, 2 if
/// an option is invalid.
#[derive(Clone, Debug, Parser)]
#[command(name = "pipeline", version, max_term_width = 100)]
pub struct Options {
    /// The folder with the files to process; subfolders and hidden files are skipped
    pub input: Option<PathBuf>,

    /// Where the compressed files go [default: INPUT with "-packed" added]
    #[arg(long, value_name = "DIR", requires = "input")]
    pub output: Option<PathBuf>,

    /// Fill INPUT with files first; it must be empty or not exist yet
    #[arg(long, requires = "input")]
    pub generate: bool,

    /// How many files to generate, 1 to 100000
    #[arg(long, value_name = "N", default_value_t = 200)]
    #[arg(value_parser = value_parser!(u32).range(1..=100_000))]
    pub files: u32,

    /// How large they are on average, in KiB, 1 to 65536
    #[arg(long, value_name = "N", default_value_t = 512)]
    #[arg(value_parser = value_parser!(u32).range(1..=65_536))]
    pub kib: u32,

    /// How many unusable files to add: a dangling link, a file that is not text, one that is too large
    #[arg(long, value_name = "N", default_value_t = 0)]
    #[arg(value_parser = value_parser!(u32).range(0..=100_000))]
    pub broken: u32,

    /// The seed of generated files: the same number gives the same files
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,

    /// How many threads read and write, 1 to 256
    #[arg(long, value_name = "N", default_value_t = 4)]
    #[arg(value_parser = value_parser!(u32).range(1..=256))]
    pub io_workers: u32,

    /// How many threads parse and compress, 1 to 256 [default: one for each CPU]
    #[arg(long, value_name = "N")]
    #[arg(value_parser = value_parser!(u32).range(1..=256))]
    pub cpu_workers: Option<u32>,

    /// How many files may be in progress at once, 1 to 10000 [default: two for each thread]
    #[arg(long, value_name = "N")]
    #[arg(value_parser = value_parser!(u32).range(1..=10_000))]
    pub window: Option<u32>,

    /// The largest file to accept, in MiB, 1 to 65536; times --window, this bounds the memory
    #[arg(long, value_name = "N", default_value_t = 64)]
    #[arg(value_parser = value_parser!(u32).range(1..=65_536))]
    pub max_mib: u32,

    /// How hard to compress, 0 to 9
    #[arg(long, value_name = "N", default_value_t = 6)]
    #[arg(value_parser = value_parser!(u32).range(0..=9))]
    pub level: u32,
}

/// The input and output folders. Dropping it removes temporary ones.
#[derive(Debug)]
pub struct Place {
    input: PathBuf,
    output: PathBuf,
    _temporary: Option<TempDir>,
}

/// Why there is nothing to do, and what to do about it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PlaceError {
    /// A folder, or a file in it, cannot be read or created.
    #[error("cannot {what} {}: {error}; {hint}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// The folder.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
        /// What to do next.
        hint: &'static str,
    },
    /// The folder to fill is not empty.
    #[error("{} is not empty; name another folder, or leave out --generate to take what is in it", .0.display())]
    NotEmpty(PathBuf),
    /// The output would become the next run's input.
    #[error("the output is the input, {}; name another folder with --output", .0.display())]
    Same(PathBuf),
    /// A path such as `..` or `/`, which has no name to extend.
    #[error("{} has no name to make an output folder's from; name one with --output", .0.display())]
    NoName(PathBuf),
}

fn io_error(
    what: &'static str,
    path: &Path,
    hint: &'static str,
) -> impl FnOnce(io::Error) -> PlaceError {
    let path = path.to_owned();
    move |error| PlaceError::Io {
        what,
        path,
        error,
        hint,
    }
}

impl Options {
    /// Creates the folders, and the files if requested.
    ///
    /// # Errors
    /// If they cannot be created, or something else is there.
    pub fn place(&self) -> Result<Place, PlaceError> {
        let Some(input) = self.input.clone() else {
            let temporary = TempDir::with_prefix("pipeline-").map_err(io_error(
                "make a folder in",
                &std::env::temp_dir(),
                "name another INPUT, with --generate",
            ))?;
            let (input, output) = (temporary.path().join("logs"), temporary.path().join("out"));
            self.fill(&input)?;
            make_folder(&output)?;
            return Ok(Place {
                input,
                output,
                _temporary: Some(temporary),
            });
        };
        let output = match &self.output {
            Some(output) => output.clone(),
            None => beside(&input)?,
        };
        if self.generate {
            self.fill(&input)?;
        }
        let real_input = fs::canonicalize(&input).map_err(io_error(
            "open the input folder",
            &input,
            "name one that exists, or let --generate make it",
        ))?;
        make_folder(&output)?;
        if fs::canonicalize(&output).is_ok_and(|output| output == real_input) {
            return Err(PlaceError::Same(input));
        }
        Ok(Place {
            input,
            output,
            _temporary: None,
        })
    }

    fn fill(&self, input: &Path) -> Result<(), PlaceError> {
        make_folder(input)?;
        let mut entries = fs::read_dir(input).map_err(io_error("list", input, "name another"))?;
        if entries.next().is_some() {
            return Err(PlaceError::NotEmpty(input.to_owned()));
        }
        let recipe = Recipe {
            files: self.files,
            bytes: u64::from(self.kib) * 1024,
            broken: self.broken,
            too_large: self.max_bytes() + 1,
            seed: self.seed,
        };
        generate(input, &recipe).map_err(io_error(
            "make files in",
            input,
            "make room, or ask for less with --files and --kib",
        ))
    }

    /// The job for the files of the input folder.
    ///
    /// # Errors
    /// When the input folder cannot be listed.
    pub fn job(&self, place: &Place) -> Result<Job, PlaceError> {
        let files = list(&place.input).map_err(io_error(
            "list the input folder",
            &place.input,
            "name one that can be read",
        ))?;
        let io_workers = self.io_workers as usize;
        let cpu_workers = self
            .cpu_workers
            .map_or_else(num_cpus::get, |workers| workers as usize);
        Ok(Job {
            files,
            output: place.output.clone(),
            io_workers,
            cpu_workers,
            window: self
                .window
                .map_or(2 * (io_workers + cpu_workers), |files| files as usize),
            max_bytes: self.max_bytes(),
            level: self.level,
        })
    }

    fn max_bytes(&self) -> u64 {
        u64::from(self.max_mib) * 1024 * 1024
    }
}

fn make_folder(path: &Path) -> Result<(), PlaceError> {
    fs::create_dir_all(path).map_err(io_error("make the folder", path, "name another"))
}

fn beside(input: &Path) -> Result<PathBuf, PlaceError> {
    let name = input
        .file_name()
        .ok_or_else(|| PlaceError::NoName(input.to_owned()))?;
    let mut name = name.to_owned();
    name.push("-packed");
    Ok(input.with_file_name(name))
}

/// All entries except folders and hidden files, sorted by name. A link counts, wherever it leads.
fn list(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        if !is_hidden && !entry.file_type()?.is_dir() {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}
