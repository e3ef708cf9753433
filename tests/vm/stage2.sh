#!/bin/sh
# The guest's second stage: the root is the host's, changes stay in memory. Finishes what a
# booted system has, runs the command, leaves its exit status in the control folder.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

mount_shared() { # tag, folder: the host's folder, read-write, under its own path
    mkdir -p "$2"
    if [ "$rig_engine" = uml ]; then
        # Linux 6.11 and later have an option for the path; before, it is all of the options.
        mount -t hostfs -o "hostfs=$2" "$1" "$2" 2>/dev/null ||
            mount -t hostfs -o "$2" "$1" "$2"
    else
        mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=none "$1" "$2"
    fi
}

output_port() { # name: the device that carries this stream out
    if [ "$rig_engine" = uml ]; then
        case $1 in out) tty=/dev/ttyS1 ;; err) tty=/dev/ttyS2 ;; esac
        stty -F "$tty" raw -echo
        echo "$tty"
        return
    fi
    for port in /sys/class/virtio-ports/*; do
        [ "$(cat "$port/name")" = "$1" ] && echo "/dev/${port##*/}"
    done
}

mount -t tmpfs tmpfs /run
mkdir -p /run/lock /run/netns /dev/pts /dev/shm
mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
ln -sf /proc/self/fd /dev/fd
ln -sf /proc/self/fd/0 /dev/stdin
ln -sf /proc/self/fd/1 /dev/stdout
ln -sf /proc/self/fd/2 /dev/stderr
hostname pybal-vm
ip link set lo up

mount_shared control "$rig_control"
. "$rig_control/settings"
[ -z "$rig_share" ] || mount_shared share "$rig_share"
mkdir -p /lib/modules
ln -sfn "$rig_modules" "/lib/modules/$(uname -r)"
# The rest comes on demand; ip_vs itself is there from the start, as where PyBal runs.
modprobe ip_vs

# The command writes to pipes, not to a terminal: programs behave as in a script.
carry() { # name: from its pipe to the host
    mkfifo "/run/rig-$1"
    port=$(output_port "$1")
    { cat <"/run/rig-$1" >"$port"; : >"/run/rig-$1-done"; } &
}
carry out
carry err
setsid sh "$rig_control/command.sh" </dev/null >/run/rig-out 2>/run/rig-err
status=$?

# Let the last output through; a daemon that still holds a pipe must not hold us.
tries=0
until [ -e /run/rig-out-done ] && [ -e /run/rig-err-done ] || [ $tries -ge 20 ]; do
    sleep 0.05
    tries=$((tries + 1))
done
echo "$status" >"$rig_control/status.new"
mv "$rig_control/status.new" "$rig_control/status"
busybox reboot -f
