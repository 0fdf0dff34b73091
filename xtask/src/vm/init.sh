#!/bin/busybox sh
# The guest's first process: prepares what programs expect of a system, runs its arguments, says
# how they ended, and ends the guest. Their output goes to the second serial port: the first has
# what the kernel says.
echo "init: begins"
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
busybox mount -t devtmpfs devtmpfs /dev
busybox mount -t proc proc /proc
busybox mount -t sysfs sysfs /sys
busybox stty -F /dev/ttyS1 raw
"$@" </dev/null >/dev/ttyS1 2>&1
echo "init: ended with $?"
busybox poweroff -f
