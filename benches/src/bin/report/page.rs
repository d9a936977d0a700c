//! The report: a section for each family of groups, with its tables and its drawing.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use benches::{Aim, Group, Pin, human_time};

use crate::bars::{self, Ratio};
use crate::curves::{self, Curve};
use crate::data::{Data, Entry, ours_and_best};
use crate::machine;

/// What curves are drawn of, instead of bars.
const SCALING: &str = "scaling_";

/// Writes the report and its drawings into `folder`.
pub(crate) fn write(folder: &Path, groups: &[Group], data: &Data) -> Result<(), String> {
    let plots = folder.join("plots");
    fs::create_dir_all(&plots).map_err(|error| format!("{}: {error}", plots.display()))?;
    let write = |file: &Path, text: &str| {
        fs::write(file, text).map_err(|error| format!("{}: {error}", file.display()))
    };
    let mut page = head();
    let measured = |group: &&Group| !data.of(group.name, Pin::Free).is_empty();
    let groups: Vec<_> = groups.iter().filter(measured).collect();

    let ratios = summary(&groups, data);
    write(
        &plots.join("summary.svg"),
        &bars::summary("Time of ours, in times of the best peer", &ratios),
    )?;
    page.push_str("\n![Ours beside the best peer of each group](plots/summary.svg)\n");

    let mut families: Vec<&str> = groups.iter().map(|group| group.family()).collect();
    families.dedup();
    for family in families {
        add(&mut page, format_args!("\n## {family}"));
        let members = groups.iter().copied();
        let members: Vec<_> = members.filter(|group| group.family() == family).collect();
        let mut about = "";
        if family.starts_with(SCALING) {
            let curves = scaling(&members, data);
            add(&mut page, format_args!("\n![{family}](plots/{family}.svg)"));
            write(&plots.join(format!("{family}.svg")), &curves)?;
        }
        for group in members {
            if group.about != about {
                about = group.about;
                add(&mut page, format_args!("\n{about}"));
            }
            if !family.starts_with(SCALING) {
                let name = format!("{}.svg", group.name.replace('/', "-"));
                let title = format!("{}: time per task", group.name);
                let bars = bars::group(&title, &data.of(group.name, Pin::Free));
                add(&mut page, format_args!("\n![{}](plots/{name})", group.name));
                write(&plots.join(&name), &bars)?;
            }
            table(&mut page, group, data);
        }
    }
    write(&folder.join("REPORT.md"), &page)
}

fn add(page: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = writeln!(page, "{text}");
}

fn head() -> String {
    format!(
        "# The pools beside their peers\n\n\
         Made by `cargo run --release -p benches --bin report`; the figures are in [data.tsv](data.tsv). On {}. Every row and round \
         runs in a process of its own, and the rows take turns. Times are per task: the median and the minimum of the rounds, and the CPU \
         time of all threads. **free** is what a user sees; on **one** CPU it is the cost of the software alone, with less noise. Only ratios \
         travel to other machines.\n\n\
         Peers: {}.\n",
        machine::machine(),
        machine::peers()
    )
}

fn summary<'a>(groups: &[&'a Group], data: &'a Data) -> Vec<Ratio<'a>> {
    let ratios = groups
        .iter()
        .filter(|group| !group.family().starts_with(SCALING))
        .filter_map(|group| {
            let (ours, best, name) = ours_and_best(&data.of(group.name, Pin::Free))?;
            Some(Ratio {
                group: group.name,
                best: name,
                ratio: ours / best,
            })
        });
    let mut ratios: Vec<_> = ratios.collect();
    ratios.sort_by(|a, b| a.ratio.total_cmp(&b.ratio));
    ratios
}

fn scaling(members: &[&Group], data: &Data) -> String {
    let variant = |group: &Group| {
        group
            .name
            .split_once('/')
            .map_or(group.name, |(_, variant)| variant)
    };
    let variants: Vec<_> = members.iter().map(|group| variant(group)).collect();
    let names = members
        .iter()
        .flat_map(|group| group.rows.iter().map(|row| row.name));
    let mut curves: Vec<Curve<'_>> = Vec::new();
    for name in names {
        if curves.iter().any(|curve| curve.name == name) {
            continue;
        }
        let point = |(index, group): (usize, &&Group)| {
            let entries = data.of(group.name, Pin::Free);
            let entry = entries.iter().find(|entry| entry.row == name)?;
            Some((index, entry.median()?))
        };
        let points = members.iter().enumerate().filter_map(point).collect();
        curves.push(Curve { name, points });
    }
    let title = format!("{}: time per task", members[0].family());
    curves::draw(&title, &variants, &curves)
}

/// One group: free beside one CPU.
fn table(page: &mut String, group: &Group, data: &Data) {
    let (free, one) = (
        data.of(group.name, Pin::Free),
        data.of(group.name, Pin::One),
    );
    add(
        page,
        format_args!(
            "\n| {} | free: median | min | CPU | p99 | one CPU: median | min |\n|---|--:|--:|--:|--:|--:|--:|",
            group.name
        ),
    );
    for entry in &free {
        let name = if entry.kind == benches::Kind::Ours {
            format!("**{}**", entry.row)
        } else {
            entry.row.clone()
        };
        let one = one.iter().find(|other| other.row == entry.row);
        add(
            page,
            format_args!(
                "| {name} |{}|{}|",
                cells(entry),
                one.map_or_else(|| " | ".to_owned(), |entry| times(entry))
            ),
        );
    }
    let mut verdicts = String::new();
    for (entries, pin) in [(&free, Pin::Free), (&one, Pin::One)] {
        if let Some((ours, best, name)) = ours_and_best(entries) {
            let _ = write!(
                verdicts,
                "{}: **{:.2}** × {name}",
                heading(pin),
                ours / best
            );
            let limit = entries.iter().find(|entry| entry.is_limit());
            if let Some(limit) = limit.and_then(|limit| limit.median()) {
                let _ = write!(verdicts, ", {:.1} × the limit", ours / limit);
            }
            for aim in group.aims.iter().filter(|aim| aim.pin == pin) {
                let _ = write!(verdicts, "; {}", verdict(aim, ours, best, entries));
            }
            verdicts.push_str(". ");
        }
    }
    add(page, format_args!("\n{}", verdicts.trim_end()));
}

const fn heading(pin: Pin) -> &'static str {
    match pin {
        Pin::Free => "Free",
        Pin::One => "One CPU",
        Pin::Spread => "Spread",
    }
}

/// Whether what was aimed at was reached.
fn verdict(aim: &Aim, ours: f64, best: f64, entries: &[&Entry]) -> String {
    let (peer, name) = match aim.peer {
        None => (Some(best), "the best peer"),
        Some(name) => {
            let entry = entries.iter().find(|entry| entry.row == name);
            (entry.and_then(|entry| entry.median()), name)
        }
    };
    let end = match peer {
        None => "not measured".to_owned(),
        Some(peer) if ours <= aim.ratio * peer => format!("reached with {:.2}", ours / peer),
        Some(peer) => format!("**missed** with {:.2}", ours / peer),
    };
    format!("the aim of {} × {name} is {end}", aim.ratio)
}

/// Median and minimum.
fn times(entry: &Entry) -> String {
    match &entry.result {
        Ok(summary) => format!(
            " {} | {} ",
            human_time(summary.median),
            human_time(summary.minimum)
        ),
        Err(message) => format!(" failed: {} | ", message.replace('|', "/")),
    }
}

/// And CPU time and percentile.
fn cells(entry: &Entry) -> String {
    let optional = |value: Option<f64>| value.map(human_time).unwrap_or_default();
    let (cpu, p99) = match &entry.result {
        Ok(summary) => (optional(summary.cpu), optional(summary.p99)),
        Err(_) => Default::default(),
    };
    format!("{}| {cpu} | {p99} ", times(entry))
}
