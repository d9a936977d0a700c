//! A drawing that can be read on a light or a dark background: its style asks which one it is on.

use std::fmt::Write;

/// Colours by role. Those of bars and curves contrast with both backgrounds and with each other.
const STYLE: &str = "\
text{font:12px system-ui,'DejaVu Sans',sans-serif;fill:#333}\
.title{font-size:14px;font-weight:600}\
.faint{fill:#666}\
.strong{font-weight:600}\
.grid{stroke:#888;stroke-opacity:.3;stroke-width:1}\
.mark{stroke:#888;stroke-width:2}\
.ours{fill:#d9480f}\
.peer{fill:#7a8ca3}\
.reference{fill:#7a8ca3;fill-opacity:.15;stroke:#7a8ca3;stroke-dasharray:4 3}\
.lost{fill:#7048e8}\
.ring{fill:none;stroke:#868e96;stroke-width:2}\
.cut{stroke:#fff;stroke-width:3}\
.line{fill:none;stroke-width:2}\
.s0{stroke:#d9480f;stroke-width:3}.s1{stroke:#1c7ed6}.s2{stroke:#2b8a3e}.s3{stroke:#ae3ec9}.s4{stroke:#b08900}\
.s5{stroke:#0c8599}.s6{stroke:#868e96;stroke-dasharray:4 3}\
.t0{fill:#d9480f;font-weight:600}.t1{fill:#1c7ed6}.t2{fill:#2b8a3e}.t3{fill:#ae3ec9}.t4{fill:#b08900}.t5{fill:#0c8599}\
.t6{fill:#868e96}\
@media(prefers-color-scheme:dark){text{fill:#ddd}.faint{fill:#aaa}.lost{fill:#9775fa}\
.t0{fill:#ff8552}.t1{fill:#4dabf7}.t2{fill:#51cf66}.t3{fill:#da77f2}.t4{fill:#e0b020}.t5{fill:#22b8cf}.t6{fill:#adb5bd}\
.s1{stroke:#4dabf7}.s2{stroke:#51cf66}.s3{stroke:#da77f2}.s4{stroke:#e0b020}.s5{stroke:#22b8cf}}";

/// The body of a drawing.
pub(crate) struct Svg {
    body: String,
}

/// Which end of a text its position is.
#[derive(Clone, Copy)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

impl Svg {
    pub(crate) const fn new() -> Self {
        Self {
            body: String::new(),
        }
    }

    /// What it shows, and how to read it.
    pub(crate) fn head(&mut self, title: &str, how: &str) {
        self.text(0.0, 16.0, Anchor::Start, "title", title);
        self.text(0.0, 34.0, Anchor::Start, "faint", how);
    }

    pub(crate) fn text(&mut self, x: f64, y: f64, anchor: Anchor, class: &str, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let text = escaped(text);
        self.add(format_args!(
            r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}" class="{class}">{text}</text>"#
        ));
    }

    pub(crate) fn bar(&mut self, x: f64, y: f64, width: f64, height: f64, class: &str) {
        self.add(format_args!(
            r#"<rect x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" class="{class}"/>"#
        ));
    }

    pub(crate) fn ring(&mut self, x: f64, y: f64, class: &str) {
        self.add(format_args!(
            r#"<circle cx="{x:.1}" cy="{y:.1}" r="3.5" class="{class}"/>"#
        ));
    }

    pub(crate) fn line(&mut self, from: (f64, f64), to: (f64, f64), class: &str) {
        let ((x1, y1), (x2, y2)) = (from, to);
        self.add(format_args!(
            r#"<line x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}" class="{class}"/>"#
        ));
    }

    pub(crate) fn path(&mut self, points: &[(f64, f64)], class: &str) {
        let points: Vec<_> = points
            .iter()
            .map(|(x, y)| format!("{x:.1},{y:.1}"))
            .collect();
        self.add(format_args!(
            r#"<polyline points="{}" class="line {class}"/>"#,
            points.join(" ")
        ));
    }

    /// The whole file. `title` is for screen readers.
    pub(crate) fn finish(self, width: f64, height: f64, title: &str) -> String {
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" \
             role=\"img\" aria-label=\"{}\">\n<style>{STYLE}</style>\n{}</svg>\n",
            escaped(title),
            self.body
        )
    }

    fn add(&mut self, element: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.body, "{element}");
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('"', "&quot;")
}
