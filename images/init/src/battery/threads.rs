//! Threads and what they lock with: a mutex, a condition variable, thread-local storage, the end of
//! each seen by the one that waits for it.

use super::outcome::{Outcome, ensure};
use std::cell::Cell;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

const THREADS: usize = 8;
/// How often each takes the mutex, and how often each has its turn.
const LOCKS: usize = 5000;
const TURNS: usize = 50;
/// How often threads are made and waited for.
const BIRTHS: usize = 100;

/// All of it.
pub(super) fn check() -> Outcome {
    exclude()?;
    take_turns()?;
    come_and_go()
}

/// A number only ever changed under a mutex, in two steps that must not be parted.
fn exclude() -> Outcome {
    let number = Arc::new(Mutex::new((0, 0)));
    let work = |number: Arc<Mutex<(usize, usize)>>| {
        for _ in 0..LOCKS {
            let mut pair = number.lock().unwrap_or_else(|e| e.into_inner());
            pair.0 += 1;
            if pair.0.is_multiple_of(64) {
                thread::yield_now();
            }
            pair.1 = pair.0;
        }
    };
    let all = (0..THREADS).map(|_| {
        let number = Arc::clone(&number);
        thread::spawn(move || work(number))
    });
    join(all.collect())?;
    let pair = *number.lock().unwrap_or_else(|e| e.into_inner());
    let wanted = THREADS * LOCKS;
    ensure(pair == (wanted, wanted), || {
        format!("{wanted} increments made {pair:?}")
    })
}

/// Round robin by a condition variable: every turn wakes a thread that sleeps.
fn take_turns() -> Outcome {
    let turn = Arc::new((Mutex::new(0), Condvar::new()));
    let work = |me: usize, turn: Arc<(Mutex<usize>, Condvar)>| {
        for _ in 0..TURNS {
            let held = turn.0.lock().unwrap_or_else(|e| e.into_inner());
            let mine = turn.1.wait_while(held, |at| *at % THREADS != me);
            *mine.unwrap_or_else(|e| e.into_inner()) += 1;
            turn.1.notify_all();
        }
    };
    let all = (0..THREADS).map(|me| {
        let turn = Arc::clone(&turn);
        thread::spawn(move || work(me, turn))
    });
    join(all.collect())?;
    let turns = *turn.0.lock().unwrap_or_else(|e| e.into_inner());
    ensure(turns == THREADS * TURNS, || format!("{turns} turns"))
}

thread_local! {
    static OWN: Cell<usize> = const { Cell::new(0) };
}

/// Threads that live for an instant; each sees its own thread-local only.
fn come_and_go() -> Outcome {
    for birth in 1..=BIRTHS {
        let seen = thread::spawn(move || {
            let fresh = OWN.replace(birth);
            thread::yield_now();
            (fresh, OWN.get())
        });
        let seen = seen.join().ok();
        ensure(seen == Some((0, birth)), || {
            format!("thread {birth} had {seen:?} for its own")
        })?;
    }
    ensure(OWN.get() == 0, || "a thread wrote another's".into())
}

fn join(threads: Vec<thread::JoinHandle<()>>) -> Outcome {
    for thread in threads {
        ensure(thread.join().is_ok(), || "a thread panicked".into())?;
    }
    Ok(())
}
