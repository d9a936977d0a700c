//! What happens to one file, stage by stage. No stage knows of pools or of other files.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use thiserror::Error;
use thread_pool::TaskError;

use crate::log::Stats;

/// The stages, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// From the disk into memory.
    Read,
    /// Lines to counts.
    Parse,
    /// To gzip.
    Compress,
    /// Into the output folder.
    Write,
}

impl Stage {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Read, Self::Parse, Self::Compress, Self::Write];

    /// Its name in the bars and the report.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Parse => "parse",
            Self::Compress => "compress",
            Self::Write => "write",
        }
    }
}

/// Why a file failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FileError {
    /// It is gone, is a dangling link, or may not be read.
    #[error("cannot be read: {0}")]
    Read(#[source] io::Error),
    /// A pipe, a socket, a device, or a link to a folder.
    #[error("is not a file")]
    NoFile,
    /// It is too large.
    #[error("is larger than {} MiB; --max-mib takes larger ones", .0 / 1024 / 1024)]
    TooLarge(u64),
    /// None of its lines is an entry.
    #[error("is not an access log: none of its {0} lines is an entry")]
    NoLog(u64),
    /// There is no space for it, or it may not be written.
    #[error("cannot be written to the output folder: {0}")]
    Write(#[source] io::Error),
    /// The task that processed it failed.
    #[error("was given up: {0}")]
    Task(#[source] TaskError),
}

/// Reads a whole file, if it is not larger than this.
///
/// # Errors
/// When it cannot be read, or is too large.
pub fn read(path: &Path, max_bytes: u64) -> Result<Vec<u8>, FileError> {
    // Checked before opening it, since opening a pipe waits for a writer.
    let metadata = fs::metadata(path).map_err(FileError::Read)?;
    if !metadata.is_file() {
        return Err(FileError::NoFile);
    }
    if metadata.len() > max_bytes {
        return Err(FileError::TooLarge(max_bytes));
    }
    let file = File::open(path).map_err(FileError::Read)?;
    let mut raw = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or_default());
    // It may have grown meanwhile.
    let mut limited = file.take(max_bytes.saturating_add(1));
    limited.read_to_end(&mut raw).map_err(FileError::Read)?;
    if raw.len() as u64 > max_bytes {
        return Err(FileError::TooLarge(max_bytes));
    }
    Ok(raw)
}

/// Counts a log. Some odd lines are only counted, but a file with nothing else is not a log.
///
/// # Errors
/// When no line is an entry, though there are lines.
pub fn parse(raw: &[u8]) -> Result<Stats, FileError> {
    let stats = Stats::of(raw);
    if stats.entries == 0 && stats.odd > 0 {
        return Err(FileError::NoLog(stats.odd));
    }
    Ok(stats)
}

/// Compresses to gzip.
///
/// # Errors
/// None that can happen in memory.
pub fn compress(raw: &[u8], level: u32) -> Result<Vec<u8>, FileError> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(level));
    encoder.write_all(raw).map_err(FileError::Write)?;
    encoder.finish().map_err(FileError::Write)
}

/// Writes `NAME.gz` whole or not at all: under another name first. An existing one is replaced. Its permissions are
/// those of the source.
///
/// # Errors
/// When it cannot be written.
pub fn write(source: &Path, output: &Path, packed: &[u8]) -> Result<(), FileError> {
    let mut name = source.file_name().unwrap_or_default().to_owned();
    name.push(".gz");
    let write = || {
        let mut file = tempfile::NamedTempFile::new_in(output)?;
        file.write_all(packed)?;
        // If the source is gone by now, only the owner may read the copy.
        if let Ok(metadata) = fs::metadata(source) {
            file.as_file().set_permissions(metadata.permissions())?;
        }
        // Without this its destructor removes it.
        file.persist(output.join(name)).map_err(|error| error.error)
    };
    write().map(drop).map_err(FileError::Write)
}
