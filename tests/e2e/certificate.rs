//! A certificate of the user's own: served as it is, and a renewed one is a reload.

use super::world::{World, until};
use std::{fs, path::Path, process::Command, time::Duration};

/// A certificate for the site and its key, signed by an authority that lies beside them.
fn issue(dir: &Path, name: &str) {
    let script = format!(
        "set -e
         [ -e own-ca.key ] || openssl req -x509 -newkey rsa:2048 -nodes -keyout own-ca.key -out own-ca.crt -days 99 -subj '/CN=the user' 2>/dev/null
         openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {name}.key -out {name}.csr -subj '/CN=www.foobar.com' 2>/dev/null
         printf 'subjectAltName=DNS:www.foobar.com,DNS:foobar.com\\n' >{name}.ext
         openssl x509 -req -in {name}.csr -CA own-ca.crt -CAkey own-ca.key -CAcreateserial -days 90 -extfile {name}.ext -out {name}.crt 2>/dev/null
         cat own-ca.crt >>{name}.crt"
    );
    let made = Command::new("sh").arg("-c").arg(script).current_dir(dir).status();
    assert!(made.is_ok_and(|s| s.success()), "openssl made no certificate");
}

/// The fingerprint of a file's first certificate.
fn printed(dir: &Path, name: &str) -> String {
    let said = Command::new("openssl").args(["x509", "-noout", "-fingerprint", "-in", name]).current_dir(dir).output();
    String::from_utf8(said.unwrap().stdout).unwrap()
}

/// The fingerprint of what visitors are shown.
fn shown(w: &World) -> String {
    let script = "openssl s_client -connect www.foobar.com:443 -servername www.foobar.com </dev/null 2>/dev/null | openssl x509 -noout -fingerprint";
    w.client(&["sh", "-c", script]).stdout
}

pub fn the_users_own_is_served_and_renewed_by_a_reload(w: &mut World) {
    w.converge();
    issue(&w.dir, "own");
    w.topology = w.original() + "\ntls: { certificate: { cert: own.crt, key: own.key } }\n";
    w.apply(&[]);
    w.is_converged();
    assert_eq!(shown(w), printed(&w.dir, "own.crt"));
    let get = |w: &World| {
        let ca = w.dir.join("own-ca.crt");
        w.client(&["curl", "-sS", "--max-time", "10", "--cacert", ca.to_str().unwrap(), "https://foobar.com/healthz"])
    };
    assert!(get(w).ok(), "{}", get(w).stderr);
    w.foobar(&["verify"]).ends(0);

    issue(&w.dir, "next");
    for kind in ["crt", "key"] {
        fs::rename(w.dir.join(format!("next.{kind}")), w.dir.join(format!("own.{kind}"))).unwrap();
    }
    let steps = w.plan(&[]);
    let service = steps.iter().find(|s| s.resource == "service haproxy.service").expect("a reload stands in the plan");
    assert_eq!(service.json["impact"], "reload", "{steps:#?}");
    let key = fs::read_to_string(w.dir.join("own.key")).unwrap();
    let line = key.lines().nth(1).unwrap();
    assert!(!w.said.last().unwrap().stdout.contains(line), "the plan shows the key");
    let before = w.on("lb-01", "systemctl show --value -p MainPID haproxy");
    w.apply(&[]);
    w.is_converged();
    assert_eq!(w.on("lb-01", "systemctl show --value -p MainPID haproxy"), before, "a reload keeps the master process");
    assert!(until(Duration::from_secs(5), || shown(w) == printed(&w.dir, "own.crt")), "{}", shown(w));
    w.foobar(&["verify"]).ends(0);
    w.converge();
    assert_ne!(shown(w), printed(&w.dir, "own.crt"), "back to the private authority's");
}
