#!/bin/sh
# Plays systemctl, launchctl and loginctl: writes down what it is asked for, and answers as its files beside it say.
here=$(dirname "$0")
echo "$(basename "$0") $*" >> "$here/calls"
if [ -e "$here/refuse" ] && echo "$*" | grep -q -- "$(cat "$here/refuse")"; then
    echo "Failed to do that: no" >&2
    exit 1
fi
case "$(basename "$0") $*" in
"loginctl "*) echo "Linger=no" ;;
"systemctl "*" show "*)
    if [ -e "$here/runs" ]; then
        printf 'LoadState=loaded\nActiveState=active\nSubState=running\nMainPID=4711\nStatusText=Serving\nUnitFileState=enabled\n'
    else
        printf 'LoadState=not-found\nActiveState=inactive\nSubState=dead\nMainPID=0\nUnitFileState=\n'
    fi ;;
"systemctl "*" start "* | "systemctl "*" restart "* | "launchctl bootstrap "*) touch "$here/runs" ;;
"systemctl "*" disable "* | "launchctl bootout "*) rm -f "$here/runs" ;;
"launchctl print "*)
    [ -e "$here/runs" ] || exit 113
    printf 'gui/0/local.mlx-tree = {\n\tstate = running\n\tpid = 4711\n}\n' ;;
esac
