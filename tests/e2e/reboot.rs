//! Reboots: of the web servers while visitors never stop, of a replica and its primary, of who asks for it, and of a host
//! that does not come back.

use super::{
    rolling::{server, under_load},
    world::{HOSTS, World},
};
use std::time::Duration;

/// The boot that a host is in.
fn boot(w: &World, host: &str) -> String {
    w.on(host, "cat /proc/sys/kernel/random/boot_id")
}

/// The hosts that are in another boot than they were.
fn rebooted(w: &World, before: &[String]) -> Vec<&'static str> {
    HOSTS.iter().zip(before).filter(|(host, before)| boot(w, host) != **before).map(|(host, _)| *host).collect()
}

fn boots(w: &World) -> Vec<String> {
    HOSTS.iter().map(|host| boot(w, host)).collect()
}

/// Everything goes, and comes with this topology.
fn anew(w: &mut World, topology: String) {
    w.foobar(&["destroy", "--databases", "--yes-destroy", "www.foobar.com"]).ends(0);
    w.topology = topology;
    w.apply(&[]);
    w.is_converged();
}

/// The whole web tier, one host after the other, under load: no request is lost, and no connection is reset.
pub fn no_request_is_lost_while_the_web_servers_reboot(w: &mut World) {
    // The writes go on all the while, to a database that is not rebooted.
    let apart = w.original().replace("primary: web-01\n  replicas: [web-02]", "primary: lb-01");
    assert_ne!(apart, w.original());
    anew(w, apart);
    let before = boots(w);
    let tally = under_load(w, "the web tier reboots", |w| {
        let run = w.foobar(&["reboot", "-l", "@web", "--yes", "--max-impact", "none"]);
        run.ends(0).says(&["drain web-01", "reboot web-01", "put web-01 back", "drain web-02", "put web-02 back"]);
        run.says(&["impact: none (at least 1 of 2 backends serve)"]);
    });
    println!("    the web tier reboots: {} requests, {} refused, {} broken", tally.made, tally.refused, tally.broken);
    assert_eq!((tally.refused, tally.broken), (0, 0));
    assert_eq!(rebooted(w, &before), ["web-01", "web-02"]);
    w.foobar(&["verify"]).ends(0).says(&["no drain was left behind"]);
    w.foobar(&["history", "-n", "1"]).ends(0).says(&["reboot"]);
    let original = w.original();
    anew(w, original);
}

/// A replica, then its primary: afterwards nothing is left to do, and one server takes the writes.
pub fn a_replica_and_its_primary_reboot(w: &mut World) {
    w.converge();
    let before = boots(w);
    w.foobar(&["reboot", "-l", "web-01", "--yes", "--max-impact", "connection-drop"]).ends(1).says(&[
        "users would feel more than `connection drop`",
        "web-01: reboot web-01 (write outage)",
        "nothing was changed",
    ]);
    assert_eq!(rebooted(w, &before), [""; 0]);
    let run = w.foobar(&["reboot", "-l", "web-02", "--yes"]);
    run.ends(0).says(&["see that it replicates from web-01 again", "impact: connection drop"]);
    assert_eq!(rebooted(w, &before), ["web-02"]);
    w.is_converged();
    let run = w.foobar(&["reboot", "-l", "web-01", "--yes"]);
    run.ends(0).says(&["nothing can be written until it is back", "make the primary writable"]);
    assert_eq!(rebooted(w, &before), ["web-01", "web-02"]);
    w.is_converged();
    let client = if w.engine() == "mysql" { "mysql" } else { "mariadb" };
    let writes = |host| w.on(host, &format!("{client} -N -e 'SELECT @@GLOBAL.read_only'")).trim() == "0";
    assert_eq!([writes("web-01"), writes("web-02")], [true, false]);
    w.foobar(&["verify"]).ends(0).says(&["the primary takes writes"]);
    // Both in one run: the replica first, whatever their order in the file.
    let run = w.foobar(&["reboot", "-l", "@web", "--yes"]);
    run.ends(0);
    let at = |text: &str| run.stdout.find(text).unwrap_or_else(|| panic!("{text:?} is not said by {run}"));
    assert!(at("reboot web-02") < at("reboot web-01"), "{run}");
    w.is_converged();
    w.foobar(&["verify"]).ends(0);
}

/// `--if-needed`: only who asks for it; what else is pending is said, and left.
pub fn only_who_asks_for_it_reboots(w: &mut World) {
    w.converge();
    let before = boots(w);
    let run = w.foobar(&["reboot", "--if-needed", "--yes"]);
    run.ends(0).says(&["No host is to be rebooted.", "no reboot is needed on lb-01, web-01, web-02"]);
    w.on("web-02", "echo linux-image-amd64 >/run/reboot-required.pkgs; touch /run/reboot-required");
    w.foobar(&["reboot", "--if-needed"]).ends(64).says(&[
        "the host asks for it (/run/reboot-required), for linux-image-amd64",
        "there is no terminal to ask on",
    ]);
    assert_eq!(rebooted(w, &before), [""; 0]);
    w.topology = w.original().replace("GREETING: Welcome", "GREETING: Pending");
    let run = w.foobar(&["reboot", "--if-needed", "--yes", "--json"]);
    run.ends(0).says(&["no reboot is needed on lb-01, web-01", "pending and left as they are"]);
    assert_eq!(rebooted(w, &before), ["web-02"]);
    assert!(!w.plan(&[]).is_empty(), "what was pending was applied");
    w.topology = w.original();
    w.is_converged();
    w.foobar(&["reboot", "--if-needed", "--yes"]).ends(0).says(&["No host is to be rebooted."]);
    w.foobar(&["history", "-n", "1"]).ends(0).says(&["foobar reboot"]);
}

/// A host that stays away is left out of the load; nothing more is begun, and an apply puts it back once it is there.
pub fn a_host_that_stays_away_stops_the_run(w: &mut World) {
    w.converge();
    let dir = "/etc/systemd/system/systemd-reboot.service.d";
    let off = "[Unit]\\nSuccessAction=poweroff-force\\n";
    w.on("web-02", &format!("mkdir -p {dir}; printf '{off}' >{dir}/off.conf; systemctl daemon-reload"));
    let before = boot(w, "web-01");
    let run = w.foobar(&["reboot", "-l", "@web", "--yes", "--reboot-timeout", "15s"]);
    run.ends(1).says(&["reboot web-02", "it did not come back within 15 s", "what was taken out for it stays out"]);
    assert_eq!(boot(w, "web-01"), before);
    assert!(server(w, "web-02").trim().ends_with(" 1"), "{}", server(w, "web-02"));
    w.foobar(&["plan"]).ends(7).says(&["web-02"]);
    w.lab.start_host("web-02").unwrap();
    w.on("web-02", &format!("rm -r {dir}; systemctl daemon-reload"));
    w.cold();
    assert!(super::world::until(Duration::from_secs(90), || {
        w.lab.exec("web-02", "systemctl is-active nginx foobar-app").is_ok_and(|o| o.ok())
    }));
    w.foobar(&["plan"]).ends(0).says(&["put web-02 back", "it is in maintenance"]);
    w.apply(&[]);
    w.is_converged();
}
