//! Whether what was aimed at was reached.

use benches::{Aim, Group, Kind, Most, human_time};

use crate::data::{Data, best};

/// One aim, beside what was measured.
pub(crate) struct Verdict {
    /// What was aimed at, in words.
    pub(crate) aim: String,
    /// What there is; `None` if it was not measured.
    pub(crate) is: Option<String>,
    pub(crate) is_reached: bool,
}

/// Of an aim of this group.
pub(crate) fn verdict(group: &Group, aim: &Aim, data: &Data) -> Verdict {
    let entries = data.of(group.name, aim.pin);
    // Aims are those of the first row.
    let ours = entries.iter().find(|entry| entry.kind == Kind::Ours);
    let ours = ours.and_then(|entry| entry.median());
    let peer = |name: &str| entries.iter().find(|entry| entry.row == name)?.median();
    let (ratio, peer, name) = match aim.most {
        Most::Time(time) => {
            let aim = time.as_nanos() as f64;
            return Verdict {
                aim: human_time(aim),
                is: ours.map(human_time),
                is_reached: ours.is_some_and(|is| is <= aim),
            };
        }
        Most::Of(ratio, name) => (ratio, peer(name), name.to_owned()),
        Most::OfBest(ratio) => match best(&entries, Kind::Peer) {
            Some((median, row)) => (ratio, Some(median), format!("the best peer ({row})")),
            None => (ratio, None, "the best peer".to_owned()),
        },
    };
    let is = ours.zip(peer).map(|(ours, peer)| ours / peer);
    Verdict {
        aim: format!("{ratio} × {name}"),
        is: is.map(|is| format!("{is:.2} ×")),
        is_reached: is.is_some_and(|is| is <= ratio),
    }
}
