//! Rules: `median(binance, kraken)(BTC-USDT) * USDT-USD * cbr(USD-RUB) * 1.005`.
//!
//! | written | means |
//! |---|---|
//! | `USDT-USD` | the rate of that pair by its own policy |
//! | `cbr(USD-RUB)` | what that source says, or 1 / what it says of the inverse |
//! | `median(a, b, c)(BTC-USDT)`, `first`, `min`, `max` | over what these sources say |
//! | `median(x, y, z)`, `first(x, y)`, `min(x, y)`, `max(x, y)` | over expressions |
//! | `inv(x)` | 1 / x |
//! | `x * y`, `x / y`, `x + y`, `x - y`, `(x)`, `1.005` | arithmetic |
//! | `x +-0.5%` | bid and ask half a percent around the value |
//! | `fixed(80.5, until 2026-12-31)` | a number with an end; `fixed(80.5)(USD-RUB)` with a unit |
//!
//! | module | what it holds |
//! |---|---|
//! | [`syntax`] | [`Rule`]: a rule as a tree |
//! | [`lexer`], [`parser`] | from text to tree, with positions |
//! | [`mistake`] | [`RuleMistake`]: what is wrong and where |
//! | [`check`] | names, units, circles |
//! | [`figure`], [`evaluate`] | from tree to number |

pub mod check;
pub mod evaluate;
pub mod figure;
pub mod lexer;
pub mod mistake;
pub mod parser;
pub mod syntax;

pub use evaluate::{Evaluated, Evaluation, Prices};
pub use figure::Figure;
pub use mistake::RuleMistake;
pub use parser::parse;
pub use syntax::{Function, Node, NodeKind, Operator, Rule, Span};

#[cfg(test)]
mod tests;
