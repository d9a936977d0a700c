//! Measures all groups and writes `benches/REPORT.md`, with a drawing for each.

mod bars;
mod curves;
mod data;
mod machine;
mod page;
mod svg;

use std::env;
use std::path::Path;
use std::process::ExitCode;

use benches::{CHILD, Contest, Group, Pin, Row, Trouble, groups, measure_child};

use crate::data::{Data, Entry};

const USAGE: &str = "\
Measures this workspace's pools beside their peers, and writes benches/REPORT.md.

Usage: cargo run --release -p benches --bin report -- [OPTIONS]

  --group NAME   measure only this group, or all of a family; may be repeated. The others stay as they were
  --rounds N     how many processes for each row and pin, interleaved (5)
  --redraw       measure nothing
  --help         print this
";

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
        // From the parent process alone.
        [CHILD, group, row, pin] => match Pin::named(pin) {
            Some(pin) => measure_child(group, row, pin),
            None => Err(format!("no pin {pin}")),
        },
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
                options.rounds =
                    rounds.ok_or_else(|| format!("--rounds is a number from 1, not {number}"))?;
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
    let mut data = Data::read(&file)?;
    let is_wanted = |group: &&Group| {
        let is_named = |name: &String| name == group.name || name == group.family();
        !options.redraw && (options.groups.is_empty() || options.groups.iter().any(is_named))
    };
    for group in groups.iter().filter(is_wanted) {
        for pin in [Pin::Free, Pin::One] {
            measure(group, pin, options.rounds, &mut data);
            // What was measured is kept, whatever comes.
            data.write(&file)?;
        }
    }
    page::write(folder, &groups, &data)
}

fn measure(group: &Group, pin: Pin, rounds: usize, data: &mut Data) {
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
}
