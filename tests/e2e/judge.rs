//! What somebody else says of the site's TLS: SSLyze, by Mozilla's intermediate profile, from the visitors' side.

use super::world::World;
use std::path::Path;

/// Where `tests/run` puts it.
const SSLYZE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/judge/bin/sslyze");

/// It finds nothing wrong with these balancers, each asked at its own address; the site's authority is exported already.
#[track_caller]
pub fn accepts(w: &World, balancers: &[&str]) {
    if !Path::new(SSLYZE).exists() {
        assert!(std::env::var("FOOBAR_REQUIRE_CHECKERS").is_err(), "{SSLYZE} is not there");
        println!("    {}: without SSLyze, nobody was asked about TLS", w.suite);
        return;
    }
    let authority = w.dir.join("ca.crt").display().to_string();
    for balancer in balancers {
        let address = w.lab.address(balancer).unwrap();
        let target = format!("www.foobar.com:443{{{address}}}");
        let output =
            w.client(&[SSLYZE, "--mozilla_config=intermediate", "--certinfo_ca_file", &authority, target.as_str()]);
        let said = &output.stdout;
        let verdict = said.split("COMPLIANCE AGAINST").nth(1).unwrap_or(said);
        assert!(output.ok() && verdict.contains("OK - Compliant"), "{balancer}: {verdict}{}", output.stderr);
    }
}

/// One balancer; two of them are judged where they are made (`pair.rs`).
pub fn an_outside_judge_accepts_the_balancer(w: &mut World) {
    w.converge();
    w.authority();
    accepts(w, &["lb-01"]);
}
