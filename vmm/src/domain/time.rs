//! Time as the guest sees it: its records, its timers, its account.

use super::{Clock, Domain, State};
use hypercalls::event::VIRQ_TIMER;
use hypercalls::shared_info::{VcpuInfo, VcpuTimeInfo, WC_OFFSET};
use hypercalls::vcpu::VcpuRunstateInfo;
use hypercalls::vm_assist::VMASST_TYPE_RUNSTATE_UPDATE_FLAG;
use std::mem::offset_of;

/// Set in `state_entry_time` while a record is being written (`XEN_RUNSTATE_UPDATE`).
const RUNSTATE_UPDATE: u64 = 1 << 63;
const TIME: u64 = offset_of!(VcpuInfo, time) as u64;

impl Domain {
    /// When vCPU `cpu`'s first timer expires, in ns of system time.
    #[must_use]
    pub fn next_timer(&self, cpu: usize) -> Option<u64> {
        self.vcpus.get(cpu)?.timers.next()
    }

    /// The first expiry of any vCPU that is up.
    #[must_use]
    pub fn next_timer_of_all(&self) -> Option<u64> {
        let up = self.vcpus.iter().filter(|v| v.up);
        up.filter_map(|v| v.timers.next()).min()
    }

    /// Raises `VIRQ_TIMER` on every vCPU whose timer expired by `now`.
    pub fn expire_timers(&mut self, now: u64) {
        for cpu in 0..self.vcpus.len() {
            if self.vcpus[cpu].timers.expire(now) {
                self.stats.counters.timer_events += 1;
                self.raise_virq(VIRQ_TIMER, cpu);
            }
        }
    }

    /// Takes another clock, before anything has asked for the time.
    pub fn set_clock(&mut self, clock: Clock) {
        self.clock = clock;
        self.stamp_wall_clock();
    }

    /// Tells vCPU `cpu` that its TSC read `tsc` when the system time was `now`.
    pub fn stamp_time(&mut self, cpu: usize, tsc: u64, now: u64) {
        let Some(v) = self.vcpus.get(cpu) else {
            return;
        };
        let (at, area) = (v.info.add(TIME), v.time_area);
        let version: u32 = self.memory.read_obj(at).unwrap_or(0);
        let record = self.clock.stamp(version, tsc, now);
        let odd = VcpuTimeInfo {
            version: record.version.wrapping_sub(1),
            ..record
        };
        for value in [odd, record] {
            // vcpu_info is a page of ours or one the guest's registration holds.
            let _ = self.memory.write_obj(at, &value);
            if let Some(area) = area {
                // The guest may have unmapped it since; then it has no use for it.
                let _ = self.kernel_view(cpu).write_obj(area, &value);
            }
        }
    }

    /// Writes the wall clock at boot into the shared-info page.
    pub fn stamp_wall_clock(&mut self) {
        let wall = self.clock.wall_at_boot();
        let at = self.shared_info.add(WC_OFFSET);
        let version: u32 = self.memory.read_obj(at).unwrap_or(0);
        let seconds = wall.as_secs();
        let even = (version | 1).wrapping_add(1);
        let record = |version| {
            [
                version,
                seconds as u32,
                wall.subsec_nanos(),
                (seconds >> 32) as u32,
            ]
        };
        // The shared-info page is the builder's.
        let _ = self.memory.write_obj(at, &record(even.wrapping_sub(1)));
        let _ = self.memory.write_obj(at, &record(even));
    }

    /// vCPU `cpu` begins to run, to wait, or goes down.
    pub fn enter_state(&mut self, cpu: usize, state: State) {
        if self.vcpus[cpu].runstate.state() == state {
            return;
        }
        let now = self.clock.now();
        self.vcpus[cpu].runstate.enter(state, now);
        self.write_runstate(cpu);
    }

    /// Writes the account where the guest wants it, flagged while it is being written if the
    /// guest asked for that (`VMASST_TYPE_runstate_update_flag`).
    fn write_runstate(&self, cpu: usize) {
        let account = &self.vcpus[cpu].runstate;
        let Some(area) = account.area else {
            return;
        };
        let info = account.info();
        let flagged = VcpuRunstateInfo {
            state_entry_time: info.state_entry_time | RUNSTATE_UPDATE,
            ..info
        };
        let twice = self.assists(VMASST_TYPE_RUNSTATE_UPDATE_FLAG);
        for value in [flagged, info].iter().skip(usize::from(!twice)) {
            // As with the time: an area that is gone is the guest's affair.
            let _ = self.kernel_view(cpu).write_obj(area, value);
        }
    }
}
