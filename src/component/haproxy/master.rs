//! What only the master process of an HAProxy knows: which worker is the newest, and whether the last reload made one.
//! Whichever unit it is of, its socket tells.

use crate::base::script::Script;

/// Functions that speak to the master process behind a socket: `master COMMAND`, and `worker`, which prints the process id
/// of the worker of the newest generation, nothing where that one failed to start.
pub fn functions(socket: &str) -> Script {
    Script::new()
        .line(format!("master() {{ printf '%s\\n' \"$1\" | socat -t 5 - UNIX-CONNECT:{socket} 2>/dev/null; }}"))
        .line("worker() { master 'show proc' | awk '$2 == \"worker\" && $3 == 0 { print $1; exit }'; }")
}

/// The unit's own reload returns before the new worker runs, or has failed to (its port is taken): the old one then goes
/// on, and only the master knows.
pub fn reload(unit: &str, socket: &str) -> Script {
    Script::new()
        .then(&functions(socket))
        .line("old=$(worker)")
        .line(format!("systemctl reload {unit} || {{ journalctl -q -n 15 -o cat --no-pager -u {unit} >&2; exit 1; }}"))
        .line("tries=0")
        .line("until new=$(worker) && [ -n \"$new\" ] && [ \"$new\" != \"$old\" ]; do")
        .line("  tries=$((tries + 1))")
        .line("  if [ \"$tries\" -ge 80 ]; then")
        .line("    echo 'haproxy accepted the configuration and could not start a worker with it; the old worker goes on serving:' >&2")
        .line(format!(
            "    journalctl -q -n 60 -o cat --no-pager -u {unit} --since '-20 seconds' | grep -F '[ALERT]' >&2; exit 1"
        ))
        .line("  fi")
        .line("  sleep 0.1")
        .line("done")
}

/// Fails where the last reload did. A master that has just started, on a host that is busy, may not answer at once.
pub fn none_failed(socket: &str) -> Script {
    Script::new()
        .then(&functions(socket))
        .line("tries=0")
        .line("until said=$(master 'show proc') && [ -n \"$said\" ]; do")
        .line("  tries=$((tries + 1)); [ \"$tries\" -lt 40 ] || { echo \"haproxy's master process does not answer\" >&2; exit 1; }")
        .line("  sleep 0.2")
        .line("done")
        .line("case $said in *'failed: 0]'*) ;; *)")
        .line("  echo 'haproxy reports a failed reload:' >&2; printf '%s\\n' \"$said\" >&2; exit 1")
        .line("esac")
}
