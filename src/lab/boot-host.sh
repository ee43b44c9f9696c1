# Becomes one host of the lab: run in a session and a mount namespace of its own, it ends as systemd-nspawn.
# $1 the host's directory, $2 the root below its overlay, $3 where its pid is recorded, $4 the space-separated control
# groups that it shall live in; what follows is the systemd-nspawn command.
set -eu
dir=$1 base=$2 pidfile=$3 groups=$4
shift 4
# First of all, so that a starter killed right now leaves nothing that nobody knows of.
printf '%s %s\n' "$$" "$(cut -d' ' -f22 /proc/$$/stat)" >"$pidfile.new"
mv "$pidfile.new" "$pidfile"
# A group of its own: in a shared one, a unit stopped on one host is killed on all.
for group in $groups; do
    mkdir -p "$group"
    echo $$ >"$group/cgroup.procs"
done
# Volatile skips fsync on the overlay, which makes apt several times quicker; the mark that an earlier mount of this
# kind left is about a crash of the machine itself, and a lab doesn't outlive one.
layers="lowerdir=$base,upperdir=$dir/upper,workdir=$dir/work"
rm -rf "$dir/work/work/incompat"
mount -t overlay overlay -o "$layers,volatile" "$dir/root" 2>/dev/null ||
    mount -t overlay overlay -o "$layers" "$dir/root"
exec "$@"
