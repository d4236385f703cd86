//! No lazy mode at all: every write is a hypercall of its own. What the others are measured by.

use super::{Bug, Context, Pauses, Policy, PolicyInfo, Token};
use crate::config::Release;

/// As listed.
pub(super) const INFO: PolicyInfo = PolicyInfo {
    name: "eager",
    models: "no lazy mode: each write is a direct mmu_update",
    release: Release::V7,
    pauses: Pauses::Counted,
    policy: &Eager,
};

/// See the file's head.
struct Eager;

impl Policy for Eager {
    fn enable(&self, _: &Context<'_>) -> Result<Token, Bug> {
        Ok(Token::Default)
    }
    fn disable(&self, _: &Context<'_>, _: Token) -> Result<(), Bug> {
        Ok(())
    }
    fn pause(&self, _: &Context<'_>) -> Result<(), Bug> {
        Ok(())
    }
    fn resume(&self, _: &Context<'_>) -> Result<(), Bug> {
        Ok(())
    }
    fn arch_flush(&self, _: &Context<'_>) -> Result<(), Bug> {
        Ok(())
    }
    fn queues(&self, _: &Context<'_>) -> bool {
        false
    }
    fn switch_out(&self, _: &Context<'_>) -> Result<(), Bug> {
        Ok(())
    }
    fn switch_in(&self, _: &Context<'_>) -> Result<(), Bug> {
        Ok(())
    }
}
