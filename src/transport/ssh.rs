//! OpenSSH through the `openssh` crate: one connection per host, kept for a minute between commands, with the user's own
//! ssh_config, agent, jump hosts and known_hosts. Host keys are checked, always. What is said to hosts goes this way alone.

use super::{OnLine, Reply, Transport, TransportError, TransportErrorKind as Kind, reach};
use crate::base::{
    digest,
    name::HostName,
    reach::{Reached, Try},
    script::Script,
};
use openssh::{Child, ControlPersist, KnownHosts, Session, SessionBuilder, Stdio};
use std::{
    collections::BTreeMap,
    fs,
    num::NonZeroUsize,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    process::Command,
    sync::{Mutex, Semaphore},
};

/// Seconds that an idle connection is kept for the next command, as ControlPersist does.
const KEEP: NonZeroUsize = NonZeroUsize::new(60).unwrap();

/// Seconds after which a fresh connection ends by itself where foobar was killed before it could end it. (One that is told
/// not to persist is kept by its own `-N` for good.)
const FRESH: NonZeroUsize = NonZeroUsize::new(10).unwrap();

/// Runs the script on its standard input as root. Written for any login shell: the words hold nothing that sh, csh or
/// fish would read differently. sudo drops the environment, so where the login came from is handed on by hand.
const REMOTE: &str = "sh -c '[ `id -u` -eq 0 ] && exec sh; exec sudo -n -- env SSH_CONNECTION=\"$SSH_CONNECTION\" sh'";

/// Where one host is and how it is logged in to.
#[derive(Clone, Debug)]
pub struct Destination {
    /// The address where ssh_config knows nothing of the host's name.
    pub address: String,
    /// Wins over ssh_config where present.
    pub user: Option<String>,
    /// Wins over ssh_config where present.
    pub port: Option<u16>,
    /// Wins over ssh_config where present.
    pub jump: Option<String>,
}

/// How connections are made.
#[derive(Clone, Debug)]
pub struct Options {
    /// An ssh_config other than the user's own.
    pub config: Option<PathBuf>,
    /// How long a connection may take.
    pub connect_timeout: Duration,
    /// Connections that may be in the making at a time: jump hosts drop bursts (sshd's MaxStartups).
    pub starts: usize,
}

struct Line {
    destination: Destination,
    session: Mutex<Option<Arc<Session>>>,
}

/// Connections to hosts.
pub struct Ssh {
    lines: BTreeMap<HostName, Line>,
    options: Options,
    sockets: PathBuf,
    starts: Semaphore,
    connections: AtomicUsize,
    execs: AtomicUsize,
}

impl Ssh {
    /// Prepares connections; none is made before the first script runs. Fails where the directory for control sockets can't
    /// be made or is not the user's own.
    pub fn new(hosts: BTreeMap<HostName, Destination>, options: Options) -> Result<Self, String> {
        let lines =
            hosts.into_iter().map(|(name, destination)| (name, Line { destination, session: Mutex::default() }));
        let starts = Semaphore::new(options.starts.max(1));
        let (connections, execs) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Ok(Self { lines: lines.collect(), sockets: sockets()?, options, starts, connections, execs })
    }

    /// Connections that were made, not reused, so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Scripts that were run so far.
    pub fn execs(&self) -> usize {
        self.execs.load(Ordering::Relaxed)
    }

    fn line(&self, host: &HostName) -> Result<&Line, TransportError> {
        self.lines.get(host).ok_or_else(|| {
            error(
                host,
                Kind::Local,
                "no address is known for it",
                "name it under hosts in the topology or the inventory",
            )
        })
    }

    /// The connection that is in use, unless it is the one that is `over`; else another one.
    async fn session(&self, host: &HostName, over: Option<&Arc<Session>>) -> Result<Arc<Session>, TransportError> {
        let line = self.line(host)?;
        let mut place = line.session.lock().await;
        match place.as_ref().filter(|session| over.is_none_or(|over| !Arc::ptr_eq(over, session))) {
            Some(session) => Ok(session.clone()),
            None => {
                let session = Arc::new(self.open(host, &line.destination).await?);
                *place = Some(session.clone());
                Ok(session)
            }
        }
    }

    /// The connection that an earlier command left open, or a new one.
    async fn open(&self, host: &HostName, to: &Destination) -> Result<Session, TransportError> {
        let record = self.sockets.join(format!("{}.at", self.name(host, to)));
        if let Ok(path) = fs::read_to_string(&record) {
            let path = PathBuf::from(path.trim());
            if path.starts_with(&self.sockets) && path.exists() {
                let session = Session::resume_mux(path.clone().into_boxed_path(), None);
                if session.check().await.is_ok() {
                    return Ok(session);
                }
            }
            // Its minute is over, or it was cut off: what it left is in nobody's use.
            if let Some(dir) = path.parent().filter(|dir| dir.starts_with(&self.sockets) && *dir != self.sockets) {
                let _ = fs::remove_dir_all(dir);
            }
            let _ = fs::remove_file(&record);
        }
        let session = self.connect(host, to, ControlPersist::IdleFor(KEEP)).await?;
        let (socket, _) = session.detach();
        let _ = fs::write(&record, socket.to_string_lossy().as_bytes());
        Ok(Session::resume_mux(socket, None))
    }

    async fn connect(
        &self,
        host: &HostName,
        to: &Destination,
        keep: ControlPersist,
    ) -> Result<Session, TransportError> {
        let _turn = self.starts.acquire().await;
        self.connections.fetch_add(1, Ordering::Relaxed);
        let mut builder = SessionBuilder::default();
        builder
            .known_hosts_check(KnownHosts::Strict)
            .connect_timeout(self.options.connect_timeout)
            .server_alive_interval(Duration::from_secs(15))
            .control_directory(&self.sockets)
            .control_persist(keep)
            .config_file(self.config(host, to)?);
        if let Some(user) = &to.user {
            builder.user(user.clone());
        }
        if let Some(port) = to.port {
            builder.port(port);
        }
        if let Some(jump) = &to.jump {
            builder.jump_hosts([jump]);
        }
        builder.connect_mux(host.as_str()).await.map_err(|e| self.explain(host, to, &e))
    }

    /// The user's ssh_config with the topology's address behind it, as a fallback: for each option ssh takes the first
    /// value that it meets (ssh_config(5)).
    fn config(&self, host: &HostName, to: &Destination) -> Result<PathBuf, TransportError> {
        let local = |what: String| error(host, Kind::Local, &what, "make that directory writable for yourself");
        let mut text = String::new();
        match &self.options.config {
            Some(path) => {
                let whole = fs::canonicalize(path).map_err(|e| {
                    error(
                        host,
                        Kind::Local,
                        &format!("ssh_config {}: {e}", path.display()),
                        "name an existing file with --ssh-config",
                    )
                })?;
                text.push_str(&format!("Include \"{}\"\n", whole.display()));
            }
            None => text.push_str("Include ~/.ssh/config\n"),
        }
        text.push_str(&format!("Host {host}\n  HostName {}\n", to.address));
        if self.options.config.is_none() {
            text.push_str("Match all\nInclude /etc/ssh/ssh_config\n");
        }
        let path = self.sockets.join(format!("{}.conf", self.name(host, to)));
        let fresh = self.sockets.join(format!("{}.{}", self.name(host, to), std::process::id()));
        fs::write(&fresh, text)
            .and_then(|()| fs::set_permissions(&fresh, fs::Permissions::from_mode(0o600)))
            .and_then(|()| fs::rename(&fresh, &path))
            .map_err(|e| local(format!("{}: {e}", path.display())))?;
        Ok(path)
    }

    /// Whether it is reached at its address and over nothing else, as ssh itself understands the user's ssh_config.
    async fn is_straight(&self, host: &HostName, to: &Destination) -> bool {
        let Ok(config) = self.config(host, to) else { return false };
        let mut ssh = Command::new("ssh");
        let asked =
            ssh.arg("-G").arg("-F").arg(config).arg(host.as_str()).stdin(std::process::Stdio::null()).output().await;
        let is_told =
            |said: std::process::Output| reach::is_straight(&String::from_utf8_lossy(&said.stdout), &to.address);
        to.jump.is_none() && asked.is_ok_and(is_told)
    }

    /// A short name for this way to this host: another user, port, jump or ssh_config is another connection.
    fn name(&self, host: &HostName, to: &Destination) -> String {
        let config = self.options.config.as_ref().map(|p| fs::canonicalize(p).unwrap_or_else(|_| p.clone()));
        let config = config.map(|p| p.to_string_lossy().into_owned()).unwrap_or_default();
        let port = to.port.map(|p| p.to_string()).unwrap_or_default();
        let parts = [
            host.as_str(),
            &to.address,
            to.user.as_deref().unwrap_or(""),
            &port,
            to.jump.as_deref().unwrap_or(""),
            &config,
        ];
        digest::of_parts(parts)[..16].to_owned()
    }

    fn explain(&self, host: &HostName, to: &Destination, failure: &openssh::Error) -> TransportError {
        let text = innermost(failure);
        if text.contains(TOO_MANY) {
            return too_many(host);
        }
        let address = &to.address;
        let port = to.port.unwrap_or(22);
        if let openssh::Error::Connect(io) = failure
            && io.kind() == std::io::ErrorKind::NotFound
            && !text.contains("ssh")
        {
            return error(host, Kind::Local, "no ssh program was found here", "install openssh-client");
        }
        let last = text.lines().rev().find(|l| !l.trim().is_empty()).unwrap_or("no reason was given").trim().to_owned();
        if text.contains("REMOTE HOST IDENTIFICATION HAS CHANGED") || text.contains("Host key verification failed") {
            let offered = text
                .lines()
                .find_map(|l| l.split_whitespace().find(|w| w.starts_with("SHA256:")))
                .map(|f| f.trim_end_matches('.'));
            let offending = text.lines().find_map(|l| l.trim().strip_prefix("Offending ").map(str::to_owned));
            return match offending {
                Some(place) => error(
                    host,
                    Kind::HostKey,
                    &format!(
                        "its host key has changed: it offers {}, and another one is on record ({})",
                        offered.unwrap_or("an unknown one"),
                        place.trim_end_matches('\r')
                    ),
                    "somebody may be in between. If the host was rebuilt, compare the offered fingerprint with \
                     `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` on its console, then remove the old key: ssh-keygen -R",
                ),
                None => error(
                    host,
                    Kind::HostKey,
                    "its host key is not known here",
                    &format!(
                        "log in once by hand and compare the fingerprint: ssh {address}; foobar never accepts a key by itself"
                    ),
                ),
            };
        }
        if text.contains("Permission denied") || text.contains("Too many authentication failures") {
            let user = to.user.as_deref().map(|u| format!(" as {u}")).unwrap_or_default();
            return error(
                host,
                Kind::Refused,
                &format!("it refused every key it was offered{user}: {last}"),
                &format!(
                    "check that `ssh {host}` works without a password: the login's name (ssh.user), the agent (ssh-add -l), its authorized_keys"
                ),
            );
        }
        error(
            host,
            Kind::Unreachable,
            &format!("no connection to {address} port {port}: {last}"),
            "check that the host is up and its address right, and that its firewall lets this machine in",
        )
    }

    async fn begin<'s>(&self, session: &'s Session) -> Result<Child<&'s Session>, openssh::Error> {
        let mut command = session.raw_command(REMOTE);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().await
    }

    async fn converse(
        &self,
        host: &HostName,
        mut child: Child<&Session>,
        script: &Script,
        on_line: OnLine<'_>,
    ) -> Result<Reply, TransportError> {
        self.execs.fetch_add(1, Ordering::Relaxed);
        let (stdin, stdout, stderr) = (child.stdin().take(), child.stdout().take(), child.stderr().take());
        let feed = async {
            if let Some(mut stdin) = stdin {
                // Where the other end stops reading, its exit status says why.
                let _ = stdin.write_all(script.text().as_bytes()).await;
                let _ = stdin.shutdown().await;
            }
        };
        let listen = async {
            let mut all = Vec::new();
            if let Some(stdout) = stdout {
                let mut reader = BufReader::new(stdout);
                let mut at = 0;
                while reader.read_until(b'\n', &mut all).await.unwrap_or(0) > 0 {
                    on_line(String::from_utf8_lossy(&all[at..]).trim_end_matches('\n'));
                    at = all.len();
                }
            }
            all
        };
        let complain = async {
            let mut all = Vec::new();
            if let Some(mut stderr) = stderr {
                let _ = stderr.read_to_end(&mut all).await;
            }
            String::from_utf8_lossy(&all).into_owned()
        };
        let ((), stdout, stderr) = tokio::join!(feed, listen, complain);
        // Only now: an exit status can overtake the last lines of output, and once it is taken in, the master drops what it
        // has not written yet. (Seen: one reply in forty without its last line.)
        let status = child.wait().await;
        let status = status.map_err(|e| lost(host, "the connection was lost while a script ran", &e))?;
        let status = status.code().unwrap_or(255);
        if stdout.is_empty() && status != 0 && stderr.contains("sudo: ") {
            let said = stderr.lines().find(|l| l.contains("sudo: ")).unwrap_or_default().trim();
            return Err(error(
                host,
                Kind::Sudo,
                &format!("the login works, and may not become root: {said}"),
                "allow it without a password (a line such as `admin ALL=(ALL) NOPASSWD: ALL` in /etc/sudoers.d/foobar), or log in as root (ssh.user: root)",
            ));
        }
        Ok(Reply { status, stdout, stderr })
    }
}

impl Transport for Ssh {
    async fn run(&self, host: &HostName, script: &Script, on_line: OnLine<'_>) -> Result<Reply, TransportError> {
        let mut session = self.session(host, None).await?;
        // A host that others were waited for outlives its idle connection. Nothing of the script has been sent by then, so
        // that it can be begun again.
        if session.check().await.is_err() {
            session = self.session(host, Some(&session)).await?;
        }
        let child = self.begin(&session).await.map_err(|e| lost(host, "the connection was lost", &e))?;
        self.converse(host, child, script, on_line).await
    }

    async fn run_fresh(&self, host: &HostName, script: &Script) -> Result<Reply, TransportError> {
        let line = self.line(host)?;
        let session = self.connect(host, &line.destination, ControlPersist::IdleFor(FRESH)).await?;
        let reply = match self.begin(&session).await {
            Ok(child) => self.converse(host, child, script, &|_| {}).await,
            Err(e) => Err(lost(host, "the connection was lost", &e)),
        };
        let _ = session.close().await;
        reply
    }

    async fn reach(&self, host: &HostName, all: &[Try]) -> Reached {
        match self.line(host) {
            Ok(line) if !all.is_empty() && self.is_straight(host, &line.destination).await => reach::reach(all).await,
            _ => Reached::new(),
        }
    }

    async fn forget(&self, host: &HostName) {
        let Some(line) = self.lines.get(host) else { return };
        let session = line.session.lock().await.take();
        let _ = fs::remove_file(self.sockets.join(format!("{}.at", self.name(host, &line.destination))));
        let Some(session) = session else { return };
        let dir = session.control_socket().parent().map(Path::to_path_buf);
        // Its master would wait for a host that is gone. Who still uses it for another command lets it go by itself.
        if let Some(session) = Arc::into_inner(session) {
            let _ = session.close().await;
        }
        if let Some(dir) = dir.filter(|dir| dir.starts_with(&self.sockets) && *dir != self.sockets) {
            let _ = fs::remove_dir_all(dir);
        }
    }
}

fn lost(host: &HostName, what: &str, failure: &openssh::Error) -> TransportError {
    let why = innermost(failure);
    if why.contains(TOO_MANY) {
        return too_many(host);
    }
    let what = format!("{what}: {failure}");
    error(host, Kind::Lost, &what, "what had begun there may have ended; run foobar again to see what is left")
}

/// What the system says of a process that has as many files open as it may (EMFILE).
const TOO_MANY: &str = "Too many open files";

fn too_many(host: &HostName) -> TransportError {
    error(
        host,
        Kind::Local,
        "this machine lets the program open no more files and connections",
        "raise the limit where it is started (`ulimit -n 1024`; LimitNOFILE= in a unit), then run foobar again to see what is left",
    )
}

/// What lies at the bottom of an error.
fn innermost(failure: &openssh::Error) -> String {
    let mut text = failure.to_string();
    let mut source = std::error::Error::source(failure);
    while let Some(inner) = source {
        text = inner.to_string();
        source = inner.source();
    }
    text
}

fn error(host: &HostName, kind: Kind, what: &str, help: &str) -> TransportError {
    TransportError { host: host.clone(), kind, what: what.to_owned(), help: help.to_owned() }
}

/// The directory for control sockets: the user's own and closed to all others. Short, since a socket's path has 108 bytes
/// at most (unix(7)).
fn sockets() -> Result<PathBuf, String> {
    let uid = fs::metadata("/proc/self").map(|m| m.uid()).unwrap_or(0);
    let base = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|p| p.is_absolute() && p.is_dir());
    let dir = match base {
        Some(base) => base.join("foobar"),
        None => Path::new("/tmp").join(format!("foobar-{uid}")),
    };
    let made = fs::DirBuilder::new().mode(0o700).create(&dir);
    if let Err(e) = made
        && e.kind() != std::io::ErrorKind::AlreadyExists
    {
        return Err(format!("{}: {e}", dir.display()));
    }
    let meta = fs::symlink_metadata(&dir).map_err(|e| format!("{}: {e}", dir.display()))?;
    if !meta.is_dir() || meta.uid() != uid || meta.mode() & 0o077 != 0 {
        return Err(format!("{} is not a directory of your own that is closed to others", dir.display()));
    }
    Ok(dir)
}
