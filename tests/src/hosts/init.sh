#!/bin/busybox sh
# The only program of an emulated host: loads KVM, runs the command, says how it ended, powers off.
# /config sets MARK, MODULE, PARAMS and FLUSH; /command is the command. The first serial port has
# the kernel's messages, the command's standard error and our marks; the second its output alone.
# Marks come twice, because a kernel message may cut through one.
bb=/bin/busybox
. /config

say() {
    echo "$MARK $*" > /dev/ttyS0
    echo "$MARK $*" > /dev/ttyS0
}
finish() {
    say "$@"
    # Waits until the port has sent what it was given.
    $bb stty -F /dev/ttyS0 -echo
    $bb poweroff -f
}

$bb mkdir -p /dev /proc /sys /tmp
$bb mount -t devtmpfs devtmpfs /dev
$bb mount -t proc proc /proc
$bb mount -t sysfs sysfs /sys
$bb mount -t tracefs tracefs /sys/kernel/tracing
$bb mount -t tmpfs tmpfs /tmp
$bb stty -F /dev/ttyS0 -echo -opost
$bb stty -F /dev/ttyS1 -echo -opost

for module in irqbypass kvm; do
    $bb insmod /modules/$module.ko || finish setup insmod $module
done
$bb insmod "/modules/$MODULE.ko" $PARAMS || finish setup insmod "$MODULE" $PARAMS
[ -c /dev/kvm ] || finish setup no /dev/kvm

# Counts the flushes KVM asks of the CPU; without the probe there is just no count.
trace=/sys/kernel/tracing
if echo "p:flush $FLUSH" > $trace/kprobe_events 2>/dev/null; then
    echo 0 > $trace/tracing_on
    echo 1 > $trace/events/kprobes/flush/enable
    counted=y
fi

$bb mkfifo /tmp/out /tmp/err
$bb cat /tmp/out > /dev/ttyS1 &
out=$!
$bb cat /tmp/err > /dev/ttyS0 &
err=$!
say start
/command > /tmp/out 2> /tmp/err < /dev/null
code=$?
wait $out $err
$bb stty -F /dev/ttyS1 -echo
[ -n "$counted" ] && while read -r event hits misses; do
    [ "$event" = flush ] && say flushes $hits
done < $trace/kprobe_profile
finish status $code
