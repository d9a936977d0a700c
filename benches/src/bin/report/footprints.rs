//! The memory of waiting tasks, which is not a time and so has a file, a table and a drawing of its own.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use benches::{Footprint, Kind, Memory, footprints};

use crate::bars::{self, Bar};

const FILE: &str = "memory.tsv";
const HEAD: &str = "row\tkind\ttasks\tbytes of each\tbytes of page tables of each\tmappings";

/// Measures all rows and writes the figures into `folder`.
pub(crate) fn measure(folder: &Path) -> Result<(), String> {
    let mut text = format!("{HEAD}\n");
    for footprint in footprints() {
        let Footprint {
            row, kind, tasks, ..
        } = &footprint;
        let kind = if *kind == Kind::Ours { "ours" } else { "peer" };
        let figures = match &footprint.result {
            Ok(memory) => memory.encode(),
            Err(reason) => {
                eprintln!("report: memory of {tasks} tasks of {row}: {reason}");
                continue;
            }
        };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{row}\t{kind}\t{tasks}\t{figures}");
    }
    let file = folder.join(FILE);
    fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))
}

struct Line {
    row: String,
    kind: Kind,
    tasks: usize,
    memory: Memory,
}

fn parse(line: &str) -> Option<Line> {
    let mut fields = line.splitn(4, '\t');
    Some(Line {
        row: fields.next()?.to_owned(),
        kind: match fields.next()? {
            "ours" => Kind::Ours,
            _ => Kind::Peer,
        },
        tasks: fields.next()?.parse().ok()?,
        memory: Memory::decode(fields.next()?)?,
    })
}

/// The section of the report and its drawing; `None` if memory was never measured.
pub(crate) fn section(folder: &Path) -> Option<(String, String)> {
    let text = fs::read_to_string(folder.join(FILE)).ok()?;
    let lines: Vec<_> = text.lines().skip(1).filter_map(parse).collect();
    let mut page = "\
\n## memory

How much memory a waiting task takes, without its own data: closures on stacks of their own, and futures. It is
resident memory without the kernel's page tables, which have a column of their own.

![memory](plots/memory.svg)

| | tasks | bytes each | page tables | mappings |\n|---|--:|--:|--:|--:|\n"
        .to_owned();
    for line in &lines {
        let optional = |value: Option<usize>| value.map(|n| n.to_string()).unwrap_or_default();
        let mark = if line.kind == Kind::Ours { "**" } else { "" };
        let _ = writeln!(
            page,
            "| {mark}{}{mark} | {} | {} | {} | {} |",
            line.row,
            line.tasks,
            line.memory.bytes,
            optional(line.memory.page_tables),
            optional(line.memory.mappings)
        );
    }
    // Each row's last line has the most tasks.
    let is_last = |(index, line): &(usize, &Line)| {
        lines.get(index + 1).is_none_or(|next| next.row != line.row)
    };
    let most = lines.iter().enumerate().filter(is_last);
    let names: Vec<_> = most
        .map(|(_, line)| (format!("{} ({})", line.row, line.tasks), line))
        .collect();
    let bars: Vec<_> = names
        .iter()
        .map(|(name, line)| Bar {
            name,
            kind: line.kind,
            value: line.memory.bytes as f64,
        })
        .collect();
    let title = "memory: bytes per waiting task (and how many wait)";
    let drawing = bars::draw(title, &bars, |bytes| format!("{bytes:.0} B"));
    Some((page, drawing))
}
