//! How long a vCPU ran, waited and was down (`vcpu.h`, `struct vcpu_runstate_info`).

use hypercalls::Vaddr;
use hypercalls::vcpu::VcpuRunstateInfo;

/// The states, with the header's numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    /// On a CPU.
    Running = 0,
    /// Wants one.
    Runnable = 1,
    /// Waits for an event.
    Blocked = 2,
    /// Down.
    #[default]
    Offline = 3,
}

/// A vCPU's account.
#[derive(Clone, Copy, Debug, Default)]
pub struct Runstate {
    state: State,
    entered: u64,
    time: [u64; 4],
    /// Where the guest wants it kept up to date.
    pub area: Option<Vaddr>,
}

impl Runstate {
    /// The state now.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// Goes to `state` at system time `now`.
    pub fn enter(&mut self, state: State, now: u64) {
        self.time[self.state as usize] += now.saturating_sub(self.entered);
        (self.state, self.entered) = (state, now);
    }

    /// The account as the guest sees it: whole up to the last change of state.
    #[must_use]
    pub fn info(&self) -> VcpuRunstateInfo {
        VcpuRunstateInfo {
            state: self.state as i32,
            pad: 0,
            state_entry_time: self.entered,
            time: self.time,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_charged_to_the_state_left() {
        let mut r = Runstate::default();
        r.enter(State::Running, 10);
        r.enter(State::Blocked, 40);
        assert_eq!(r.info().time, [30, 0, 0, 10]);
        assert_eq!(r.info().state_entry_time, 40);
    }
}
