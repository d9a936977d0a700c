//! The report: a summary, the aims, and a section for each family of groups, with its tables and drawing.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use benches::{Group, Kind, Pin, human_time};

use crate::aims::verdict;
use crate::bars::{self, Bar};
use crate::curves::{self, Curve};
use crate::data::{Data, best};
use crate::footprints;
use crate::machine;
use crate::summary::{self, Ratio};
use crate::table::{self, heading};

/// The families that are drawn as curves instead of bars.
const SCALING: &str = "scaling_";

/// Writes the report and its drawings into `folder`.
pub(crate) fn write(folder: &Path, groups: &[Group], data: &Data) -> Result<(), String> {
    let plots = folder.join("plots");
    fs::create_dir_all(&plots).map_err(|error| format!("{}: {error}", plots.display()))?;
    let write = |file: &Path, text: &str| {
        fs::write(file, text).map_err(|error| format!("{}: {error}", file.display()))
    };
    let measured = |group: &&Group| !data.of(group.name, Pin::Free).is_empty();
    let groups: Vec<_> = groups.iter().filter(measured).collect();

    let mut page = head(data);
    let ratios = ratios(&groups, data);
    write(&plots.join("summary.svg"), &summary::draw(&ratios))?;
    page.push_str("\n![Ours compared with the best peer of each group](plots/summary.svg)\n");
    at_a_glance(&mut page, &ratios);
    aims(&mut page, &groups, data);

    let mut families: Vec<&str> = groups.iter().map(|group| group.family()).collect();
    families.dedup();
    for family in families {
        add(&mut page, format_args!("\n## {family}"));
        let members = groups.iter().copied();
        let members: Vec<_> = members.filter(|group| group.family() == family).collect();
        let mut about = "";
        for group in &members {
            if group.about != about {
                about = group.about;
                add(&mut page, format_args!("\n{about}"));
            }
            if !family.starts_with(SCALING) {
                let name = format!("{}.svg", group.name.replace('/', "-"));
                add(&mut page, format_args!("\n![{}](plots/{name})", group.name));
                write(&plots.join(&name), &drawing(group, data))?;
            } else if group.name == members[0].name {
                add(&mut page, format_args!("\n![{family}](plots/{family}.svg)"));
                write(
                    &plots.join(format!("{family}.svg")),
                    &scaling(&members, data),
                )?;
            }
            table::add(&mut page, group, data);
        }
    }
    if let Some((section, drawing)) = footprints::section(folder) {
        page.push_str(&section);
        write(&plots.join("memory.svg"), &drawing)?;
    }
    write(&folder.join("REPORT.md"), &page)
}

fn add(page: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = writeln!(page, "{text}");
}

fn head(data: &Data) -> String {
    let rounds = match data.rounds() {
        (least, most) if least == most => least.to_string(),
        (least, most) => format!("{least} to {most}"),
    };
    format!(
        "# The pools and their peers\n\n\
         Made by `cargo run --release -p benches --bin report`; the figures are in [data.tsv](data.tsv). Measured on {}.\n\n\
         Each row has {rounds} rounds, each in a process of its own, and the rows take turns, so that all see the same \
         machine. Times are **per task**, and less is better: the median and the minimum of the rounds, the CPU time of \
         all threads (including pauses between tasks), and the 99th percentile where each task was timed. Ours are in \
         **bold**; *rows in italics* are not pools, but limits or plain code, and never count as the best peer.\n\n\
         - **free**: threads run wherever the kernel puts them, which is what a user sees.\n\
         - **one CPU**: all threads share one: the cost of the software alone, with less noise.\n\
         - **spread**: the calling thread has one CPU and all workers the other, so everything between them crosses over.\n\n\
         Absolute times hold only for this machine; ratios carry over better. A ratio within 5 % of 1 is noise here.\n\n\
         Peers: {}.\n",
        data.machine,
        machine::peers()
    )
}

fn ratios<'a>(groups: &[&'a Group], data: &'a Data) -> Vec<Ratio<'a>> {
    let of = |group: &Group, pin| {
        let entries = data.of(group.name, pin);
        let (ours, _) = best(&entries, Kind::Ours)?;
        let (peer, name) = best(&entries, Kind::Peer)?;
        Some((ours / peer, name))
    };
    let ratios = groups
        .iter()
        .filter(|group| !group.family().starts_with(SCALING))
        .filter_map(|group| {
            let (free, best) = of(group, Pin::Free)?;
            Some(Ratio {
                group: group.name,
                best,
                free,
                one: of(group, Pin::One).map(|(one, _)| one),
            })
        });
    let mut ratios: Vec<_> = ratios.collect();
    ratios.sort_by(|a, b| a.free.total_cmp(&b.free));
    ratios
}

/// The drawing in a sentence, with a list of the groups in which ours is slower.
fn at_a_glance(page: &mut String, ratios: &[Ratio<'_>]) {
    let lost: Vec<_> = ratios.iter().filter(|ratio| ratio.free > 1.0).collect();
    let won = ratios.len() - lost.len();
    add(
        page,
        format_args!(
            "\nFree, ours is at least as fast as the best peer in {won} of {} groups.",
            ratios.len()
        ),
    );
    if !lost.is_empty() {
        page.push_str("It is slower in these:\n\n");
        for Ratio {
            group, best, free, ..
        } in lost
        {
            add(page, format_args!("- {group}: {free:.2} × {best}"));
        }
    }
}

/// How many aims were reached, with a list of those that were missed.
fn aims(page: &mut String, groups: &[&Group], data: &Data) {
    let all = groups
        .iter()
        .flat_map(|group| group.aims.iter().map(move |aim| (group, aim)));
    let verdicts: Vec<_> = all
        .map(|(group, aim)| (group.name, aim.pin, verdict(group, aim, data)))
        .collect();
    let missed: Vec<_> = verdicts
        .iter()
        .filter(|(_, _, verdict)| !verdict.is_reached)
        .collect();
    add(
        page,
        format_args!(
            "\n## Aims\n\n{} of {} aims were reached. An aim is how much of a peer's time ours may take at \
             most; by default, ours should be no slower than the best peer.",
            verdicts.len() - missed.len(),
            verdicts.len()
        ),
    );
    if missed.is_empty() {
        return;
    }
    page.push_str("Missed:\n\n| group | | aim | is |\n|---|---|---|--:|\n");
    for (group, pin, verdict) in missed {
        let is = verdict.is.as_deref().unwrap_or("not measured");
        add(
            page,
            format_args!("| {group} | {} | {} | {is} |", heading(*pin), verdict.aim),
        );
    }
}

fn drawing(group: &Group, data: &Data) -> String {
    let entries = table::sorted(&data.of(group.name, Pin::Free));
    let bar = |entry| -> Option<Bar<'_>> {
        let entry: &crate::data::Entry = entry;
        Some(Bar {
            name: &entry.row,
            kind: entry.kind,
            value: entry.median()?,
        })
    };
    let bars: Vec<_> = entries.into_iter().filter_map(bar).collect();
    let title = format!("{}: time per task, free", group.name);
    bars::draw(&title, &bars, human_time)
}

/// All groups of a family in one drawing, with a curve for each row.
fn scaling(members: &[&Group], data: &Data) -> String {
    let variants: Vec<_> = members
        .iter()
        .map(|group| {
            group
                .name
                .trim_start_matches(group.family())
                .trim_start_matches('/')
        })
        .collect();
    let mut curves: Vec<Curve<'_>> = Vec::new();
    for row in members.iter().flat_map(|group| &group.rows) {
        if curves.iter().any(|curve| curve.name == row.name) {
            continue;
        }
        let point = |(index, group): (usize, &&Group)| {
            let entries = data.of(group.name, Pin::Free);
            let entry = entries.iter().find(|entry| entry.row == row.name)?;
            Some((index, entry.median()?))
        };
        let points: Vec<_> = members.iter().enumerate().filter_map(point).collect();
        if !points.is_empty() {
            curves.push(Curve {
                name: row.name,
                kind: row.kind,
                points,
            });
        }
    }
    let title = format!("{}: time per task, free", members[0].family());
    curves::draw(&title, &variants, &curves)
}
