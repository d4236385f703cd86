//! The user's terminal while a guest has it: what the guest writes cannot harm it, what the user
//! types goes to the guest as it is.

mod harmless;
mod raw;

pub use harmless::Harmless;
pub(crate) use raw::Raw;
