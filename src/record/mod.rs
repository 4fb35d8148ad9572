//! What a record says: definitions of call sites, and the bytes of their values.

pub mod bytes;
pub mod definition;
pub mod encoded;
pub(crate) mod skip;
pub mod types;
