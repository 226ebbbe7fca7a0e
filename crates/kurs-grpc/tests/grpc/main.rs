//! The server over loopback, asked by a client of tonic's.

#[cfg(test)]
mod calls;
#[cfg(test)]
mod connections;
#[cfg(test)]
mod fronts;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod streams;
