//! What stands below the options in each command's help.

/// Below `--help`.
pub(super) const EXAMPLES: &str = "\
Examples:
  xenlet                                 measure everything and print the table
  xenlet lab --workload mprotect --policy eager --policy generic
  xenlet lab --backend direct --format json --out report.json
  xenlet compare before.json after.json --tolerance 5
  xenlet doctor

Exit codes:
  0  done, and right        3  this host cannot run it
  1  a check failed         4  the guest crashed
  2  bad usage or input     5  time limit";

/// Below `lab --help`.
pub(super) const LAB_EXAMPLES: &str = "\
Examples:
  xenlet lab --workload mprotect --policy generic --ptes 63
  xenlet lab --policy eager,generic,generic-7.2 --batch 128
  xenlet lab --backend direct --format ktap        for `git bisect run` and CI

`xenlet list` shows the workloads and policies. `--batch linux` is Linux's multicall buffer: 32
entries and 512 bytes, so 31 page-table updates a flush. A row is held against the model of the
kernel release its policy stands for; a difference, or a wrong page table, is exit code 1.";

/// Below `boot --help`.
pub(super) const BOOT_EXAMPLES: &str = "\
Examples:
  xenlet boot --image debian-7.2 --cpus 2
  xenlet boot --kernel vmlinux --cmdline 'console=hvc0' --mem-mib 256
  xenlet boot --kernel vmlinux --initrd initrd --time-limit 60 --stats boot.json

The console is stdin and stdout, raw on a terminal: Ctrl-A x quits, Ctrl-A h helps, Ctrl-A Ctrl-A
sends Ctrl-A. The kernel is a 64-bit ELF file with Xen PV notes, or a bzImage that holds one.

An image's first process is xenlet's own. On its command line xenlet.init=battery runs a battery of
user-mode checks and powers off; xenlet.init=shell is the default.";

/// Below `measure --help`.
pub(super) const MEASURE_EXAMPLES: &str = "\
Examples:
  xenlet measure --image debian-7.2
  xenlet measure --kernel vmlinux --format json --out a.json
  xenlet measure --image debian-7.2 --operation mprotect,fork --repeat 5 --trace t.json
  xenlet compare a.json b.json

`xenlet list` shows the operations. The kernel is unmodified; the program that performs them is
built in and needs no initrd. Counted are hypercalls between its markers: those that work on page
tables are `traps`. min/31 and min/512 are the traps that would do for the same updates, with
Linux's multicall buffer and with a page table's worth a trap.";

/// Below `images --help`.
pub(super) const IMAGES_EXAMPLES: &str = "\
Examples:
  xenlet images list
  xenlet images fetch debian-7.2
  xenlet boot --image debian-7.2

Packages come from the mirrors this machine's apt is configured for, whatever suite they are in;
apt checks their signatures and hashes. Nothing is installed, no rights are needed. What is fetched
is kept in $XDG_CACHE_HOME/xenlet/images, or ~/.cache/xenlet/images.";

/// Below `compare --help`.
pub(super) const COMPARE_EXAMPLES: &str = "\
Examples:
  xenlet lab --policy generic     --format json --out a.json
  xenlet lab --policy generic-7.2 --format json --out b.json
  xenlet compare a.json b.json

  xenlet compare 6.12.json 7.2.json --format markdown     two of `xenlet measure`

Rows are joined by workload and policy, or by workload alone if each report holds one policy and
they differ; rows of other PTEs, batch or vCPUs do not compare (exit code 2). More traps or direct
writes than the tolerance allows, a worse verdict, a skip, or no row any more is exit code 1. Of two
measured kernels, rows are joined by operation, pages and depth; where every repetition of the second
exceeds every one of the first by more than noise, it is worse. Noise is the widest spread of an
operation's rows; for those that make tasks, of any that does.";

/// Below `report --help`.
pub(super) const REPORT_EXAMPLES: &str = "\
Examples:
  xenlet report --html page.html 6.12.json 7.2.json
  xenlet report --html page.html 6.12.json 7.2.json lab.json
  xenlet report --html lab.html lab.json

Kernels stand in the order given, the older ones first: the page's headline is the worst growth from
an earlier to a later one. The page needs no network and no script.";
