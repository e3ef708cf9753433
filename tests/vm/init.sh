#!/bin/sh
# The guest's first stage, in the initramfs, with a static busybox: puts the host's root,
# read-only, under an overlay in memory and goes on there. The rig_... variables come from
# the kernel's command line.
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev

while read -r module; do
    insmod "/modules/$module"
done </modules/order

if [ "$rig_engine" = uml ]; then
    mount -t hostfs -o ro hostfs /host
else
    mount -t 9p -o ro,trans=virtio,version=9p2000.L,msize=512000,cache=loose root /host
fi
mount -t tmpfs -o size=90% tmpfs /ram
mkdir /ram/upper /ram/work
mount -t overlay -o lowerdir=/host,upperdir=/ram/upper,workdir=/ram/work overlay /new
# The overlay holds on to both; without mount points nobody writes to them by mistake.
umount -l /host
umount -l /ram

mount --move /proc /new/proc
mount --move /sys /new/sys
mount --move /dev /new/dev
exec switch_root /new /bin/sh "$rig_control/stage2.sh"
