//! How rows are kept small: the forms of bytes that the databases hold, the same in both. All of
//! them are exact to the last trailing zero. What is read is hostile: it is bounded, and bytes of
//! any other form are refused, never a panic.
//!
//! | module | what it holds |
//! |---|---|
//! | [`rows`] | blocks of received rates |
//! | [`events`] | blocks of published events |
//! | `prices` | the prices of one received rate |
//! | `candle` | the four prices of a candle |
//! | `book` | the levels of an order book |
//! | `columns`, `decimals` | columns of blocks, compressed |
//! | `bytes` | numbers as bytes |

pub(crate) mod book;
mod bytes;
pub(crate) mod candle;
mod columns;
mod decimals;
pub mod events;
pub(crate) mod prices;
pub mod rows;

#[cfg(test)]
pub(crate) mod test_values;
