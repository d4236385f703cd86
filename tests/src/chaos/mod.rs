//! Random guests without a CPU: sequences of hypercalls and traps, valid and hostile, against the
//! hypervisor's dispatch, with every page's references recounted after each.
//!
//! [`words`] are the values a guest may put anywhere; [`generate`] puts them where they hurt;
//! [`act`] carries a sequence out on a domain and judges it.

pub mod act;
pub mod generate;
pub mod words;

pub use act::{Guest, Tally, recounted, sequence};
pub use generate::{Act, Step, steps};
pub use words::{Frame, Word};
