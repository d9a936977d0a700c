//! The elements of a picture, and their style, which asks whether the background is light or dark.

use std::fmt::{self, Write};

/// How many curves look different.
pub(super) const LOOKS: usize = 7;

/// The colours of the curves contrast with both backgrounds; three of them are also dashed.
const STYLE: &str = "\
text{font:12px system-ui,sans-serif;fill:#333}\
.head{font-size:15px;font-weight:600}.title{font-size:13px;font-weight:600}.faint{fill:#777}\
.grid{stroke:#8884}\
.c0{stroke:#868e96;fill:#868e96}.c1{stroke:#e8590c;fill:#e8590c}.c2{stroke:#1c7ed6;fill:#1c7ed6}\
.c3{stroke:#2b8a3e;fill:#2b8a3e}.c4{stroke:#ae3ec9;fill:#ae3ec9}.c5{stroke:#0c8599;fill:#0c8599}\
.c6{stroke:#c92a2a;fill:#c92a2a}\
.curve.c4{stroke-dasharray:7 3}.curve.c5{stroke-dasharray:2 3}.curve.c6{stroke-dasharray:9 3 2 3}\
.curve{fill:none;stroke-width:2}\
@media(prefers-color-scheme:dark){text{fill:#ddd}.faint{fill:#999}}";

/// The body of a picture.
#[derive(Debug, Default)]
pub(super) struct Svg {
    body: String,
}

impl Svg {
    /// `anchor` as in SVG: `start`, `middle` or `end`.
    pub(super) fn text(&mut self, (x, y): (f64, f64), anchor: &str, class: &str, text: &str) {
        let text = escape(text);
        self.add(format_args!(
            r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}" class="{class}">{text}</text>"#
        ));
    }

    pub(super) fn line(&mut self, (x1, y1): (f64, f64), (x2, y2): (f64, f64), class: &str) {
        self.add(format_args!(
            r#"<line x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}" class="{class}"/>"#
        ));
    }

    pub(super) fn curve(&mut self, points: &[(f64, f64)], look: usize) {
        let points: Vec<_> = points
            .iter()
            .map(|(x, y)| format!("{x:.1},{y:.1}"))
            .collect();
        let points = points.join(" ");
        let look = look % LOOKS;
        self.add(format_args!(
            r#"<polyline points="{points}" class="curve c{look}"/>"#
        ));
    }

    pub(super) fn dot(&mut self, (x, y): (f64, f64), look: usize) {
        let look = look % LOOKS;
        self.add(format_args!(
            r#"<circle cx="{x:.1}" cy="{y:.1}" r="3" class="c{look}"/>"#
        ));
    }

    /// The whole file. `title` is for screen readers.
    pub(super) fn finish(self, width: f64, height: f64, title: &str) -> String {
        let (title, body) = (escape(title), self.body);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" \
             role=\"img\" aria-label=\"{title}\">\n<style>{STYLE}</style>\n{body}</svg>\n"
        )
    }

    fn add(&mut self, element: fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.body, "{element}");
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('"', "&quot;")
}
