#!/bin/busybox sh
# The only program of an emulated host: loads KVM, makes the command's runs, says how each ended,
# powers off. /config sets MARK, MODULE, PARAMS and FLUSH; /command has a script a run. The first
# serial port has the kernel's messages, the runs' standard error and our marks; the second, at the
# end, what they wrote to standard output, each with a mark behind it, packed: an emulated port is
# slow. Marks on the first come twice, because a kernel message may cut through one.
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

# Flushes so far, or "-".
flushes() {
    [ -n "$counted" ] || echo -
    [ -n "$counted" ] && while read -r event hits misses; do
        [ "$event" = flush ] && echo "$hits"
    done < $trace/kprobe_profile
}

$bb mkfifo /tmp/err
say start
number=0
for script in /command/*; do
    $bb cat /tmp/err > /dev/ttyS0 &
    "$script" > /tmp/out 2> /tmp/err < /dev/null
    code=$?
    wait
    { $bb cat /tmp/out; echo "$MARK"; } >> /tmp/all
    say ran $number $code "$(flushes)"
    number=$((number + 1))
done
$bb gzip -c /tmp/all > /dev/ttyS1
$bb stty -F /dev/ttyS1 -echo
finish end
