//! The table of one group, as text.

use benches::{Contest, Group, Kind, Row, Summary, Trouble, human_time};

pub(crate) fn print(
    group: &Group,
    rows: &[&Row],
    results: &[Result<Summary, Trouble>],
    contest: Contest,
) {
    let (name, pin, rounds) = (group.name, contest.pin.name(), contest.rounds);
    println!(
        "\n{name}: time per task, {} a run, pin {pin}, rounds {rounds}",
        group.tasks
    );
    println!(
        "{:32}{:>10}{:>10}{:>10}{:>10}",
        "", "median", "min", "CPU", "p99"
    );
    let mut ours = None;
    let mut best: Option<(f64, &str)> = None;
    for (row, result) in rows.iter().zip(results) {
        let line = match result {
            Ok(summary) => summary,
            Err(Trouble::Failed(message)) => {
                println!("{:32}failed: {message}", row.name);
                continue;
            }
            Err(Trouble::Absent(reason)) => {
                println!("{:32}skipped: {reason}", row.name);
                continue;
            }
        };
        println!(
            "{:32}{:>10}{:>10}{:>10}{:>10}",
            row.name,
            human_time(line.median),
            human_time(line.minimum),
            line.cpu.map_or_else(|| "?".to_owned(), human_time),
            line.p99.map(human_time).unwrap_or_default(),
        );
        match row.kind {
            Kind::Ours => ours = ours.or(Some(line.median)),
            Kind::Peer if best.is_none_or(|(least, _)| line.median < least) => {
                best = Some((line.median, row.name));
            }
            Kind::Peer | Kind::Reference => {}
        }
    }
    if let Some((ours, (best, name))) = ours.zip(best) {
        println!("ours / best peer: {:.2} ({name})", ours / best);
    }
}
