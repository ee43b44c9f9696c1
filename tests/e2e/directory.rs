//! An ACME directory on a host of the suite: Debian's `pebble`, strict, with a resolver beside it that leads the site's names
//! to whoever the case says.

use super::world::World;
use std::net::Ipv4Addr;

/// Installs it, with a certificate of its own of an authority that nobody knows yet.
const INSTALL: &str = r#"set -e
systemctl stop e2e-pebble e2e-names 2>/dev/null || :
export DEBIAN_FRONTEND=noninteractive
[ -x /usr/bin/pebble ] || for try in 1 2 3; do
  { apt-get -q update && apt-get -q -y install --no-install-recommends pebble; } >/run/pebble.log 2>&1 && break
  [ $try != 3 ] || { tail -n 5 /run/pebble.log >&2; exit 1; }
done
mkdir -p /root/pebble && cd /root/pebble
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.crt -days 99 -subj '/CN=of the directory' 2>/dev/null
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout own.key -out own.csr -subj /CN=directory 2>/dev/null
printf 'subjectAltName=IP:%s\n' "$at" >ext
openssl x509 -req -in own.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 90 -extfile ext -out own.crt 2>/dev/null
cat >pebble.json <<END
{ "pebble": { "listenAddress": "$at:14000", "managementListenAddress": "127.0.0.1:15000", "certificate": "/root/pebble/own.crt",
  "privateKey": "/root/pebble/own.key", "httpPort": 80, "tlsPort": 443, "ocspResponderURL": "", "externalAccountBindingRequired": false } }
END
"#;

/// What the directory asks for addresses, which leads each name to the one in `address`.
const NAMES: &str = r#"set -e
systemctl stop e2e-names 2>/dev/null || :
# Each of its versions calls its ports by other names.
has() { pebble-challtestsrv -h 2>&1 | grep -q "^ *$1 "; }
doh= dns=-dnsserver
if has -doh; then doh=-doh=; fi
if has -dns01; then dns=-dns01; fi
systemd-run -q --collect --unit=e2e-names pebble-challtestsrv -defaultIPv4 "$address" -defaultIPv6 '' "$dns" 127.0.0.1:8053 -http01 '' -https01 '' -tlsalpn01 '' $doh -management 127.0.0.1:8055
tries=0
until ss -Hlun 'sport = :8053' | grep -q . && ss -Hltn 'sport = :8053' | grep -q . && ss -Hltn 'sport = :8055' | grep -q .; do
  tries=$((tries + 1)); [ $tries -lt 100 ] || { journalctl -q -u e2e-names -n 20 >&2; exit 1; }
  sleep 0.1
done"#;

/// One name leads somewhere else than the rest.
const ALSO: &str = r#"set -e
body="{\"host\":\"$name.\",\"addresses\":[\"$address\"]}"
printf 'POST /add-a HTTP/1.0\r\nContent-Length: %d\r\n\r\n%s' ${#body} "$body" | socat -T 5 - TCP:127.0.0.1:8055 | grep -q ' 200 '"#;

/// Starts it; prints the root that it signs with. It asks anew for every order: what it was answered before counts for nothing.
const START: &str = r#"set -e
cd /root/pebble
systemctl stop e2e-pebble 2>/dev/null || :
systemd-run -q --collect --unit=e2e-pebble -E PEBBLE_VA_NOSLEEP=1 -E PEBBLE_AUTHZREUSE=0 pebble -config /root/pebble/pebble.json -strict -dnsserver 127.0.0.1:8053
say() { printf 'GET %s HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n' "$1" | timeout 5 openssl s_client -quiet -connect 127.0.0.1:15000 2>/dev/null; }
tries=0
until say /roots/0 | sed -n '/BEGIN CERT/,/END CERT/p' >root.crt && [ -s root.crt ]; do
  tries=$((tries + 1)); [ $tries -lt 100 ] || { journalctl -q -u e2e-pebble -n 20 >&2; exit 1; }
  sleep 0.1
done
cat root.crt"#;

/// Before the directory, on another port: the first two who ask for an order are handed the same one, as directories do that
/// look for one that is pending for the same account and names. Neither hears before both have asked.
const TWICE: &str = r#"set -e
export DEBIAN_FRONTEND=noninteractive
[ -x /usr/bin/python3 ] || apt-get -q -y install --no-install-recommends python3 >/run/twice.log 2>&1 || { tail -n 5 /run/twice.log >&2; exit 1; }
cat >/root/pebble/twice.py <<'END'
import http.client, http.server, ssl, sys, threading

orders, both = [], threading.Condition()

class Directory(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def answer(self):
        body = self.rfile.read(int(self.headers.get('content-length', 0)))
        behind = http.client.HTTPSConnection(sys.argv[1], 14000, context=ssl._create_unverified_context())
        behind.request(self.command, self.path, body, dict(self.headers))
        response = behind.getresponse()
        said, location = response.read(), response.headers['location']
        if self.path == '/order-plz' and response.status == 201:
            with both:
                orders.append((location, said))
                mine = len(orders)
                both.notify_all()
                both.wait_for(lambda: len(orders) > 1, 30)
            if mine == 2:
                location, said = orders[0]
                print('handed out twice', location, flush=True)
        if response.status in (400, 403) and b'badNonce' not in said:
            print('refused:', self.path, said, flush=True)
        self.send_response(response.status)
        for name, value in response.getheaders():
            if name.lower() not in ('transfer-encoding', 'connection', 'content-length', 'location', 'date', 'server'):
                self.send_header(name, value)
        if location:
            self.send_header('Location', location)
        self.send_header('Content-Length', str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    do_GET = do_POST = do_HEAD = answer

server = http.server.ThreadingHTTPServer((sys.argv[1], 14001), Directory)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain('/root/pebble/own.crt', '/root/pebble/own.key')
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
END
systemd-run -q --collect --unit=e2e-twice python3 /root/pebble/twice.py "$at"
tries=0
until ss -Hltn 'sport = :14001' | grep -q .; do
  tries=$((tries + 1)); [ $tries -lt 100 ] || { journalctl -q -u e2e-twice -n 20 >&2; exit 1; }
  sleep 0.1
done"#;

/// The directory, on its host and at its address.
pub struct Directory {
    host: &'static str,
    address: Ipv4Addr,
}

impl Directory {
    /// Installs it on a host, to be asked at an address; it is down.
    pub fn installed(w: &World, host: &'static str, address: Ipv4Addr) -> Self {
        w.on(host, &format!("at={address}\n{INSTALL}"));
        Self { host, address }
    }

    /// What the topology calls it.
    pub fn url(&self) -> String {
        format!("https://{}:14000/dir", self.address)
    }

    /// Starts it anew, without any account or order; answers the root that it signs with.
    pub fn start(&self, w: &World) -> String {
        w.on(self.host, START)
    }

    /// The authority of its own certificate.
    pub fn own(&self, w: &World) -> String {
        w.on(self.host, "cat /root/pebble/ca.crt")
    }

    /// From now on it finds this address by every name.
    pub fn lead(&self, w: &World, address: Ipv4Addr) {
        w.on(self.host, &format!("address={address}\n{NAMES}"));
    }

    /// It finds another one by this name.
    pub fn lead_one(&self, w: &World, name: &str, address: Ipv4Addr) {
        w.on(self.host, &format!("name={name} address={address}\n{ALSO}"));
    }

    /// It takes questions, and answers none.
    pub fn falls_silent(&self, w: &World) {
        w.on(self.host, "systemctl kill -s STOP e2e-pebble");
    }

    /// It goes on with what it was asked.
    pub fn speaks_again(&self, w: &World) {
        w.on(self.host, "systemctl kill -s CONT e2e-pebble");
    }

    /// From now on another port of its own hands one order out twice.
    pub fn hands_orders_out_twice(&self, w: &World) {
        w.on(self.host, &format!("at={}\n{TWICE}", self.address));
    }

    /// What that port did.
    pub fn twice(&self, w: &World) -> String {
        w.on(self.host, "journalctl --sync 2>/dev/null; journalctl -q -o cat --no-pager -u e2e-twice")
    }

    /// How many accounts it has.
    pub fn accounts(&self, w: &World) -> String {
        let told = "i=$(systemctl show --value -p InvocationID e2e-pebble); journalctl --sync 2>/dev/null
            journalctl -q -o cat --no-pager _SYSTEMD_INVOCATION_ID=$i | sed -n 's/.*There are now \\([0-9]*\\) accounts.*/\\1/p' | tail -n 1";
        w.on(self.host, told).trim().to_owned()
    }

    /// All of it goes, and what hosts were told to trust.
    pub fn end(self, w: &World, hosts: &[&str]) {
        w.on(self.host, "systemctl kill -s CONT e2e-pebble 2>/dev/null; systemctl stop e2e-twice e2e-pebble e2e-names 2>/dev/null; rm -rf /root/pebble");
        for host in hosts {
            w.on(
                host,
                "rm -f /usr/local/share/ca-certificates/e2e-*.crt; update-ca-certificates --fresh >/dev/null 2>&1",
            );
        }
    }
}

/// What a host trusts beside the world's authorities. Another one of that name before it is forgotten.
pub fn trust(w: &World, host: &str, name: &str, pem: &str) {
    let script = format!(
        "at=/usr/local/share/ca-certificates/{name}.crt fresh=; [ ! -e $at ] || fresh=--fresh
         cat >$at <<'END'\n{pem}\nEND\nupdate-ca-certificates $fresh >/dev/null 2>&1"
    );
    w.on(host, &script);
}
