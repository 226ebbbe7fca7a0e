//! The API over real sockets: a server on a free port, a view fed by hand, a store in memory.

#[cfg(test)]
mod admin;
#[cfg(test)]
mod asyncapi;
#[cfg(test)]
mod auth;
#[cfg(test)]
mod books;
#[cfg(test)]
mod candles;
#[cfg(test)]
mod changes;
#[cfg(test)]
mod client;
#[cfg(test)]
mod conditional;
#[cfg(test)]
mod courses;
#[cfg(test)]
mod currency;
#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod headers;
#[cfg(test)]
mod history;
#[cfg(test)]
mod input;
#[cfg(test)]
mod late_readers;
#[cfg(test)]
mod multiplex;
#[cfg(test)]
mod operations;
#[cfg(test)]
mod owasp;
#[cfg(test)]
mod page;
#[cfg(test)]
mod pictures;
#[cfg(test)]
mod proxies;
#[cfg(test)]
mod rates;
#[cfg(test)]
mod routes;
#[cfg(test)]
mod secure;
#[cfg(test)]
mod slow_clients;
#[cfg(test)]
mod sockets;
#[cfg(test)]
mod streams;
#[cfg(test)]
mod tls;
