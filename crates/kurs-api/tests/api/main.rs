//! The API over real sockets: a server on a free port, a view fed by hand, a store on disk.

mod client;
mod conditional;
mod courses;
mod currency;
mod fuzz;
mod harness;
mod history;
mod input;
mod operations;
mod rates;
mod routes;
mod slow_clients;
