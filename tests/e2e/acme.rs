//! A certificate from an ACME directory: Debian's `pebble` on the balancer's own host, strict, asking the balancer for real
//! over port 80 by names that a resolver beside it leads there. It is down, it comes, it is renewed under visitors who
//! never stop, and all of it goes again.

use super::{
    directory::{Directory, trust},
    load::Load,
    sealed::elsewhere,
    world::{HOSTS, SESSION_KEY, World, until},
};
use std::{fs, net::Ipv4Addr, time::Duration};

/// The fingerprint and the issuer of what visitors are shown.
fn shown(w: &World) -> String {
    let script = "openssl s_client -connect www.foobar.com:443 -servername www.foobar.com </dev/null 2>/dev/null | openssl x509 -noout -fingerprint -issuer";
    w.client(&["sh", "-c", script]).stdout
}

/// What a visitor who trusts the root in this file is answered.
fn get(w: &World, root: &str, name: &str) -> bool {
    let url = format!("https://{name}/healthz");
    w.client(&["curl", "-sS", "--max-time", "10", "--cacert", w.dir.join(root).to_str().unwrap(), &url]).ok()
}

pub fn a_directory_gives_renews_and_is_left_again(w: &mut World) {
    w.converge();
    w.authority();
    let directory = Directory::installed(w, "lb-01", Ipv4Addr::LOCALHOST);
    let url = directory.url();
    w.topology = w.original()
        + &format!("\ntls: {{ certificate: {{ acme: {{ email: ops@foobar.com, directory: '{url}' }} }} }}\n");

    // It is down: that is told, nothing else is held up, and what was shown goes on.
    let before = shown(w);
    let run = w.foobar(&["apply", "--yes"]);
    run.ends(1).says(&["no certificate came from", &url, "cannot be reached from this host, or is down"]);
    assert_eq!(shown(w), before);
    assert!(get(w, "ca.crt", "www.foobar.com"));
    // What nobody wants any more goes when all else is done.
    let left: Vec<_> = w.plan(&[]).into_iter().filter(|s| s.json["action"] != "delete").collect();
    assert!(left.len() == 1 && left[0].resource == "certificate issued", "{left:#?}");
    w.foobar(&["verify", "--only", "tls"])
        .ends(3)
        .says(&["it is foobar's interim one", "its last run ended with exit-code"]);

    // It is there, and finds somebody else by the site's names.
    let root = directory.start(w);
    fs::write(w.dir.join("root.crt"), &root).unwrap();
    if std::env::var("FOOBAR_E2E_LONG").as_deref() == Ok("1") {
        w.foobar(&["apply", "--yes"]).ends(1).says(&["does not trust the directory's own certificate"]);
    }
    trust(w, "lb-01", "e2e-directory", &directory.own(w));
    HOSTS.iter().for_each(|host| trust(w, host, "e2e-root", &root));
    directory.lead(w, w.lab.address("web-01").unwrap());
    let run = w.foobar(&["apply", "--yes"]);
    run.ends(1).says(&["urn:ietf:params:acme:error:", "Each name of the site must lead to the balancers"]);
    assert_eq!(shown(w), before);
    directory.lead(w, w.lab.address("lb-01").unwrap());

    w.apply(&[]).says(&["get the certificate from"]);
    w.is_converged();
    assert!(shown(w).contains("Pebble Intermediate CA"), "{}", shown(w));
    assert!(get(w, "root.crt", "www.foobar.com") && get(w, "root.crt", "foobar.com"));
    w.foobar(&["verify"]).ends(0).says(&["every balancer answers the directory's challenges alike"]);
    let status = w.foobar(&["status", "--json"]).json();
    assert!(status["hosts"][0]["seen"]["certificate_days"].as_i64().is_some_and(|days| days > 60), "{status:#}");

    // Another one by the timer's own unit, as it is when one is about to end. Meanwhile two plans are kept: one about
    // something else, and one about that.
    let first = shown(w);
    let [other, same] = ["other.plan", "same.plan"].map(|name| w.dir.join(name).display().to_string());
    w.topology = w.topology.replace("round-robin", "least-connections");
    w.foobar(&["plan", "-o", &other]).ends(0);
    w.on("lb-01", "sed -i '1s/.*/# from elsewhere/' /etc/haproxy/certs/site.pem");
    w.foobar(&["plan", "-o", &same]).ends(0).says(&["the one that is there is from elsewhere"]);
    let worker = w.on("lb-01", "systemctl show --value -p InvocationID haproxy");
    let load = Load::start(w);
    for _ in 0..2 {
        w.on(
            "lb-01",
            "sed -i '1s/.*/# from elsewhere/' /etc/haproxy/certs/site.pem; systemctl start foobar-acme.service",
        );
    }
    let told = load.stop(w, "certificates are renewed");
    assert!(told.made > 50 && told.refused == 0 && told.broken == 0, "{told:?}");
    assert_eq!(w.on("lb-01", "systemctl show --value -p InvocationID haproxy"), worker);
    let second = shown(w);
    assert!(second != first && second.contains("Pebble Intermediate CA"), "{second}");
    elsewhere(w, &["apply", &same], SESSION_KEY).ends(5).says(&["no longer to do: get the certificate from"]);
    elsewhere(w, &["apply", &other], SESSION_KEY).ends(0).says(&["balance leastconn"]);
    w.is_converged();
    assert_eq!(shown(w), second);
    // One that is not due is not asked for, and a balancer that starts anew shows what is on disk.
    w.on("lb-01", "systemctl start foobar-acme.service && systemctl restart haproxy");
    assert!(until(Duration::from_secs(10), || shown(w) == second), "{}", shown(w));
    assert_eq!(w.on("lb-01", "systemctl is-enabled foobar-acme.timer").trim(), "enabled");

    // One that was lost: an interim one takes its place, and another one comes.
    w.on("lb-01", "rm /etc/haproxy/certs/site.pem");
    w.apply(&[]).says(&["write interim certificate", "get the certificate from"]);
    w.is_converged();
    assert!(shown(w) != second && shown(w).contains("Pebble Intermediate CA"), "{}", shown(w));
    nothing_was_said(w, "lb-01");

    // Back to the private authority's: all of it goes.
    w.topology = w.original();
    w.apply(&[]);
    w.is_converged();
    let left = "ls -d /etc/foobar/acme /etc/haproxy/acme-account.map /etc/systemd/system/foobar-acme.* /var/lib/foobar/secrets/acme-account.* \
                /var/lib/foobar/secrets/interim.* /var/lib/systemd/timers/stamp-foobar-acme.timer 2>/dev/null || :";
    assert_eq!(w.on("lb-01", left), "");
    assert_eq!(w.on("lb-01", "systemctl is-active foobar-acme.timer || :").trim(), "inactive");
    assert!(!shown(w).contains("Pebble"), "{}", shown(w));
    w.foobar(&["verify"]).ends(0);
    directory.end(w, &HOSTS);
}

/// Neither the account's key nor the certificate's was seen where others look: `secrets.rs` comes when they are gone.
pub fn nothing_was_said(w: &World, host: &str) {
    let keys = w.on(
        host,
        "sed -n 2p /var/lib/foobar/secrets/acme-account.key; sed -n '/BEGIN PRIVATE/{n;p}' /etc/haproxy/certs/site.pem",
    );
    let keys: Vec<&str> = keys.lines().filter(|k| k.len() > 40).collect();
    assert_eq!(keys.len(), 2, "they are not found");
    for key in &keys {
        let run = w.said.iter().find(|r| r.stdout.contains(key) || r.stderr.contains(key));
        assert!(run.is_none(), "a key was said by {}", run.unwrap());
    }
    let search = format!(
        "printf '{}\n' >/root/e2e-keys; chmod 600 /root/e2e-keys
         find /etc /srv /var/lib/foobar /var/log /tmp /var/tmp /run -xdev -type f -perm -o+r -exec grep -lF -f /root/e2e-keys {{}} + 2>/dev/null
         find /tmp /var/tmp /run -xdev -type f -exec grep -lF -f /root/e2e-keys {{}} + 2>/dev/null
         journalctl -q -o cat --no-pager | grep -cF -f /root/e2e-keys | sed '/^0$/d'
         cp /root/e2e-keys /run/e2e-planted; find /run -xdev -type f -exec grep -lF -f /root/e2e-keys {{}} +; rm /root/e2e-keys /run/e2e-planted",
        keys.join("\\n")
    );
    assert_eq!(w.on(host, &search), "/run/e2e-planted\n", "a key lies open, or the search finds nothing at all");
}
