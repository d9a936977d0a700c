//! Fetches the page of a URL, or says why there is none.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use thread_pool::TaskError;
use ureq::Agent;

/// The longest title that is kept, in characters.
const TITLE_LIMIT: usize = 60;

/// The outcome of one URL.
pub type Outcome = Result<Page, FetchError>;

/// What is kept of a page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// Its title in one line, empty if it has none.
    pub title: String,
    /// The length of its body.
    pub bytes: usize,
}

impl Page {
    pub(crate) fn new(body: &[u8]) -> Self {
        Self {
            title: title(&String::from_utf8_lossy(body)),
            bytes: body.len(),
        }
    }
}

/// Why a page could not be fetched. Plain data, so that a worker process can return it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The server answered, but with a status other than success.
    #[error("the server answered with status {0}")]
    Status(u16),
    /// The whole page did not arrive in time.
    #[error("no answer after {0:?}; --timeout-ms allows more time")]
    TimedOut(Duration),
    /// There was no answer: no such host, no server, no encryption, or not HTTP.
    #[error("{0}")]
    Failed(String),
    /// The task that should have fetched the page failed.
    #[error("the task failed: {0}")]
    Task(String),
}

impl From<TaskError> for FetchError {
    fn from(error: TaskError) -> Self {
        Self::Task(error.to_string())
    }
}

/// Fetches a whole page. Follows redirects.
///
/// # Errors
/// Whatever kept the page from arriving, including a status of 400 or above.
pub fn fetch(agent: &Agent, url: &str) -> Outcome {
    let body = agent
        .get(url)
        .call()
        .and_then(|mut response| response.body_mut().read_to_vec())
        .map_err(|error| reason(agent, &error))?;
    Ok(Page::new(&body))
}

fn reason(agent: &Agent, error: &ureq::Error) -> FetchError {
    match error {
        ureq::Error::StatusCode(status) => FetchError::Status(*status),
        ureq::Error::Timeout(_) => {
            FetchError::TimedOut(agent.config().timeouts().global.unwrap_or_default())
        }
        ureq::Error::Io(error) => FetchError::Failed(error.to_string()),
        other => FetchError::Failed(other.to_string()),
    }
}

/// The content of the first title element, as one line that a terminal can show.
fn title(html: &str) -> String {
    // It must have the length of the text, which `to_lowercase` may change.
    let lower = html.to_ascii_lowercase();
    let element = lower.find("<title").and_then(|start| {
        let start = start + lower[start..].find('>')? + 1;
        Some(&html[start..start + lower[start..].find("</title")?])
    });
    let words: Vec<_> = element.unwrap_or_default().split_whitespace().collect();
    words
        .join(" ")
        .chars()
        .filter(|c| !c.is_control())
        .take(TITLE_LIMIT)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn title_is_found_whatever_its_case_and_attributes() {
        assert_eq!(
            title("<HTML><Title lang=en>\n  Two\n words </TITLE>"),
            "Two words"
        );
        assert_eq!(title("İ<title>İ</title>"), "İ");
    }

    #[test]
    fn page_without_a_whole_title_has_an_empty_one() {
        for html in [
            "",
            "<p>text</p>",
            "<title",
            "<title>",
            "<title>cut",
            "</title><title>",
        ] {
            assert_eq!(title(html), "", "{html:?}");
        }
    }

    #[test]
    fn title_cannot_command_the_terminal_nor_fill_it() {
        assert_eq!(title("<title>a\u{1b}[2Jb\u{7}</title>"), "a[2Jb");
        assert_eq!(
            title(&format!("<title>{}</title>", "é".repeat(500)))
                .chars()
                .count(),
            TITLE_LIMIT
        );
    }
}
