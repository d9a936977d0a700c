//! Measures all groups and writes `benches/REPORT.md`, with a drawing of each.

mod aims;
mod bars;
mod curves;
mod data;
mod footprints;
mod machine;
mod page;
mod summary;
mod svg;
mod table;

use std::env;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use benches::{
    CHILD, Contest, Group, MEMORY_CHILD, Pin, Row, Trouble, groups, measure_child,
    measure_footprint,
};

use crate::data::{Data, Entry};

const USAGE: &str = "\
Measures this workspace's pools and their peers, and writes benches/REPORT.md.

Usage: cargo run --release -p benches --bin report -- [OPTIONS]

  --group NAME   measure only this group, all of a family, or `memory`; may be repeated. The others keep
                 their figures
  --rounds N     how many processes for each row and pin, interleaved (5)
  --redraw       measure nothing
  --help         print this
";

/// What `memory` measures, named like a group.
const MEMORY: &str = "memory";

struct Options {
    groups: Vec<String>,
    rounds: usize,
    redraw: bool,
}

fn main() -> ExitCode {
    benches::init();
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments[..] {
        ["--help" | "-h"] => {
            print!("{USAGE}");
            Ok(())
        }
        // Only from the parent process.
        [CHILD, group, row, pin] => match Pin::named(pin) {
            Some(pin) => measure_child(group, row, pin),
            None => Err(format!("no pin {pin}")),
        },
        [MEMORY_CHILD, name, tasks] => measure_footprint(name, tasks),
        _ => parse(&arguments).and_then(|options| report(&options)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("report: {message}");
            ExitCode::FAILURE
        }
    }
}

fn parse(mut arguments: &[&str]) -> Result<Options, String> {
    let mut options = Options {
        groups: Vec::new(),
        rounds: 5,
        redraw: false,
    };
    while let [option, ref rest @ ..] = *arguments {
        arguments = match (option, rest) {
            ("--redraw", rest) => {
                options.redraw = true;
                rest
            }
            ("--group", [name, rest @ ..]) => {
                options.groups.push((*name).to_owned());
                rest
            }
            ("--rounds", [number, rest @ ..]) => {
                let rounds = number.parse().ok().filter(|&rounds| rounds > 0);
                options.rounds = rounds
                    .ok_or_else(|| format!("--rounds takes a number from 1, not {number}"))?;
                rest
            }
            _ => {
                return Err(format!(
                    "unknown option {option}, or a value is missing; see --help"
                ));
            }
        };
    }
    Ok(options)
}

fn report(options: &Options) -> Result<(), String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = folder.join("data.tsv");
    let groups = groups();
    let is_wanted = |names: &[&str]| {
        let is_named = |name: &String| names.contains(&name.as_str());
        options.groups.is_empty() || options.groups.iter().any(is_named)
    };
    let known = |name: &&String| {
        let is = |group: &Group| group.name == **name || group.family() == **name;
        *name == MEMORY || groups.iter().any(is)
    };
    if let Some(unknown) = options.groups.iter().find(|name| !known(name)) {
        return Err(format!("no group {unknown}; `compare --list` names them"));
    }
    let mut data = Data::read(&file, machine::machine())?;
    if !options.redraw {
        if data.machine != machine::machine() {
            return Err(format!(
                "{} has figures of another machine or compiler ({}); remove it to start over",
                file.display(),
                data.machine
            ));
        }
        for group in &groups {
            if is_wanted(&[group.name, group.family()]) {
                for &pin in group.pins {
                    measure(group, pin, options.rounds, &mut data);
                    // Keep what was measured, even if a later group fails.
                    data.write(&file)?;
                }
            }
        }
        if is_wanted(&[MEMORY]) {
            footprints::measure(folder)?;
        }
    }
    page::write(folder, &groups, &data)
}

fn measure(group: &Group, pin: Pin, rounds: usize, data: &mut Data) {
    let start = Instant::now();
    let rows: Vec<&Row> = group.rows.iter().collect();
    let results = Contest { pin, rounds }.run(group, &rows);
    let entries = rows.iter().zip(results).filter_map(|(row, result)| {
        let result = match result {
            Ok(summary) => Ok(summary),
            Err(Trouble::Failed(message)) => Err(message),
            Err(Trouble::Absent(reason)) => {
                eprintln!("report: {} is skipped: {reason}", row.name);
                return None;
            }
        };
        Some(Entry {
            group: group.name.to_owned(),
            row: row.name.to_owned(),
            kind: row.kind,
            pin,
            result,
        })
    });
    data.put(group.name, pin, entries.collect());
    eprintln!(
        "report: {}, {}: {} rows in {:.1} s",
        group.name,
        pin.name(),
        rows.len(),
        start.elapsed().as_secs_f64()
    );
}
