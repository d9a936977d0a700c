//! What no compiler sees in the guide: chapters that are not tested, and links that lead nowhere.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The targets of all `](…)` in a text.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let after = text.split("](").skip(1);
    after.filter_map(|rest| rest.split_once(')').map(|(target, _)| target))
}

#[test]
fn every_chapter_of_the_summary_has_its_snippets_tested() {
    let summary = fs::read_to_string(source().join("SUMMARY.md")).unwrap();
    let listed: BTreeSet<_> = links(&summary).collect();
    let tested: BTreeSet<_> = guide::CHAPTERS.iter().copied().collect();
    assert!(listed.len() > 10);
    assert_eq!(listed, tested);
}

#[test]
fn every_link_to_a_file_leads_to_one() {
    for chapter in guide::CHAPTERS {
        let file = source().join(chapter);
        let text = fs::read_to_string(&file).unwrap();
        for target in links(&text).filter(|target| !target.contains("://")) {
            let path = target.split('#').next().unwrap();
            let target = file.parent().unwrap().join(path);
            assert!(target.is_file(), "{chapter} links to {}", target.display());
        }
    }
}

#[test]
fn every_example_has_its_page() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let mut seen = 0;
    for entry in fs::read_dir(examples).unwrap() {
        let path = entry.unwrap().path();
        // What the programs share is not one of them.
        if path.join("src/main.rs").is_file() {
            let name = path.file_name().unwrap().to_str().unwrap();
            let page = format!("programs/{name}.md");
            assert!(
                guide::CHAPTERS.contains(&page.as_str()),
                "{name} has no page"
            );
            seen += 1;
        }
    }
    assert!(seen > 5);
}
