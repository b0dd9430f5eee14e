#!/bin/bash
# The life of an installed mlx-tree under a real systemd: installed, fed, hung, killed, brought back, reloaded, uninstalled.
# Prints a line a step; the test compares them.
program=$1 config=$2
set -u
fail() { echo "FAILED: $*"; systemctl --user status --no-pager mlx-tree; cat "$HOME/systemd.log"; exit 1; }
show() { systemctl --user show -P "$1" mlx-tree; }
until_it() { # words, then a condition
    local what=$1; shift
    for _ in $(seq 400); do "$@" && return; sleep 0.05; done
    fail "never $what"
}
serves() { show StatusText | grep -q '^Serving' && [ "$(show ActiveState)" = active ]; }
lives() { serves && [ "$(show NRestarts)" = "$1" ]; }

# What people wait for is made short.
mkdir -p "$HOME/.config/systemd/user/mlx-tree.service.d"
printf '[Service]\nRestartSec=100ms\nWatchdogSec=1500ms\n' > "$HOME/.config/systemd/user/mlx-tree.service.d/short.conf"

"$program" service install --config "$config" --state-dir "$HOME/the state" > /dev/null || fail "install"
until_it "serving" serves
echo "installed: $(show Type) $(show ActiveState), $(show UnitFileState), main process $( [ "$(show MainPID)" -gt 1 ] && echo there)"
groups=$(systemd-cgls --no-pager "/app.slice/mlx-tree.service" 2> /dev/null | grep -c "stand-in")
echo "server in a control group of its own: $groups"

# Alive by round trips: half a minute of WatchdogSec would not show more.
first=$(show MainPID)
server=$("$program" status --json --state-dir "$HOME/the state" | sed -n 's/^  "process_pid": \([0-9]*\).*/\1/p')
kill -KILL "$server"
until_it "told that it went down" sh -c "systemctl --user show -P StatusText mlx-tree | grep -q restarts"
until_it "serving again" serves
echo "server killed: restarts of systemd $(show NRestarts), same mlx-tree $( [ "$(show MainPID)" = "$first" ] && echo yes)"

# It hangs: whatever it is that does not answer, no round trip succeeds.
kill -STOP "$(show MainPID)"
until_it "restarted by the watchdog" lives 1
echo "hung: restarts of systemd $(show NRestarts)"
echo "servers: $(pgrep -c -f 'stand-in --host')"

kill -KILL "$(show MainPID)"
until_it "restarted after a kill" lives 2
echo "killed: restarts of systemd $(show NRestarts)"
echo "servers: $(pgrep -c -f 'stand-in --host')"

# An end that was asked for is none to be put right.
"$program" shutdown --state-dir "$HOME/the state" > /dev/null
until_it "down" sh -c '[ "$(systemctl --user show -P ActiveState mlx-tree)" = inactive ]'
echo "shut down: $(show ActiveState), $(show Result), restarts of systemd $(show NRestarts)"
systemctl --user start mlx-tree || fail "start"
until_it "serving" serves

# A configuration that makes no sense is not tried for ever.
cp "$config" "$config.good"
echo 'nonsense = true' > "$config"
systemctl --user restart mlx-tree 2> /dev/null
until_it "failed" sh -c '[ "$(systemctl --user show -P ActiveState mlx-tree)" = failed ]'
echo "bad configuration: $(show Result), exit code $(show ExecMainStatus)"
"$program" service status > /dev/null; echo "service status: exit code $?"
cp "$config.good" "$config"
"$program" service install --config "$config" --state-dir "$HOME/the state" > /dev/null || fail "second install"
until_it "serving" serves
"$program" service uninstall > /dev/null || fail "uninstall"
echo "uninstalled: $(systemctl --user show -P LoadState mlx-tree.service), servers: $(pgrep -c -f 'stand-in --host')"
ls "$HOME/.config/systemd/user/"*.service "$HOME/.config/systemd/user/default.target.wants/"* 2> /dev/null
exit 0
