//! One set of curves, and the picture of all sets.

use super::axis::Axis;
use super::svg::Svg;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 270.0;
const HEAD: f64 = 26.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 190.0;
const TOP: f64 = 36.0;
const BOTTOM: f64 = 46.0;

/// A set of curves over the same axes.
#[derive(Clone, Debug)]
pub struct Panel {
    /// What it shows.
    pub title: String,
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical axis; its label is above it.
    pub y: Axis,
    /// The curves. Up to seven look different; curves with the same index in several panels look alike.
    pub curves: Vec<Curve>,
}

/// A curve.
#[derive(Clone, Debug)]
pub struct Curve {
    /// Its name in the legend.
    pub name: String,
    /// Its points, from left to right; if there are at most a dozen, each gets a dot.
    pub points: Vec<(f64, f64)>,
}

/// The text of an SVG file with these panels, one below another.
#[must_use]
pub fn draw(title: &str, panels: &[Panel]) -> String {
    let mut svg = Svg::default();
    svg.text((0.0, 16.0), "start", "head", title);
    for (panel, number) in panels.iter().zip(0_u32..) {
        panel.draw(HEAD + HEIGHT * f64::from(number), &mut svg);
    }
    svg.finish(WIDTH, HEAD + HEIGHT * panels.len() as f64, title)
}

impl Panel {
    fn draw(&self, top: f64, svg: &mut Svg) {
        let (right, bottom) = (WIDTH - RIGHT, top + HEIGHT - BOTTOM);
        let x = |value| LEFT + (right - LEFT) * self.x.place(value);
        let y = |value| bottom - (bottom - top - TOP) * self.y.place(value);

        svg.text((LEFT, top + 14.0), "start", "title", &self.title);
        svg.text((LEFT, top + 29.0), "start", "faint", &self.y.label);
        for (value, name) in &self.y.ticks {
            svg.line((LEFT, y(*value)), (right, y(*value)), "grid");
            svg.text((LEFT - 8.0, y(*value) + 4.0), "end", "faint", name);
        }
        for (value, name) in &self.x.ticks {
            svg.line((x(*value), bottom), (x(*value), bottom + 4.0), "grid");
            svg.text((x(*value), bottom + 18.0), "middle", "faint", name);
        }
        let middle = f64::midpoint(LEFT, right);
        svg.text((middle, bottom + 34.0), "middle", "faint", &self.x.label);

        for (look, curve) in self.curves.iter().enumerate() {
            let points: Vec<_> = curve.points.iter().map(|&(a, b)| (x(a), y(b))).collect();
            svg.curve(&points, look);
            if points.len() <= 12 {
                points.iter().for_each(|&point| svg.dot(point, look));
            }
            let legend = top + TOP + 8.0 + 18.0 * look as f64;
            svg.curve(&[(right + 14.0, legend), (right + 38.0, legend)], look);
            svg.text((right + 44.0, legend + 4.0), "start", "", &curve.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_where_the_axes_have_them_and_names_are_escaped() {
        let ticks = || [(0.0, "none".to_owned()), (1.0, "all".to_owned())];
        let panel = Panel {
            title: "a < b".to_owned(),
            x: Axis::linear("x", ticks()),
            y: Axis::linear("y", ticks()),
            curves: vec![Curve {
                name: "this & that".to_owned(),
                points: vec![(0.0, 0.0), (1.0, 1.0)],
            }],
        };
        let picture = draw("\"quoted\"", &[panel.clone(), panel]);
        // The corners of the first panel, then of the second.
        for points in ["64.0,250.0 570.0,62.0", "64.0,520.0 570.0,332.0"] {
            assert!(picture.contains(points), "{picture}");
        }
        assert!(picture.contains("viewBox=\"0 0 760 566\""), "{picture}");
        assert!(picture.contains("aria-label=\"&quot;quoted&quot;\""));
        assert!(picture.contains(">a &lt; b<") && picture.contains(">this &amp; that<"));
        assert!(picture.matches("<circle").count() == 4);
    }
}
