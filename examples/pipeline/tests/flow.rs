//! All files through all stages, called through the library.

#![expect(clippy::unwrap_used, reason = "a test reports a failure by a panic")]

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use pipeline::flow::{Job, Outcome, run};
use pipeline::generate::{Recipe, generate};
use pipeline::log::Stats;
use pipeline::progress::Progress;
use pipeline::stage::{FileError, Stage};
use tempfile::TempDir;

const MAX_BYTES: u64 = 100_000;

/// An input folder with generated files, and an empty output folder.
fn folders(files: u32, broken: u32) -> (TempDir, Job) {
    let place = TempDir::new().unwrap();
    let (input, output) = (place.path().join("in"), place.path().join("out"));
    fs::create_dir(&input).unwrap();
    fs::create_dir(&output).unwrap();
    let recipe = Recipe {
        files,
        bytes: 4_000,
        broken,
        too_large: MAX_BYTES + 1,
        seed: 7,
    };
    generate(&input, &recipe).unwrap();
    let job = Job {
        files: list(&input),
        output,
        io_workers: 2,
        cpu_workers: 2,
        window: 4,
        max_bytes: MAX_BYTES,
        level: 1,
    };
    (place, job)
}

fn list(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths
}

fn names(folder: &Path) -> BTreeSet<String> {
    let name = |path: PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
    list(folder).into_iter().map(name).collect()
}

fn go(job: &Job) -> Outcome {
    run(job, &Progress::hidden()).unwrap()
}

fn unpacked(job: &Job, source: &Path) -> Vec<u8> {
    let name = source.file_name().unwrap().to_str().unwrap();
    let packed = File::open(job.output.join(format!("{name}.gz"))).unwrap();
    let mut raw = Vec::new();
    GzDecoder::new(packed).read_to_end(&mut raw).unwrap();
    raw
}

#[test]
fn every_file_comes_out_as_it_went_in_and_is_counted() {
    let (_place, job) = folders(20, 0);
    let outcome = go(&job);
    assert_eq!((outcome.written, outcome.failed.len()), (20, 0));

    let (mut stats, mut bytes) = (Stats::default(), 0);
    for source in &job.files {
        let raw = fs::read(source).unwrap();
        assert_eq!(unpacked(&job, source), raw);
        stats += Stats::of(&raw);
        bytes += raw.len() as u64;
    }
    assert_eq!(outcome.stats, stats);
    assert_eq!((stats.odd, stats.entries > 0), (0, true));
    assert_eq!(outcome.stages[Stage::Read as usize].bytes, bytes);
    assert_eq!(outcome.stages[Stage::Compress as usize].bytes, bytes);
    let packed: u64 = list(&job.output)
        .iter()
        .map(|path| path.metadata().unwrap().len())
        .sum();
    assert_eq!(outcome.packed_bytes, packed);
    assert_eq!(outcome.stages[Stage::Write as usize].bytes, packed);
}

#[test]
fn no_more_files_than_the_window_are_on_their_way() {
    for (window, workers) in [(0, 1), (1, 3), (2, 1), (5, 3), (100, 2)] {
        let (_place, mut job) = folders(12, 0);
        (job.window, job.io_workers, job.cpu_workers) = (window, workers, workers);
        let outcome = go(&job);
        assert_eq!(outcome.written, 12);
        assert_eq!(outcome.most_at_once, window.clamp(1, 12));
    }
}

#[test]
fn broken_files_fail_alone_each_in_its_stage() {
    let (_place, job) = folders(5, 6);
    let outcome = go(&job);
    assert_eq!(outcome.written, 5);
    // The generated ones come first.
    assert_eq!(
        Vec::from_iter(outcome.failed.keys().copied()),
        [5, 6, 7, 8, 9, 10]
    );
    for file in [5, 8] {
        assert!(matches!(outcome.failed[&file], FileError::Read(_)));
        assert!(matches!(outcome.failed[&(file + 1)], FileError::NoLog(1)));
        assert!(matches!(
            outcome.failed[&(file + 2)],
            FileError::TooLarge(MAX_BYTES)
        ));
    }
    let failed = Stage::ALL.map(|stage| outcome.stages[stage as usize].failed);
    assert_eq!(failed, [4, 2, 0, 0]);
    assert_eq!(names(&job.output).len(), 5);
}

#[cfg(unix)]
#[test]
fn what_is_no_file_is_not_opened() {
    let (place, mut job) = folders(1, 0);
    let socket = place.path().join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    job.files.push(socket);
    job.files.push(place.path().to_owned());
    let outcome = go(&job);
    assert_eq!(outcome.written, 1);
    for file in [1, 2] {
        assert!(matches!(outcome.failed[&file], FileError::NoFile));
    }
}

#[test]
fn file_that_cannot_be_written_leaves_nothing_behind() {
    let (_place, job) = folders(3, 0);
    let first = job.files[0].file_name().unwrap().to_str().unwrap();
    let in_the_way = format!("{first}.gz");
    fs::create_dir(job.output.join(&in_the_way)).unwrap();
    let outcome = go(&job);
    assert_eq!(outcome.written, 2);
    assert!(matches!(outcome.failed[&0], FileError::Write(_)));
    assert_eq!(outcome.stages[Stage::Write as usize].failed, 1);
    assert_eq!(names(&job.output).len(), 3);
    assert!(names(&job.output).iter().all(|name| name.ends_with(".gz")));
}

#[test]
fn output_folder_that_is_gone_fails_every_file_and_ends() {
    let (_place, job) = folders(9, 0);
    fs::remove_dir(&job.output).unwrap();
    let outcome = go(&job);
    assert_eq!((outcome.written, outcome.failed.len()), (0, 9));
}

#[cfg(unix)]
#[test]
fn compressed_file_may_be_read_by_whom_the_source_may() {
    use std::os::unix::fs::PermissionsExt;

    let (_place, job) = folders(1, 0);
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    fs::set_permissions(&job.files[0], fs::Permissions::from_mode(0o640)).unwrap();
    assert_eq!(go(&job).written, 1);
    assert_eq!(mode(&list(&job.output)[0]), 0o640);
}

#[test]
fn no_files_are_no_failure() {
    let (_place, job) = folders(0, 0);
    let outcome = go(&job);
    assert_eq!((outcome.written, outcome.failed.len()), (0, 0));
    assert_eq!(outcome.most_at_once, 0);
}

#[test]
fn same_seed_makes_the_same_files_whatever_their_number() {
    let ((_one, few), (_other, many)) = (folders(3, 0), folders(5, 0));
    for (few, many) in few.files.iter().zip(&many.files) {
        assert_eq!(fs::read(few).unwrap(), fs::read(many).unwrap());
    }
    let different = many.files.iter().map(|file| fs::read(file).unwrap());
    assert_eq!(BTreeSet::from_iter(different).len(), 5);
}
