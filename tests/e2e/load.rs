//! Visitors who never stop: over HTTP/1.1 and HTTP/2, reading and writing, through the balancer, while something is changed.
//! Each stream opens new connections every other second and keeps them in between, so that both kinds meet the change.

use super::world::{World, until};
use foobar::lab::{self, Lab};
use std::{
    fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    thread::JoinHandle,
    time::Duration,
};

/// Requests that each visitor makes a second: enough to have some in flight at any moment, and no more than the application
/// answers on a small machine that is busy with the change.
const RATE: usize = 8;

/// Visitors of each kind.
const VISITORS: usize = 2;

/// What was asked for, and how.
const STREAMS: [(&str, &str); 4] = [
    ("GET HTTP/1.1", "--h1 https://www.foobar.com/"),
    ("GET HTTP/2", "https://www.foobar.com/"),
    ("POST HTTP/1.1", "--h1 -d FORM -H 'content-type: application/x-www-form-urlencoded' https://www.foobar.com/sign"),
    ("POST HTTP/2", "-d FORM -H 'content-type: application/x-www-form-urlencoded' https://www.foobar.com/sign"),
];

/// Visitors at work.
pub struct Load {
    dir: PathBuf,
    streams: Vec<JoinHandle<()>>,
    /// When they started, by the balancer's clock, and where they come from.
    since: String,
    visitor: String,
    /// Whose logs tell of them.
    balancers: Vec<&'static str>,
}

/// What became of one stream's requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub made: usize,
    /// Answered with something else than success.
    pub refused: usize,
    /// Not answered at all, or no connection to make them on: it was refused, reset, closed or timed out.
    pub broken: usize,
    /// Of these, such as had no answer for 20 s.
    pub late: usize,
}

/// What became of all requests.
#[derive(Debug, Default)]
pub struct Told {
    /// Those that may be made twice.
    pub reads: Tally,
    /// Those that may not.
    pub writes: Tally,
    /// The balancer's lines about requests that did not end well on both sides.
    pub cut: Vec<String>,
}

impl Tally {
    fn and(&self, other: &Self) -> Self {
        Self {
            made: self.made + other.made,
            refused: self.refused + other.refused,
            broken: self.broken + other.broken,
            late: self.late + other.late,
        }
    }
}

impl Load {
    /// Starts them, and waits until each has been answered.
    pub fn start(w: &mut World) -> Self {
        let balancer = w.lab.address("lb-01").unwrap();
        Self::through(w, &[balancer], &["lb-01"])
    }

    /// Starts them, by turns at these addresses of these balancers.
    pub fn through(w: &mut World, addresses: &[Ipv4Addr], balancers: &[&'static str]) -> Self {
        let balancer = addresses[0];
        w.lab.client_names(&[("www.foobar.com", balancer), ("foobar.com", balancer)]).unwrap();
        if !Path::new("/usr/bin/h2load").exists() {
            let made = std::process::Command::new("apt-get").args(["install", "-qq", "-y", "nghttp2-client"]).output();
            assert!(made.as_ref().is_ok_and(|o| o.status.success()), "h2load: {made:?}");
        }
        let dir = w.dir.join("load");
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("form"), "name=Load&message=steady").unwrap();
        let name = w.lab.status().name;
        let since = w.on("lb-01", "date +%s").trim().to_owned();
        let mut streams = Vec::new();
        for (n, (_, words)) in STREAMS.iter().enumerate() {
            let words = words.replace("FORM", dir.join("form").to_str().unwrap());
            for visitor in 0..VISITORS {
                let (at, requests, name) = (dir.display(), RATE * 2, name.clone());
                let way = addresses[visitor % addresses.len()];
                let script = format!(
                    "while [ ! -e {at}/stop ]; do h2load -c 1 -n {requests} --rps {RATE} -T 60 -N 20 --connect-to={way}:443 {words}; done >{at}/{n}.{visitor} 2>&1"
                );
                streams.push(std::thread::spawn(move || {
                    let lab = Lab::open(&lab::state_dir(), &name).unwrap();
                    lab.client_exec(&["sh", "-c", &script]).unwrap();
                }));
            }
        }
        let [a, b, c, _] = balancer.octets();
        let (visitor, balancers) = (format!("{a}.{b}.{c}.200"), balancers.to_vec());
        let load = Self { dir, streams, since, visitor, balancers };
        let ready = until(Duration::from_secs(30), || load.tally().iter().all(|t| t.made > 0));
        assert!(ready, "no requests are made: {}", read(&load.dir.join("0.0")));
        load
    }

    fn tally(&self) -> Vec<Tally> {
        let read = |n: usize| {
            let all = (0..VISITORS).map(|v| read(&self.dir.join(format!("{n}.{v}"))));
            tally(&all.collect::<String>(), STREAMS[n].0.ends_with("HTTP/2"))
        };
        (0..STREAMS.len()).map(read).collect()
    }

    /// Ends them after another round each, and says what became of their requests, none of which may have been cut off.
    pub fn stop(self, w: &World, what: &str) -> Tally {
        let told = self.tell(w, what);
        assert!(told.cut.is_empty(), "{what}: the balancer says that requests were cut off:\n{}", told.cut.join("\n"));
        told.reads.and(&told.writes)
    }

    /// Ends them after another round each, and says what became of their requests, whatever it was.
    pub fn tell(self, w: &World, what: &str) -> Told {
        let before = self.tally();
        until(Duration::from_secs(20), || self.tally().iter().zip(&before).all(|(now, then)| now.made > then.made));
        let (since, visitor, balancers) = (self.since.clone(), self.visitor.clone(), self.balancers.clone());
        let all = self.end();
        let mut told = Told::default();
        for ((name, _), one) in STREAMS.iter().zip(&all) {
            println!(
                "    {what}: {name}: {} requests, {} refused, {} broken ({} late)",
                one.made, one.refused, one.broken, one.late
            );
            let sum = if name.starts_with("GET") { &mut told.reads } else { &mut told.writes };
            *sum = sum.and(one);
        }
        // What the balancer calls anything but ended well on both sides (`----`) was cut off, whatever the client made of it.
        let ask = format!("journalctl -q -o cat --since @{since} | grep -F '{visitor}:' | grep -vF ' ---- ' || :");
        let cut =
            balancers.iter().flat_map(|balancer| w.on(balancer, &ask).lines().map(str::to_owned).collect::<Vec<_>>());
        told.cut = cut.collect();
        told
    }

    fn end(mut self) -> Vec<Tally> {
        fs::write(self.dir.join("stop"), "").unwrap();
        self.streams.drain(..).for_each(|s| s.join().unwrap());
        self.tally()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let _ = fs::write(self.dir.join("stop"), "");
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// Adds up what rounds of h2load say of themselves: `requests: 24 total, 24 started, 24 done, 24 succeeded, 0 failed, 0
/// errored, 0 timeout` and `status codes: 24 2xx, 0 3xx, 0 4xx, 0 5xx`. Requests of a round that were never begun, since
/// the server had closed the connection between two of them, count nowhere: the next round makes them. Of these, h2load
/// calls one begun and done where HTTP/2's GOAWAY came first: it is not sent (RFC 9113, 6.8), and no balancer sees it. Should
/// one that was sent be lost so, the balancer's log tells ([`Load::stop`]). It may be the last of its round: of 600 rounds of
/// four under 90 reloads, 24 ended so, 6 at their last request, and the balancer had logged no request that was not answered.
fn tally(text: &str, is_h2: bool) -> Tally {
    let number = |line: &str, what: &str| -> usize {
        let part = line.split(',').find(|p| p.trim().ends_with(what)).unwrap_or_default();
        part.split_whitespace().rev().nth(1).and_then(|n| n.parse().ok()).unwrap_or(0)
    };
    let mut sum = Tally::default();
    for line in text.lines() {
        if line.starts_with("requests:") {
            let (begun, good) = (number(line, " started"), number(line, " succeeded"));
            let (all, done) = (number(line, " total"), number(line, " done"));
            // A round that began nothing had no connection.
            let lost = begun.max(1) - good;
            let unsent = usize::from((begun < all || is_h2) && begun == done && lost == 1 && begun > 1);
            sum.made += begun.max(1) - unsent;
            sum.broken += lost - unsent;
            sum.late += number(line, " timeout");
        } else if line.starts_with("status codes:") {
            let refused = number(line, " 4xx") + number(line, " 5xx");
            sum.refused += refused;
            sum.broken = sum.broken.saturating_sub(refused);
        }
    }
    sum
}
