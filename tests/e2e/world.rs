//! The hosts of one suite, the topology that they shall have, and the program driven against them. Everything that the
//! program ever said is kept, to be searched for secrets at the end.

use foobar::lab::{self, Lab, Output, Spec, Suite};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// The hosts, as they stand in the topology below.
pub const HOSTS: [&str; 3] = ["lb-01", "web-01", "web-02"];
/// A secret that the user gives through the environment.
pub const SESSION_KEY: &str = "planted-0f3b9a71-session-key";
/// Longer than anything here should take.
const PATIENCE: Duration = Duration::from_secs(400);

const TOPOLOGY: &str = "\
site: www.foobar.com
aliases: [foobar.com]

hosts:
  lb-01:  { address: 192.0.2.11 }
  web-01: { address: 192.0.2.21 }
  web-02: { address: 192.0.2.22 }

haproxy:
  on: [lb-01]
  algorithm: round-robin

nginx:
  on: [web-01, web-02]
  static: { /assets: public }

app:
  on: [web-01, web-02]
  source: ./guestbook
  packages: [gunicorn, python3-flask, python3-pymysql]
  run: gunicorn --bind $LISTEN --workers 2 --threads 4 wsgi:app
  migrate: python3 migrate.py
  env: { GREETING: Welcome }
  secrets: { SESSION_KEY: { env: E2E_SESSION_KEY }, MADE: generate }
  canary: { write: /sign, field: message, read: / }

mysql:
  engine: ENGINE
  primary: web-01
  replicas: [web-02]
  database: foobar
";

/// One suite's hosts and what is asked of them.
pub struct World {
    pub suite: Suite,
    pub lab: Lab,
    /// A directory of its own on this machine.
    pub dir: PathBuf,
    /// The topology's text; each run of the program reads it anew.
    pub topology: String,
    /// The text that it is at the start of a case.
    base: String,
    /// Hosts beside these with two balancers, once a case has asked for them (`pair.rs`).
    pub pair: Option<Box<World>>,
    /// All that the program said, each with the words it was called with.
    pub said: Vec<Run>,
    sockets: usize,
}

/// One run of the program.
#[derive(Clone, Debug)]
pub struct Run {
    pub words: String,
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
    pub took: Duration,
}

/// One step of a plan in JSON.
#[derive(Clone)]
pub struct Step {
    pub host: String,
    pub resource: String,
    pub summary: String,
    pub json: Value,
}

impl std::fmt::Debug for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {} ({})", self.host, self.summary, self.resource)
    }
}

impl World {
    /// Boots fresh hosts.
    pub fn new(suite: Suite) -> Self {
        Self::of(suite, "", &[("lb-01", 11), ("web-01", 21), ("web-02", 22)], TOPOLOGY)
    }

    /// Boots these hosts, fresh, as a lab of their own of that name behind the suite's.
    pub fn of(suite: Suite, part: &str, hosts: &[(&str, u8)], topology: &str) -> Self {
        let prefix = std::env::var("FOOBAR_E2E_LAB").unwrap_or("e2e".into());
        let name = format!("{prefix}-{suite}{part}");
        let state = lab::state_dir();
        let mut quiet = |_| {};
        Lab::down(&state, &name, &mut quiet).unwrap_or_else(|e| panic!("{e}"));
        let mut spec = hosts.iter().fold(Spec::new(&name, suite), |spec, (host, n)| spec.host(host, *n));
        spec.site_names = vec!["www.foobar.com".into(), "foobar.com".into()];
        let lab = Lab::up(&spec, &mut quiet).unwrap_or_else(|e| panic!("{:?}", miette::Report::new(e)));
        let dir = std::env::temp_dir().join(format!("foobar-{name}"));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/guestbook"), &dir.join("guestbook"));
        let base = topology.to_owned();
        let topology = String::new();
        let mut world = Self { suite, lab, dir, topology, base, pair: None, said: Vec::new(), sockets: 0 };
        world.topology = world.original();
        world.cold();
        world
    }

    /// The topology that every case begins with.
    pub fn original(&self) -> String {
        let [a, b, c, _] = self.lab.address("lb-01").unwrap().octets();
        self.base.replace("ENGINE", self.engine()).replace("SUBNET", &format!("{a}.{b}.{c}"))
    }

    /// The database that the suite has a package of.
    pub fn engine(&self) -> &'static str {
        if self.suite == Suite::Sid { "mysql" } else { "mariadb" }
    }

    /// From here on no connection of an earlier run is reused.
    pub fn cold(&mut self) {
        self.sockets += 1;
        fs::create_dir_all(self.sockets()).unwrap();
    }

    /// Where the program has its connections' sockets.
    pub fn sockets(&self) -> PathBuf {
        // Short, since a socket's path has 108 bytes at most.
        self.dir.join(format!("s{}", self.sockets))
    }

    /// The program with these words, the topology and the inventory, ready to be started.
    pub fn command(&self, words: &[&str]) -> Command {
        let file = self.dir.join("foobar.yaml");
        fs::write(&file, &self.topology).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_foobar"));
        for (name, _) in
            std::env::vars().filter(|(n, _)| n.starts_with("FOOBAR") || n == "NO_COLOR" || n == "CLICOLOR_FORCE")
        {
            command.env_remove(name);
        }
        command.env("XDG_RUNTIME_DIR", self.sockets()).env("E2E_SESSION_KEY", SESSION_KEY).env("USER", "tester");
        command.arg(words[0]).arg("-f").arg(file);
        if !words.contains(&"-i") {
            command.arg("-i").arg(self.lab.inventory());
        }
        command.args(&words[1..]).current_dir(&self.dir).stdin(Stdio::null());
        command
    }

    /// Runs the program to its end.
    pub fn foobar(&mut self, words: &[&str]) -> Run {
        let command = self.command(words);
        self.finish(words, start(command, &self.dir, "run"))
    }

    /// Runs the program with these words alone: no topology, no inventory.
    pub fn foobar_alone(&mut self, words: &[&str]) -> Run {
        let mut command = Command::new(env!("CARGO_BIN_EXE_foobar"));
        command.args(words).current_dir("/").stdin(Stdio::null());
        self.finish(words, start(command, &self.dir, "run"))
    }

    /// Waits for a run that was started.
    pub fn finish(&mut self, words: &[&str], started: Started) -> Run {
        let run = started.wait(&words.join(" "));
        if std::env::var("FOOBAR_E2E_VERBOSE").is_ok() {
            println!("    {}: foobar {} ({}, {:.1} s)", self.suite, run.words, run.code, run.took.as_secs_f32());
        }
        self.said.push(run.clone());
        run
    }

    /// The plan's steps, without any change.
    pub fn plan(&mut self, more: &[&str]) -> Vec<Step> {
        let words: Vec<&str> = ["plan", "--json"].iter().chain(more).copied().collect();
        let run = self.foobar(&words);
        run.ends(0);
        steps(&run.json())
    }

    /// Applies, which must succeed.
    pub fn apply(&mut self, more: &[&str]) -> Run {
        let words: Vec<&str> = ["apply", "--yes"].iter().chain(more).copied().collect();
        let run = self.foobar(&words);
        run.ends(0);
        run
    }

    /// Brings the hosts to the original topology, wherever they are.
    pub fn converge(&mut self) {
        self.topology = self.original();
        // A plan goes by the roles that it finds.
        let run = self.foobar(&["plan"]);
        if run.code == 0 && run.stderr.contains("planned with web-02 as the primary") {
            self.apply(&[]);
            self.foobar(&["switchover", "--to", "web-01", "--yes"]).ends(0);
        }
        if !self.plan(&[]).is_empty() {
            self.apply(&[]);
            self.is_converged();
        }
    }

    /// Nothing is left to do.
    pub fn is_converged(&mut self) {
        let left = self.plan(&[]);
        assert!(left.is_empty(), "a plan right after an apply is not empty:\n{left:#?}");
    }

    /// What a shell says on a host, which must succeed there.
    pub fn on(&self, host: &str, script: &str) -> String {
        let output = self.lab.exec(host, script).unwrap_or_else(|e| panic!("{e}"));
        assert!(output.ok(), "{host}: `{script}` ended with {}: {}{}", output.code, output.stdout, output.stderr);
        output.stdout
    }

    /// What a command says that the client runs.
    pub fn client(&self, words: &[&str]) -> Output {
        self.lab.client_exec(words).unwrap_or_else(|e| panic!("{e}"))
    }

    /// The site's authority, exported once.
    pub fn authority(&mut self) -> PathBuf {
        let path = self.dir.join("ca.crt");
        let run = self.foobar(&["ca", "-o", path.to_str().unwrap()]);
        run.ends(0);
        path
    }

    /// What the site answers to the client, over TLS that is verified with the exported authority.
    pub fn get(&self, path: &str) -> String {
        let (ca, url) = (self.dir.join("ca.crt"), format!("https://www.foobar.com{path}"));
        let output = self.client(&["curl", "-sS", "--max-time", "10", "--cacert", ca.to_str().unwrap(), &url]);
        assert!(output.ok(), "GET {url}: {}", output.stderr);
        output.stdout
    }

    /// After a failed case: what the case may have left in the way goes.
    pub fn mend(&mut self) {
        self.topology = self.original();
        self.cold();
        if let Some(pair) = self.pair.take() {
            pair.end();
        }
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/guestbook"), &self.dir.join("guestbook"));
        for host in HOSTS {
            let _ = self.lab.start_host(host);
            let _ = self.lab.exec(host, super::faults::MEND);
        }
    }

    /// Takes the hosts away, unless they shall be looked at.
    pub fn end(mut self) {
        if let Some(pair) = self.pair.take() {
            pair.end();
        }
        if std::env::var("FOOBAR_E2E_KEEP").is_ok() {
            println!("left up: {} (topology in {})", self.lab.dir().display(), self.dir.display());
            return;
        }
        let name = self.lab.status().name;
        if let Err(error) = Lab::down(&lab::state_dir(), &name, &mut |_| {}) {
            println!("lab {name}: {error}");
        }
        let _ = fs::remove_dir_all(&self.dir);
    }
}

impl Run {
    /// It must have ended with this code.
    #[track_caller]
    pub fn ends(&self, code: i32) -> &Self {
        assert_eq!(self.code, code, "the exit code of {self}");
        self
    }

    /// Both streams must hold all of these somewhere.
    #[track_caller]
    pub fn says(&self, texts: &[&str]) -> &Self {
        let all = format!("{}{}", self.stdout, self.stderr);
        let all = flat(&all);
        for text in texts {
            assert!(all.contains(&flat(text)), "{text:?} is not said by {self}");
        }
        self
    }

    /// Its stdout as one JSON document.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("stdout is no JSON ({e}): {self}"))
    }
}

/// The published schema, with nothing beyond it allowed: what is printed and not described there is a fault too.
pub fn strict_schema() -> jsonschema::Validator {
    fn tighten(schema: &mut Value) {
        match schema {
            Value::Object(map) => {
                map.values_mut().for_each(tighten);
                if map.contains_key("properties") && !map.contains_key("oneOf") {
                    map.insert("additionalProperties".into(), false.into());
                }
            }
            Value::Array(items) => items.iter_mut().for_each(tighten),
            _ => {}
        }
    }
    let mut schema = serde_json::from_str(foobar::report::json::SCHEMA_TEXT).unwrap();
    tighten(&mut schema);
    jsonschema::validator_for(&schema).unwrap()
}

/// Without line breaks and frames that a narrow terminal brings.
fn flat(text: &str) -> String {
    text.split_whitespace().filter(|w| *w != "│").collect::<Vec<_>>().join(" ")
}

impl std::fmt::Display for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let tail = |text: &str| {
            let lines: Vec<&str> = text.lines().collect();
            lines[lines.len().saturating_sub(60)..].join("\n")
        };
        let Self { words, code, took, .. } = self;
        writeln!(f, "`foobar {words}` (exit {code}, {:.1} s)", took.as_secs_f32())?;
        write!(f, "--- stdout\n{}\n--- stderr\n{}", tail(&self.stdout), tail(&self.stderr))
    }
}

/// A run that is under way.
pub struct Started {
    child: Child,
    files: [PathBuf; 2],
    began: Instant,
}

/// Starts a command; its streams go to files, so that it never waits for a reader.
pub fn start(mut command: Command, dir: &Path, name: &str) -> Started {
    let files = ["out", "err"].map(|kind| dir.join(format!("{name}.{kind}")));
    command.stdout(fs::File::create(&files[0]).unwrap()).stderr(fs::File::create(&files[1]).unwrap());
    Started { child: command.spawn().unwrap(), files, began: Instant::now() }
}

impl Started {
    /// Ends it at once, wherever it is; [`Started::wait`] says how it ended.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for its end.
    pub fn wait(mut self, words: &str) -> Run {
        use std::os::unix::process::ExitStatusExt as _;
        let mut status = None;
        let ended = until(PATIENCE, || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        if !ended {
            let _ = self.child.kill();
            status = self.child.wait().ok();
        }
        let read = |path: &Path| String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned();
        let status = status.unwrap();
        let run = Run {
            words: words.to_owned(),
            code: status.code().unwrap_or(128 + status.signal().unwrap_or(0)),
            stdout: read(&self.files[0]),
            stderr: read(&self.files[1]),
            took: self.began.elapsed(),
        };
        assert!(ended, "no end after {PATIENCE:?}: {run}");
        run
    }
}

/// The steps of a plan's document.
pub fn steps(plan: &Value) -> Vec<Step> {
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let all = plan["steps"].as_array().expect("a plan has steps");
    all.iter()
        .map(|s| Step {
            host: text(&s["host"]),
            resource: text(&s["resource"]),
            summary: text(&s["summary"]),
            json: s.clone(),
        })
        .collect()
}

/// Asks until the answer is yes or the time is over; says which.
pub fn until(limit: Duration, mut done: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + limit;
    loop {
        if done() {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(25));
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).unwrap()),
        }
    }
}
