# Becomes one host of the lab: run in a session and a mount namespace of its own, it stays beside systemd-nspawn, as the
# hardware under a system would, and boots it again where it ends by a reboot.
# $1 the host's directory, $2 the root below its overlay, $3 where its pid is recorded, $4 the space-separated control
# groups that it shall live in; what follows is the systemd-nspawn command.
set -eu
dir=$1 base=$2 pidfile=$3 groups=$4
shift 4
# First of all, so that a starter killed right now leaves nothing that nobody knows of.
printf '%s %s\n' "$$" "$(cut -d' ' -f22 /proc/$$/stat)" >"$pidfile.new"
mv "$pidfile.new" "$pidfile"
# A group of its own: in a shared one, a unit stopped on one host is killed on all. This shell lives one below, since
# systemd-nspawn makes groups for itself and its payload, and cgroup v2 wants no process beside groups.
for group in $groups; do
    mkdir -p "$group/hardware"
    echo $$ >"$group/hardware/cgroup.procs"
done
# Volatile skips fsync on the overlay, which makes apt several times quicker; the mark that an earlier mount of this
# kind left is about a crash of the machine itself, and a lab doesn't outlive one.
layers="lowerdir=$base,upperdir=$dir/upper,workdir=$dir/work"
rm -rf "$dir/work/work/incompat"
mount -t overlay overlay -o "$layers,volatile" "$dir/root" 2>/dev/null ||
    mount -t overlay overlay -o "$layers" "$dir/root"
# Whoever wants it shut down signals this shell; it is not booted again then.
off='' child=''
trap 'off=1; [ -z "$child" ] || kill -TERM "$child" 2>/dev/null || :' TERM
while [ -z "$off" ]; do
    for group in $groups; do
        # What the last boot left of its groups; nothing runs in them any more.
        find "$group/payload" "$group/supervisor" -depth -type d -delete 2>/dev/null || :
    done
    # shellcheck disable=SC2016
    sh -c 'for group in $1; do echo $$ >"$group/cgroup.procs"; done; shift; exec "$@"' boot "$groups" "$@" &
    child=$!
    status=0
    wait "$child" || status=$?
    # A signal ends the wait, not the child.
    while kill -0 "$child" 2>/dev/null; do
        status=0
        wait "$child" || status=$?
    done
    child=''
    # What systemd-nspawn says of a reboot, where somebody else is to make it (EXIT_FORCE_RESTART).
    [ "$status" = 133 ] || exit "$status"
done
