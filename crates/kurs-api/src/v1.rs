//! Version 1 of the API: what each route answers.

pub(crate) mod alerts;
pub(crate) mod books;
pub(crate) mod candles;
pub(crate) mod changes;
pub(crate) mod courses;
pub(crate) mod currency;
pub(crate) mod history;
pub(crate) mod kept;
pub(crate) mod missing;
pub(crate) mod past;
pub(crate) mod pictures;
pub(crate) mod rates;
pub(crate) mod sources;
