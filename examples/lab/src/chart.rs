//! Curves as SVG that can be read on a light or a dark background.
//!
//! # Examples
//!
//! ```
//! use lab::chart::{Axis, Curve, Panel, draw};
//!
//! let panel = Panel {
//!     title: "Squares".to_owned(),
//!     x: Axis::linear("n", [(1.0, "1".to_owned()), (3.0, "3".to_owned())]),
//!     y: Axis::around("n²", [1.0, 4.0, 9.0], |value| value.to_string()),
//!     curves: vec![Curve { name: "n²".to_owned(), points: vec![(1.0, 1.0), (2.0, 4.0), (3.0, 9.0)] }],
//! };
//! let picture = draw("How squares grow", &[panel]);
//! assert!(picture.starts_with("<svg ") && picture.contains("prefers-color-scheme:dark"));
//! ```

mod axis;
mod panel;
mod svg;

pub use self::axis::Axis;
pub use self::panel::{Curve, Panel, draw};
