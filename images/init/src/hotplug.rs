//! CPUs taken away and given back while others run, by /sys: `hotplug N rounds` or `hotplug: why`.

use std::{fs, io};

/// How often each CPU but the first goes and comes.
const ROUNDS: usize = 5;

/// Does so, and says how often.
pub(crate) fn run() {
    match all() {
        Ok(rounds) => println!("hotplug {rounds} rounds"),
        Err(e) => println!("hotplug: {e}"),
    }
}

fn all() -> io::Result<usize> {
    let mut rounds = 0;
    for cpu in 1.. {
        let switch = format!("/sys/devices/system/cpu/cpu{cpu}/online");
        if !fs::exists(&switch)? {
            break;
        }
        for _ in 0..ROUNDS {
            fs::write(&switch, "0")?;
            fs::write(&switch, "1")?;
            rounds += 1;
        }
    }
    Ok(rounds)
}
