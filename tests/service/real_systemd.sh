#!/bin/bash
# A systemd of a user that sees nothing of this machine: its own mounts, processes and control groups. Runs the script that is
# named with it there. Exit code 77: that cannot be had here, and the last line says why.
set -u
skip() { echo "skipped: $*"; exit 77; }

if [ "${1:-}" != inside ]; then
    [ "$(id -u)" = 0 ] || skip "only root can make the namespaces"
    command -v systemctl unshare mount > /dev/null || skip "no systemctl, unshare or mount"
    # A control group of its own below ours. Without one this systemd would take ours for its root, and everybody in it.
    own=$(sed -n 's/^0:://p' /proc/self/cgroup)
    for root in /sys/fs/cgroup /sys/fs/cgroup/unified; do
        [ -e "$root/cgroup.controllers" ] && group=$root${own%/}/mlx-tree-test-$$
    done
    [ -n "${group:-}" ] && mkdir "$group" 2> /dev/null || skip "no control group of its own"
    (echo 0 > "$group/cgroup.procs" && exec timeout 60 unshare --mount --pid --fork --kill-child --cgroup --ipc --mount-proc \
        bash "$0" inside "$@")
    code=$?
    find "$group" -depth -type d -exec rmdir {} \; 2> /dev/null
    exit $code
fi
shift
# It must see that it is alone before it may begin.
[ "$$" = 1 ] && [ "$(cat /proc/self/cgroup | sed -n 's/^0:://p')" = / ] || skip "no namespaces of its own"
mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system && mount -t cgroup2 cgroup2 /sys/fs/cgroup \
    || skip "no mounts of its own"
export XDG_RUNTIME_DIR=/run/user
mkdir -m 700 "$XDG_RUNTIME_DIR"
for systemd in /lib/systemd/systemd /usr/lib/systemd/systemd; do [ -x "$systemd" ] && break; done
"$systemd" --user --log-target=console --log-level=notice 2> "$HOME/systemd.log" &
manager=$!
for _ in $(seq 200); do
    systemctl --user is-system-running > /dev/null 2>&1 && break
    kill -0 $manager 2> /dev/null || skip "systemd --user does not start: $(tail -1 "$HOME/systemd.log")"
    sleep 0.05
done
"$@"
code=$?
kill $manager
wait $manager
exit $code
