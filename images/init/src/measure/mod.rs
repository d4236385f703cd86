//! The measuring runner: memory-management operations, one by one, each on a known number of pages
//! and at a known fork depth, between markers that the hypervisor counts between.
//!
//! Owns how each operation of the table (`hypercalls::performed`) is performed. Comes in:
//! `repeat=N`, `depth=N`s and names, none for all. Goes out: markers (`hypercalls::measure`), which
//! mean nothing on another hypervisor, and on the console a line an operation, for a progress bar.
//! What a kernel lacks is skipped, and the reason told.

mod depth;
mod devices;
mod madvise;
mod marker;
mod moving;
mod populate;
mod protect;
mod region;
mod section;
mod tasks;
mod undisturbed;
mod unmap;
mod userfault;

use hypercalls::Performed;
use section::{Section, Trouble};

/// The runner's version: to be raised whenever an operation does something else than before, as
/// counts are not comparable then.
const VERSION: u32 = 2;
/// Its name.
const NAME: &str = "xenlet-init";
/// Repetitions where none are asked for.
const REPEAT: u64 = 3;
/// Fork depths where none are asked for. Beyond 0 [`Operation::deep`] ones are performed, on the
/// most pages. At 255 Linux 7.2 batches again.
const DEPTHS: [u64; 3] = [0, 1, 255];
/// The deepest that can be asked for.
const DEEPEST: u64 = 300;

/// Sizes: one page, a page more than a batch, a whole table.
const PAGES: &[usize] = &[1, 32, 512];
/// For what has no size.
const ONCE: &[usize] = &[0];

/// How one operation is performed.
#[derive(Clone, Copy)]
struct Operation {
    name: &'static str,
    /// On how many pages.
    pages: &'static [usize],
    /// Performed at every depth.
    deep: bool,
    /// Makes tasks, whose hypercalls are its own.
    all_tasks: bool,
    run: Run,
}

/// Prepares, performs it once in the section, tidies up.
type Run = fn(usize, &mut Section<'_>) -> Result<(), Trouble>;

/// At every size and depth, one task's.
fn own(run: Run) -> Operation {
    Operation {
        name: "",
        pages: PAGES,
        deep: true,
        all_tasks: false,
        run,
    }
}

fn shallow(operation: Operation) -> Operation {
    Operation {
        deep: false,
        ..operation
    }
}

fn sized(pages: &'static [usize], operation: Operation) -> Operation {
    Operation { pages, ..operation }
}

fn tasks(operation: Operation) -> Operation {
    Operation {
        all_tasks: true,
        ..operation
    }
}

fn operation(performed: Performed) -> Operation {
    let how = match performed {
        Performed::Nothing => sized(ONCE, own(protect::nothing)),
        Performed::Mprotect => own(protect::mprotect),
        Performed::Fork => tasks(own(tasks::fork)),
        Performed::Mremap => own(moving::mremap),
        Performed::Munmap => own(unmap::present),
        Performed::MunmapMarkers => own(userfault::munmap_markers),
        Performed::MunmapSwapped => shallow(own(unmap::swapped)),
        Performed::MadviseCold => own(madvise::cold),
        Performed::MadviseFree => own(madvise::free),
        Performed::MadviseDontneed => shallow(own(madvise::dontneed)),
        Performed::MmapPopulate => shallow(own(populate::mmap_populate)),
        Performed::Touch => shallow(own(populate::touch)),
        Performed::FaultAround => shallow(own(populate::fault_around)),
        Performed::PagemapScan => own(userfault::pagemap_scan),
        Performed::UffdMove => own(userfault::uffd_move),
        Performed::RemapPfn => sized(&[1, 32, 64], own(devices::remap_pfn)),
        Performed::BpfMap => sized(&[32, 512], own(devices::bpf_map)),
        Performed::Exec => tasks(shallow(sized(ONCE, own(tasks::exec)))),
        Performed::Thread => tasks(shallow(sized(ONCE, own(tasks::thread)))),
    };
    Operation {
        name: performed.name(),
        ..how
    }
}

/// What is to be run.
struct Plan {
    repeat: u64,
    depths: Vec<u64>,
    operations: Vec<Operation>,
}

impl Plan {
    fn parse(args: &[String]) -> Plan {
        let repeat = args
            .iter()
            .find_map(|a| a.strip_prefix("repeat=")?.parse().ok());
        let asked = args
            .iter()
            .filter_map(|a| a.strip_prefix("depth=")?.parse().ok());
        let asked: Vec<u64> = asked.filter(|&depth| depth <= DEEPEST).collect();
        let names: Vec<&String> = args.iter().filter(|a| !a.contains('=')).collect();
        let wanted = |o: &Performed| names.is_empty() || names.iter().any(|n| *n == o.name());
        for name in &names {
            if Performed::ALL.iter().all(|o| o.name() != **name) {
                println!("measure: there is no operation {name}");
            }
        }
        Plan {
            repeat: repeat.unwrap_or(REPEAT),
            depths: if asked.is_empty() {
                DEPTHS.to_vec()
            } else {
                asked
            },
            operations: Performed::ALL
                .into_iter()
                .filter(wanted)
                .map(operation)
                .collect(),
        }
    }

    /// What is performed at a depth: (operation, pages).
    fn at(&self, depth: u64) -> Vec<(Operation, usize)> {
        let deep = |o: &&Operation| depth == 0 || o.deep;
        let operations = self.operations.iter().filter(deep);
        let all = operations.flat_map(|o| o.pages.iter().map(|&pages| (*o, pages)));
        let most = |o: &Operation| o.pages.iter().max().copied();
        all.filter(|(o, pages)| depth == 0 || most(o) == Some(*pages))
            .collect()
    }
}

/// Performs what `args` ask for.
pub(crate) fn run(args: &[String]) {
    let plan = Plan::parse(args);
    let rows: usize = plan.depths.iter().map(|&depth| plan.at(depth).len()).sum();
    println!("measure: {rows} rows");
    undisturbed::undisturbed();
    if !marker::hello(NAME, VERSION) {
        println!("measure: nobody listens to the markers here");
    }
    for &depth in &plan.depths {
        let cells = plan.at(depth);
        if cells.is_empty() {
            continue;
        }
        let performed = depth::at(depth, || perform(&cells, depth, plan.repeat));
        if let Err(e) = performed {
            println!("measure: depth {depth}: {e}");
        }
    }
}

fn perform(cells: &[(Operation, usize)], depth: u64, repeat: u64) {
    for (operation, pages) in cells {
        println!("measure: {} {pages} @{depth}", operation.name);
        let repetitions = std::iter::once(hypercalls::measure::WARM_UP).chain(0..repeat);
        for repetition in repetitions {
            let mut section = Section::new(operation.name, *pages, depth);
            section.repetition = repetition;
            section.all_tasks = operation.all_tasks;
            let done = (operation.run)(*pages, &mut section);
            if let Err(trouble) = done {
                section.give_up(&trouble);
                break;
            }
        }
    }
}

/// The program that `exec` runs: nothing.
pub(crate) const NOTHING: &str = "nothing";

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(words: &[&str]) -> Plan {
        Plan::parse(&words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn a_plan_is_a_number_and_names() {
        assert_eq!(plan(&[]).operations.len(), Performed::ALL.len());
        let some = plan(&["repeat=7", "mprotect", "exec"]);
        assert_eq!((some.repeat, some.operations.len()), (7, 2));
        assert_eq!(some.depths, DEPTHS);
        assert_eq!(
            plan(&["depth=0", "depth=255", "depth=x", "depth=9999"]).depths,
            [0, 255]
        );
        let names = |depth| {
            let cells = some.at(depth).into_iter();
            cells
                .map(|(o, pages)| format!("{} {pages}", o.name))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            names(0),
            ["mprotect 1", "mprotect 32", "mprotect 512", "exec 0"]
        );
        assert_eq!(names(255), ["mprotect 512"]);
    }
}
