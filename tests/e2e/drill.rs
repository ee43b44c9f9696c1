//! `foobar drill`: what visitors feel while something is away, and that it comes back, also where foobar does not.

use super::world::{Run, World, start, strict_schema, until};
use serde_json::Value;
use std::{process::Command, time::Duration};

fn fared(run: &Run) -> Vec<Value> {
    let document = run.json();
    assert!(strict_schema().is_valid(&document), "{document:#}");
    assert_eq!(document["is_back"], true, "{document:#}");
    document["fared"].as_array().unwrap().clone()
}

fn state(w: &World) -> String {
    w.on("lb-01", "systemctl is-active haproxy || :").trim().to_owned()
}

/// A balancer that is there once takes the site with it, one of two web servers does not; a primary is left alone.
pub fn what_is_taken_away_is_measured_and_comes_back(w: &mut World) {
    w.converge();
    let run = w.foobar(&["drill", "haproxy", "--for", "4", "--yes", "--json"]);
    let balancer = &fared(run.ends(0))[0];
    println!("    the balancer: {balancer}");
    assert!(balancer["impact_millis"].as_u64() >= Some(3000) && balancer["failed"].as_u64() >= Some(10), "{balancer}");
    let run = w.foobar(&["drill", "nginx@web-02", "--for", "4", "--yes", "--json"]);
    let web = &fared(run.ends(0))[0];
    println!("    a web server: {web}");
    let (made, failed) = (web["made"].as_u64().unwrap(), web["failed"].as_u64().unwrap());
    assert!(made > 20 && failed * 4 < made, "{web}");
    w.foobar(&["drill", "web-02", "--for", "2", "--yes"]).ends(0).says(&["It is back, and the site answers."]);
    w.is_converged();
    w.foobar(&["verify"]).ends(0);

    w.foobar(&["drill", "web-01", "--yes"]).ends(64).says(&["web-01 has the primary", "foobar drill nginx@web-01"]);
    w.foobar(&["drill", "ngnix", "--yes"]).ends(64).says(&["nothing in the topology is called ngnix", "haproxy"]);
    w.foobar(&["drill", "haproxy"]).ends(64).says(&["--yes"]);
    // Nothing is taken away from a site that does not answer.
    w.on("web-01", "systemctl stop nginx");
    w.on("web-02", "systemctl stop nginx");
    w.foobar(&["drill", "haproxy", "--yes"]).ends(1).says(&["the site does not answer as it is"]);
    assert_eq!(state(w), "active");
    w.on("web-01", "systemctl start nginx");
    w.on("web-02", "systemctl start nginx");
    w.converge();
}

/// Interrupted, it puts it back and says so; killed, the host does. Nobody else takes anything away meanwhile.
pub fn it_comes_back_whatever_becomes_of_foobar(w: &mut World) {
    w.converge();
    let begin = |w: &mut World, seconds: &str| {
        let words = ["drill", "haproxy", "--yes", "--for", seconds];
        let (command, dir) = (w.command(&words), w.dir.clone());
        let started = start(command, &dir, "drill");
        assert!(until(Duration::from_secs(60), || state(w) == "inactive"), "it was not taken away");
        started
    };
    let started = begin(w, "120");
    w.foobar(&["drill", "haproxy", "--yes"]).ends(6).says(&["another run is at work there", "foobar drill"]);
    assert!(Command::new("kill").arg(started.id().to_string()).status().unwrap().success());
    w.finish(&["drill", "haproxy", "(interrupted)"], started).ends(130);
    assert_eq!(state(w), "active");
    assert_eq!(w.on("lb-01", "ls -d /run/foobar.armed/drill 2>/dev/null || :"), "");

    let mut started = begin(w, "2");
    started.kill();
    w.finish(&["drill", "haproxy", "(killed)"], started).ends(137);
    assert!(until(Duration::from_secs(60), || state(w) == "active"), "the host did not start it by itself");
    w.foobar(&["verify"]).ends(0);
    w.converge();
}
