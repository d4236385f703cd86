#!/bin/sh
# For `git bisect run`, in a Linux tree: builds the commit that is checked out, measures it, and
# says whether it is worse than a kernel measured before.
#
#   xenlet measure --kernel GOOD --operation mprotect --depth 0 --format json --out good.json
#   git bisect start BAD GOOD
#   git bisect run .../images/bisect.sh $PWD/good.json
#
# Exit codes are git's: 0 good, 1 bad, 125 cannot be told, 255 to give up: without a report to
# compare with no commit can be judged. XENLET names the program, OPERATIONS what is measured (as in
# good.json), JOBS how many compilers run.
set -u
xenlet=${XENLET:-xenlet}
if [ $# -ne 1 ] || [ ! -r "$1" ]; then
	echo "usage: git bisect run bisect.sh GOOD.json" >&2
	exit 255
fi
good=$1
report=$(mktemp) || exit 255
trap 'rm -f "$report"' EXIT

configure() {
	make -s defconfig &&
		./scripts/config -e HYPERVISOR_GUEST -e PARAVIRT -e XEN -e XEN_PV -e HVC_XEN \
			-e BLK_DEV_INITRD -e DEVTMPFS -e TMPFS -e DEVMEM -e USERFAULTFD -e BPF_SYSCALL \
			-d RANDOMIZE_BASE -e KALLSYMS -e UNWINDER_ORC &&
		make -s olddefconfig
}

configure && make -s -j"${JOBS:-$(nproc)}" vmlinux || exit 125
"$xenlet" measure --kernel vmlinux --operation "${OPERATIONS:-mprotect}" --depth 0 \
	--format json --out "$report" || exit 125
"$xenlet" compare "$good" "$report"
case $? in
0) exit 0 ;;
1) exit 1 ;;
*) exit 125 ;;
esac
