//! Hypercalls of the operations on a time line, in the format Chrome and Perfetto open
//! (the "trace event format"): one JSON document of complete events, times in µs.

use super::kind::Kind;
use super::sample::Label;
use serde_json::{Value, json};

/// Events kept; those beyond are counted.
pub const MAX_EVENTS: usize = 200_000;

/// The thread the operations are shown on, apart from the vCPUs.
const OPERATIONS: usize = 1000;

#[derive(Clone, Debug)]
enum Event {
    Operation {
        name: String,
        from: u64,
        to: u64,
    },
    Hypercall {
        cpu: usize,
        kind: Kind,
        updates: u64,
        from: u64,
        to: u64,
    },
}

/// The time line.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    events: Vec<Event>,
    open: Option<(String, u64)>,
    dropped: u64,
}

impl Trace {
    pub(super) fn begin(&mut self, label: &Label, now: u64) {
        let Label {
            operation,
            pages,
            depth,
            ..
        } = label;
        let which = match label.warm_up() {
            true => "warm-up".to_owned(),
            false => format!("#{}", label.repetition),
        };
        self.open = Some((format!("{operation} {pages} @{depth} {which}"), now));
    }

    pub(super) fn end(&mut self, now: u64) {
        if let Some((name, from)) = self.open.take() {
            self.push(Event::Operation {
                name,
                from,
                to: now,
            });
        }
    }

    pub(super) fn hypercall(&mut self, cpu: usize, kind: Kind, updates: u64, from: u64, to: u64) {
        self.push(Event::Hypercall {
            cpu,
            kind,
            updates,
            from,
            to,
        });
    }

    fn push(&mut self, event: Event) {
        match self.events.len() < MAX_EVENTS {
            true => self.events.push(event),
            false => self.dropped += 1,
        }
    }

    /// The document.
    #[must_use]
    pub fn json(&self) -> String {
        let named = [(OPERATIONS, "operations".to_owned())].into_iter();
        let cpus = (0..=self.last_cpu()).map(|cpu| (cpu, format!("vCPU {cpu}")));
        let names = named.chain(cpus).map(|(tid, name)| {
            json!({"name": "thread_name", "ph": "M", "pid": 1, "tid": tid, "args": {"name": name}})
        });
        let events: Vec<Value> = names.chain(self.events.iter().map(event)).collect();
        let document = json!({
            "displayTimeUnit": "ns",
            "otherData": {"dropped": self.dropped},
            "traceEvents": events,
        });
        format!("{document}\n")
    }

    fn last_cpu(&self) -> usize {
        let cpu = |event: &Event| match event {
            Event::Hypercall { cpu, .. } => *cpu,
            Event::Operation { .. } => 0,
        };
        self.events.iter().map(cpu).max().unwrap_or(0)
    }
}

fn event(event: &Event) -> Value {
    let us = |ns: u64| ns as f64 / 1000.0;
    match event {
        Event::Operation { name, from, to } => json!({
            "name": name, "cat": "operation", "ph": "X", "pid": 1, "tid": OPERATIONS,
            "ts": us(*from), "dur": us(to.saturating_sub(*from)),
        }),
        Event::Hypercall {
            cpu,
            kind,
            updates,
            from,
            to,
        } => json!({
            "name": kind.name(), "cat": "hypercall", "ph": "X", "pid": 1, "tid": cpu,
            "ts": us(*from), "dur": us(to.saturating_sub(*from)),
            "args": {"updates": updates},
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hypercalls::Nr;

    #[test]
    fn a_trace_is_bounded_and_says_what_it_lost() {
        let mut trace = Trace::default();
        let kind = Kind::call(Nr::MmuUpdate as u64, None);
        trace.begin(
            &Label {
                operation: "mprotect".into(),
                pages: 512,
                ..Label::default()
            },
            1000,
        );
        for n in 0..MAX_EVENTS as u64 {
            trace.hypercall(1, kind, 31, n, n + 500);
        }
        trace.end(5000);
        let json: Value = serde_json::from_str(&trace.json()).expect("JSON");
        assert_eq!(json["otherData"]["dropped"], 1);
        let events = json["traceEvents"].as_array().expect("a list");
        assert_eq!(events.len(), MAX_EVENTS + 3);
        let last = events.last().expect("some");
        assert_eq!(
            (last["name"].as_str(), last["dur"].as_f64()),
            (Some("mmu_update"), Some(0.5))
        );
    }
}
