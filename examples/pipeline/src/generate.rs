//! Generates access logs, and files that only look like some, from a seed.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use fastrand::Rng;

/// What to generate.
#[derive(Clone, Copy, Debug)]
pub struct Recipe {
    /// How many good files.
    pub files: u32,
    /// Their average size, in bytes.
    pub bytes: u64,
    /// How many unusable files.
    pub broken: u32,
    /// The size of a file that is too large, in bytes.
    pub too_large: u64,
    /// The seed of all randomness.
    pub seed: u64,
}

/// Fills this folder. Each file depends only on the seed and its own number.
///
/// # Errors
/// If a file cannot be written.
pub fn generate(folder: &Path, recipe: &Recipe) -> io::Result<()> {
    for number in 0..recipe.files {
        let mut rng = Rng::with_seed(recipe.seed ^ (u64::from(number) << 32));
        let path = folder.join(format!("access-{number:05}.log"));
        let size = rng.u64(recipe.bytes / 2..=recipe.bytes * 3 / 2);
        write_log(BufWriter::new(File::create_new(path)?), size, &mut rng)?;
    }
    for number in 0..recipe.broken {
        let path = folder.join(format!("broken-{number:05}.log"));
        match number % 3 {
            0 => link_to_nowhere(&path)?,
            1 => fs::write(path, [0xFF, 0xD8, 0xFF, 0xE0, 0x00, 0x10])?,
            // It has a length, but takes no space.
            _ => File::create_new(path)?.set_len(recipe.too_large)?,
        }
    }
    Ok(())
}

#[cfg(unix)]
fn link_to_nowhere(path: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink("/nowhere/at/all.log", path)
}

/// On other systems links may need special rights.
#[cfg(not(unix))]
fn link_to_nowhere(path: &Path) -> io::Result<()> {
    fs::write(path, [0])
}

fn write_log(mut out: impl Write, size: u64, rng: &mut Rng) -> io::Result<()> {
    const PAGES: [&str; 5] = [
        "/",
        "/shop",
        "/shop/cart",
        "/static/app.js",
        "/api/v1/stock",
    ];
    let mut written = 0;
    let mut second = 0;
    while written < size {
        second += rng.u32(0..3);
        let (hours, minutes, seconds) = (second / 3600 % 24, second / 60 % 60, second % 60);
        let page = PAGES[rng.usize(..PAGES.len())];
        let status = match rng.u32(0..100) {
            0..=89 => 200,
            90..=94 => 304,
            95..=98 => 404,
            _ => 503,
        };
        let line = format!(
            "203.0.113.{} - - [10/Oct/2025:{hours:02}:{minutes:02}:{seconds:02} +0000] \
             \"GET {page}?item={} HTTP/1.1\" {status} {}\n",
            rng.u8(..),
            rng.u32(..100_000),
            rng.u32(200..50_000),
        );
        out.write_all(line.as_bytes())?;
        written += line.len() as u64;
    }
    out.flush()
}
