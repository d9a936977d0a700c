//! Whether the aims were reached.

use benches::{Aim, Group, Kind, Most, human_time};

use crate::data::{Data, Entry, best};

/// One aim and what was measured.
pub(crate) struct Verdict {
    /// The aim, in words.
    pub(crate) aim: String,
    /// The measured value; `None` if there is none.
    pub(crate) is: Option<String>,
    pub(crate) is_reached: bool,
}

/// The verdict on one aim of this group.
pub(crate) fn verdict(group: &Group, aim: &Aim, data: &Data) -> Verdict {
    let entries = data.of(group.name, aim.pin);
    let is_meant = |entry: &&&Entry| match aim.row {
        Some(name) => entry.row == name,
        None => entry.kind == Kind::Ours,
    };
    let ours = entries.iter().find(is_meant);
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
        Most::Beyond(time, name) => {
            let aim = time.as_nanos() as f64;
            let is = ours.zip(peer(name)).map(|(ours, peer)| ours - peer);
            return Verdict {
                aim: format!("{} more than {name}", human_time(aim)),
                is: is.map(human_time),
                is_reached: is.is_some_and(|is| is <= aim),
            };
        }
        Most::Of(ratio, name) => (ratio, peer(name), name.to_owned()),
        Most::OfBest(ratio) => match best(&entries, Kind::Peer) {
            Some((median, row)) => (ratio, Some(median), format!("the best peer ({row})")),
            None => (ratio, None, "the best peer".to_owned()),
        },
    };
    let row = aim
        .row
        .map(|row| format!("`{row}` at "))
        .unwrap_or_default();
    let is = ours.zip(peer).map(|(ours, peer)| ours / peer);
    Verdict {
        aim: format!("{row}{ratio} × {name}"),
        is: is.map(|is| format!("{is:.2} ×")),
        is_reached: is.is_some_and(|is| is <= ratio),
    }
}
