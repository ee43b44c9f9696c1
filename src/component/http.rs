//! HTTP as checks and proofs speak it on a host that has no client for it: requests through bash and openssl, and the
//! answers read back. Which requests are made is the components' business.

use crate::base::script::{Script, quote};
use std::{collections::BTreeMap, net::SocketAddr};

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
/// given), for `tenths` tenths of a second; then fails with `complaint` and what was answered last.
pub fn wait_for(at: SocketAddr, path: &str, host: &str, body: Option<&str>, tenths: u32, complaint: &str) -> Script {
    let (ip, port) = (at.ip(), at.port());
    let hit = match body {
        Some(body) => format!("printf '%s\\n' \"$answer\" | grep -qxF -- {}", quote(body)),
        None => "true".to_owned(),
    };
    getter()
        .line("tries=0")
        .line(format!(
            "until answer=$(get {ip} {port} {} {} | tr -d '\\r') && case $answer in 'HTTP/1.1 200 '*) {hit} ;; *) false ;; esac; do",
            quote(path),
            quote(host)
        ))
        .line(format!(
            "  tries=$((tries + 1)); [ \"$tries\" -lt {tenths} ] || {{ printf '%s\\n' {} \"it answered: ${{answer:-nothing}}\" | head -n 12 >&2; exit 1; }}",
            quote(complaint)
        ))
        .line("  sleep 0.1")
        .line("done")
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
