//! Charts of candles as pictures: SVG for pages, PNG for chats and terminals. The same candles
//! give the same bytes on every machine: the font is part of the program, and no float has a say
//! in where anything stands.
//!
//! | module | what it holds |
//! |---|---|
//! | [`chart`] | [`Chart`]: what to draw; its text, its change, its picture |
//! | [`size`] | [`Size`] and its bounds |
//! | [`theme`] | [`Theme`]: colours for light and dark |
//! | `bars` | candles on a grid of time: gaps stay gaps, many are folded into one bar |
//! | `values` | the axis of values: exact steps, exact labels |
//! | `times` | the axis of time, in UTC |
//! | `layout` | where the parts stand, and what is left out where there is no room |
//! | `draw` | the parts, drawn |
//! | `svg` | the writer of SVG |
//! | `raster` | SVG to PNG, with the font of the program |

mod bars;
pub mod chart;
mod draw;
mod layout;
mod raster;
pub mod size;
mod svg;
pub mod theme;
mod times;
mod values;

pub use chart::{Chart, ChartError, Form};
pub use size::Size;
pub use theme::Theme;
