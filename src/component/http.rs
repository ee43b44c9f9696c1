//! HTTP as checks and proofs speak it on a host that has no client for it: requests through bash and openssl, and the
//! answers read back. Which requests are made is the components' business.

use super::{
    Answer, Check, Verdict, bracketed,
    names::{GENERATION, SITE_CA_FILE},
    site::Site,
    spec::Certificate,
};
use crate::base::{
    name::HostName,
    script::{Script, quote},
};
use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
};

/// Where an authority looks for the answer to its challenge (RFC 8555, 8.3).
pub const CHALLENGES: &str = "/.well-known/acme-challenge";

/// A sh function that makes one plain request and prints the whole response: `get ADDRESS PORT PATH HOST [HEADER]`.
/// bash is essential on Debian, and opens sockets.
const GET: &str = r#"get() {
  timeout 3 bash -c 'exec 3<>"/dev/tcp/$0/$1" || exit 7; more=
    [ -z "${4-}" ] || printf -v more "%s\r\n" "$4"
    printf "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: foobar\r\n%sConnection: close\r\n\r\n" "$2" "$3" "$more" >&3; cat <&3' "$@" 2>/dev/null
}"#;

/// Defines `get ADDRESS PORT PATH HOST [HEADER]`.
pub fn getter() -> Script {
    Script::new().line(GET)
}

/// Waits until `http://ADDRESS:PORT/PATH` on loopback answers 200 with exactly `body` in a line (any body where none is
/// given), for `tenths` tenths of a second of the host's uptime, however long each answer takes; then fails with
/// `complaint` and what was answered last.
pub fn wait_for(at: SocketAddr, path: &str, host: &str, body: Option<&str>, tenths: u32, complaint: &str) -> Script {
    let (ip, port) = (at.ip(), at.port());
    let hit = match body {
        Some(body) => format!("printf '%s\\n' \"$answer\" | grep -qxF -- {}", quote(body)),
        None => "true".to_owned(),
    };
    getter()
        .line("read -r now _ </proc/uptime")
        .line(format!("end=$((${{now%.*}} + {}))", tenths.div_ceil(10)))
        .line(format!(
            "until answer=$(get {ip} {port} {} {} | tr -d '\\r') && case $answer in 'HTTP/1.'[01]' 200 '*) {hit} ;; *) false ;; esac; do",
            quote(path),
            quote(host)
        ))
        .line("  read -r now _ </proc/uptime")
        .line("  if [ \"${now%.*}\" -gt \"$end\" ]; then")
        .line("    said=$(printf '%s\\n' \"${answer:-nothing}\" | sed -n '1p;$p' | cut -c 1-200 | uniq | tr '\\n' ' ')")
        .line(format!("    printf '%s; asked on loopback, it answers: %s\\n' {} \"$said\" >&2; exit 1", quote(complaint)))
        .line("  fi")
        .line("  sleep 0.1")
        .line("done")
}

/// What openssl verifies the site's certificate with. The user's own may come from an authority that the host's store
/// does not know: what was given is then what is trusted.
pub fn trust(site: &Site) -> String {
    match site.topology.tls.certificate {
        Certificate::SelfSigned => format!("-CAfile {SITE_CA_FILE}"),
        Certificate::Acme(_) => "-CApath /etc/ssl/certs".to_owned(),
        Certificate::Files { .. } => format!("-CApath /etc/ssl/certs -partial_chain -CAfile {SITE_CA_FILE}"),
    }
}

/// Seconds that a check waits for an answer over TLS: as long as the control machine waits for a host that does not answer,
/// so that one that is gone holds a run up no longer than it does anyway, and a busy one has its time.
pub const PATIENCE: u32 = 10;

/// The same where several answers are waited for in turn, or where waiting is what is measured.
pub const IMPATIENCE: u32 = 5;

/// Defines `ask ADDRESS [OPTION…]`: sends its standard input to the site over verified TLS and prints what comes back within
/// so many seconds. The last request on it closes the connection.
pub fn asker(site: &Site, seconds: u32) -> Script {
    let name = quote(site.topology.site.as_str());
    let trust = trust(site);
    Script::new().line("ask() {").line("  at=$1; shift").line(format!(
        "  timeout {seconds} openssl s_client -quiet -connect \"$at\" -servername {name} -verify_return_error -verify_hostname {name} {trust} \"$@\" 2>/dev/null"
    )).line("}")
}

/// A GET to the site, as `printf` takes it (no `%` can be in a path); the last of a connection closes it.
pub fn request(site: &Site, path: &str, headers: &str, is_last: bool) -> String {
    let close = if is_last { "Connection: close\\r\\n" } else { "" };
    format!("GET {path} HTTP/1.1\\r\\nHost: {}\\r\\nUser-Agent: foobar\\r\\n{headers}{close}\\r\\n", site.topology.site)
}

/// An address and port as openssl takes them.
pub fn at(address: IpAddr, port: u16) -> String {
    format!("{}:{port}", bracketed(address))
}

/// A check that a daemon runs the configuration that was rendered for it: it tells the digest on loopback.
pub fn runs(component: &'static str, host: &HostName, port: u16, generation: String) -> Check {
    let script = getter().line(format!("get 127.0.0.1 {port} {GENERATION} localhost"));
    let title = format!("{component} runs the configuration that was rendered for it");
    Check::new(component, host, title, script, move |answer| match first(answer) {
        Some(response) if response.body.trim() == generation => {
            Verdict::Pass(format!("generation {}", &generation[..12]))
        }
        Some(response) => Verdict::Fail(format!(
            "it runs {:?}, and {} was rendered; `foobar plan` shows what differs",
            response.body.trim().chars().take(12).collect::<String>(),
            &generation[..12]
        )),
        None => Verdict::Fail(format!("nothing answers on loopback port {port}")),
    })
}

/// The first response in an answer.
pub fn first(answer: &Answer) -> Option<Response> {
    responses(&answer.stdout).into_iter().next()
}

/// A response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// Its status code.
    pub status: u16,
    /// Its header lines, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// Its body, put together again where it came in chunks.
    pub body: String,
}

impl Response {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

/// Every response in what a connection answered, in order.
pub fn responses(text: &str) -> Vec<Response> {
    let text = text.replace("\r\n", "\n");
    let mut rest = text.as_str();
    let mut all = Vec::new();
    while let Some(at) = find_start(rest) {
        let (head, after) = rest[at..].split_once("\n\n").unwrap_or((&rest[at..], ""));
        let mut response = Response::default();
        let mut lines = head.lines();
        let status = lines.next().and_then(|l| l.split(' ').nth(1)).and_then(|s| s.parse().ok());
        response.status = status.unwrap_or_default();
        for (name, value) in lines.filter_map(|l| l.split_once(':')) {
            response.headers.insert(name.trim().to_ascii_lowercase(), value.trim().to_owned());
        }
        let end = find_start(after).unwrap_or(after.len());
        let body = &after[..end];
        let is_chunked = response.header("transfer-encoding").is_some_and(|v| v.eq_ignore_ascii_case("chunked"));
        response.body = if is_chunked { unchunked(body) } else { body.to_owned() };
        all.push(response);
        rest = &after[end..];
    }
    all
}

/// Where a line begins that starts a response. A body that does not end in a line break has the next one glued to it.
fn find_start(text: &str) -> Option<usize> {
    text.match_indices("HTTP/1.").map(|(at, _)| at).find(|at| {
        let line = text[*at..].lines().next().unwrap_or_default().as_bytes();
        line.len() >= 12 && line[8] == b' ' && line[9..12].iter().all(u8::is_ascii_digit)
    })
}

/// Line breaks were made plain, so that sizes no longer hold: chunks are told apart by their size lines alone.
fn unchunked(body: &str) -> String {
    let is_size = |line: &str| !line.is_empty() && line.len() <= 8 && line.bytes().all(|b| b.is_ascii_hexdigit());
    body.lines().filter(|line| !is_size(line)).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_on_one_connection_are_told_apart() {
        let text = "HTTP/1.1 200 OK\r\nX-Served-By: web-01\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 301 Moved\r\nLocation: https://x/\r\n\r\n";
        let all = responses(text);
        assert_eq!(all.len(), 2);
        assert_eq!((all[0].status, all[0].header("x-served-by"), all[0].body.as_str()), (200, Some("web-01"), "ok"));
        assert_eq!((all[1].status, all[1].header("location")), (301, Some("https://x/")));
        assert!(responses("").is_empty() && responses("no http here").is_empty());
    }

    #[test]
    fn chunks_are_put_together() {
        let text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1a\r\n<p>a token</p>\r\n0\r\n\r\n";
        assert_eq!(responses(text)[0].body.trim(), "<p>a token</p>");
    }
}
