# Run by mmdebstrap on the control machine when the root stands, with the root's path as $1: what every host of the lab
# has in common, so that a new host costs no work.
set -eu
root=$1
# The packages of the root itself are installed already; only those of the stack are worth keeping.
rm -f "$root"/var/cache/apt/archives/*.deb
# A login that is not root, for sites that forbid root over SSH.
chroot "$root" useradd --create-home --shell /bin/bash admin
printf 'admin ALL=(ALL:ALL) NOPASSWD:ALL\n' >"$root/etc/sudoers.d/admin"
chmod 0440 "$root/etc/sudoers.d/admin"
# Host keys are made per host, outside; a unit that makes the missing kinds would only slow the boot.
rm -f "$root"/etc/ssh/ssh_host_*
chroot "$root" systemctl mask sshd-keygen.service
# These fire in the first minute of a new host and hold apt's lock at a random moment.
chroot "$root" systemctl mask apt-daily.timer apt-daily-upgrade.timer
chroot "$root" systemctl enable systemd-networkd.service
# Found by every host in its archives: installing still happens there, by apt, but needs no network. mmdebstrap turns
# recommended packages off while it works; a host's own apt has them on.
# shellcheck disable=SC2086
chroot "$root" apt-get install --yes --download-only -o APT::Install-Recommends=true -o Acquire::Retries=3 $FOOBAR_LAB_STACK
