//! Who watches the stack: what breaks is told to a real receiver, and what is mended too; nobody but the host that watches
//! reaches an exporter; a broken rule never lands; and all of it goes again.

use super::{
    drills::is_proved,
    world::{HOSTS, World, until},
};
use std::{fs, time::Duration};

/// A path that only who was told knows.
const TOKEN: &str = "planted-7d1c04e9-hook";

/// Takes alerts as Alertmanager posts them, and writes down a line for each.
const RECEIVER: &str = r#"cat >/run/e2e-hook.py <<'END'
import http.server, json
class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with open("/run/e2e-hook", "a") as notes:
            for alert in told["alerts"]:
                labels = alert["labels"]
                print(alert["status"], labels["alertname"], labels.get("host", "-"), self.path, file=notes)
        self.send_response(200)
        self.end_headers()
    def log_message(self, *words):
        pass
http.server.HTTPServer(("", 9009), Receiver).serve_forever()
END
: >/run/e2e-hook; systemctl stop e2e-hook 2>/dev/null; systemd-run -q --unit=e2e-hook python3 /run/e2e-hook.py"#;

/// What the login at the mail server is made with.
const MAIL_PASSWORD: &str = "planted-93be55a0-mail";

/// A mail server that wants TLS and a login first, and writes down whether that was right and each subject.
const MAIL: &str = r#"cd /run; [ -s e2e-mail.crt ] || openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout e2e-mail.key -out e2e-mail.crt -days 9 \
  -subj /CN=mail -addext "subjectAltName=IP:$address" 2>/dev/null
cat >e2e-mail.py <<'END'
import base64, socketserver, ssl, sys
shown = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
expected = open("/run/e2e-mail.password").read()
shown.load_cert_chain("/run/e2e-mail.crt", "/run/e2e-mail.key")
def note(text):
    with open("/run/e2e-mail", "a") as notes:
        print(text, file=notes)
class Mail(socketserver.StreamRequestHandler):
    def say(self, *lines):
        self.wfile.write(b"".join(line.encode() + b"\r\n" for line in lines))
    def handle(self):
        secure, right = False, False
        self.say("220 e2e")
        while line := self.rfile.readline().decode().strip():
            word = line.split()[0].upper()
            if word == "EHLO":
                self.say("250-e2e", "250 AUTH PLAIN" if secure else "250 STARTTLS")
            elif word == "STARTTLS":
                self.say("220 go on")
                self.request = shown.wrap_socket(self.request, server_side=True)
                self.rfile, self.wfile, secure = self.request.makefile("rb"), self.request.makefile("wb", 0), True
            elif word == "AUTH":
                right = base64.b64decode(line.split()[2]).decode().split("\0")[1:] == ["foobar", expected]
                self.say("235 welcome" if right else "535 no")
            elif word == "DATA":
                self.say("354 go on")
                while (line := self.rfile.readline().decode().rstrip()) != ".":
                    if line.startswith(("Subject:", "To:")):
                        note(("known " if right else "stranger ") + line)
                self.say("250 taken")
            elif word == "QUIT":
                return self.say("221 bye")
            else:
                self.say("250 yes")
socketserver.ThreadingTCPServer(("", 2525), Mail).serve_forever()
END
umask 077; printf %s "$password" >e2e-mail.password
: >e2e-mail; systemctl stop e2e-mail 2>/dev/null; systemd-run -q --unit=e2e-mail python3 /run/e2e-mail.py; cat e2e-mail.crt"#;

/// A certificate of the site's own authority that is good for two days, in the place of the one that the balancer shows.
const EXPIRING: &str = r#"cd /var/lib/foobar/secrets && dir=$(mktemp -d)
openssl req -newkey rsa:2048 -nodes -keyout $dir/key -out $dir/req -subj /CN=www.foobar.com 2>/dev/null
printf 'subjectAltName=DNS:www.foobar.com,DNS:foobar.com\n' >$dir/ext
openssl x509 -req -in $dir/req -CA site-ca.crt -CAkey site-ca.key -CAcreateserial -CAserial $dir/serial -days 2 -extfile $dir/ext -out $dir/crt 2>/dev/null
say() { socat -t 3 - UNIX-CONNECT:/run/haproxy/admin.sock; }
{ printf 'set ssl cert /etc/haproxy/certs/site.pem <<\n'; cat $dir/crt $dir/key; printf '\n'; } | say
echo 'commit ssl cert /etc/haproxy/certs/site.pem' | say | grep -q Success; rm -rf $dir"#;

/// Prometheus' answer on its own host.
fn asked(w: &World, path: &str) -> String {
    let get = format!(
        "timeout 5 bash -c 'exec 3<>/dev/tcp/127.0.0.1/9090; printf \"GET {path} HTTP/1.0\\r\\n\\r\\n\" >&3; cat <&3'"
    );
    w.on("lb-01", &get)
}

/// What the receiver was told so far.
fn told(w: &World) -> String {
    w.on("web-02", "cat /run/e2e-hook")
}

/// What is broken below, each with the host that it is told of.
const BROKEN: &[&str] = &[
    "BackendDown web-01",
    "NginxDown web-01",
    "ReplicaStopped web-02",
    "DiskFull web-01",
    "CertificateExpiresSoon -",
    "ConfigBackupBroken web-02",
];

/// The newest generation of a host, with a byte more than its run wrote, or as it was; measured at once.
fn spoil(w: &World, host: &str, is_broken: bool) {
    let act =
        if is_broken { "cp -a \"$last\" \"$last.e2e\"; printf x >>\"$last\"" } else { "mv \"$last.e2e\" \"$last\"" };
    let newest = "last=$(ls -d /var/lib/foobar/generations/*/ | sort -t / -k 6n | tail -n 1)sources";
    // The run that mends the others keeps one of its own: the one that was spoilt is the one with a copy beside it.
    let spoilt = "last=$(ls /var/lib/foobar/generations/*/sources.e2e); last=${last%.e2e}";
    let which = if is_broken { newest } else { spoilt };
    w.on(host, &format!("{which}; {act}; systemctl start foobar-measures.service"));
}

/// All of it is told to be so.
#[track_caller]
fn is_told(w: &World, word: &str) {
    let line = |alert: &&str| format!("{word} {alert} /{TOKEN}");
    let missing = || -> Vec<String> {
        let told = told(w);
        BROKEN.iter().map(line).filter(|line| !told.lines().any(|t| t == line)).collect()
    };
    assert!(until(Duration::from_secs(120), || missing().is_empty()), "not told: {:#?} but\n{}", missing(), told(w));
}

/// Whether a connection from a host to a port is let through.
fn reaches(w: &World, from: &str, to: &str, port: u16) -> bool {
    let to = w.lab.address(to).unwrap();
    let script = format!("timeout 2 bash -c 'exec 3<>/dev/tcp/{to}/{port}' 2>/dev/null");
    w.lab.exec(from, &script).is_ok_and(|o| o.ok())
}

/// Nobody declares them any more once a case is over.
const NOBODY_LISTENS: &str = "for unit in e2e-hook e2e-mail; do systemctl stop $unit 2>/dev/null; done; :";

/// Watched, with somebody to tell by a webhook and by mail; a mail server's certificate is trusted before it is asked.
fn is_watched(w: &mut World) {
    w.converge();
    let [lb, web] = ["lb-01", "web-02"].map(|host| w.lab.address(host).unwrap());
    fs::write(w.dir.join("hook"), format!("http://{web}:9009/{TOKEN}")).unwrap();
    fs::write(w.dir.join("mail"), MAIL_PASSWORD).unwrap();
    let email = format!(
        "{{ to: [ops@foobar.com, night@foobar.com], from: foobar@foobar.com, smarthost: '{web}:2525', login: foobar, password: {{ file: mail }} }}"
    );
    let shown = w.on("web-02", &format!("address={web} password={MAIL_PASSWORD}\n{MAIL}"));
    let trust = "/usr/local/share/ca-certificates/e2e-mail.crt";
    w.on("lb-01", &format!("cat >{trust} <<'END'\n{shown}\nEND\nupdate-ca-certificates >/dev/null 2>&1"));
    w.topology = w.original()
        + &format!(
            "monitoring: {{ on: [lb-01], every: 3s, after: 3s, alerts: {{ webhook: {{ file: hook }}, email: {email} }} }}\n\
             firewall: {{ allow: [{{ on: [web-02], port: 9009, from: [{lb}] }}, {{ on: [web-02], port: 2525, from: [{lb}] }}] }}\n"
        );
    w.apply(&[]);
    w.is_converged();
}

/// All faults at once, each told and each mended.
pub fn what_breaks_is_told_and_what_is_mended_too(w: &mut World) {
    is_watched(w);
    w.on("web-02", RECEIVER);
    // A machine that is busy with other hosts takes its time to measure.
    is_proved(w);
    w.said.last().unwrap().says(&["every target is measured", "12 up", "the page of the stack shows"]);
    assert!(asked(w, "/consoles/stack.html").contains("takes writes"));

    // The host that watches reaches every exporter, and nobody else does; what it runs itself answers nobody from outside.
    for (host, port) in [("web-01", 9100), ("web-01", 9104), ("web-01", 9113), ("web-02", 9100), ("web-02", 9104)] {
        assert!(reaches(w, "lb-01", host, port), "{host}:{port}");
        let (other, to) = (if host == "web-01" { "web-02" } else { "web-01" }, w.lab.address(host).unwrap());
        assert!(!reaches(w, other, host, port), "{host}:{port} from {other}");
        let visitor = w.client(&["curl", "-sS", "--max-time", "2", &format!("http://{to}:{port}/metrics")]);
        assert_eq!(visitor.code, 28, "{host}:{port}: {}{}", visitor.stdout, visitor.stderr);
    }
    for port in [8406, 9090, 9093, 9100, 9115] {
        assert!(!reaches(w, "web-01", "lb-01", port), "lb-01:{port}");
    }
    let listening = w.on("lb-01", "ss -Hltn '( sport = 9090 or sport = 9093 or sport = 9115 )' | awk '{ print $4 }'");
    assert!(listening.lines().count() == 3 && listening.lines().all(|l| l.starts_with("127.0.0.1:")), "{listening}");

    let client = w.engine().to_owned();
    w.on("web-01", "systemctl stop nginx; mkdir -p /srv/e2e-full; mount -t tmpfs -o size=4m tmpfs /srv/e2e-full");
    w.on("web-01", "dd if=/dev/zero of=/srv/e2e-full/all bs=1M 2>/dev/null || :");
    w.on("web-02", &format!("{client} -e 'STOP REPLICA'"));
    w.on("lb-01", EXPIRING);
    spoil(w, "web-02", true);
    is_told(w, "firing");
    let mail = || w.on("web-02", "cat /run/e2e-mail");
    for line in ["known To: ops@foobar.com, night@foobar.com", "known Subject: [FIRING:1] BackendDown (web-01"] {
        let is_there = || mail().lines().any(|l| l.starts_with(line));
        assert!(until(Duration::from_secs(60), is_there), "{line}: {}", mail());
    }
    let page = asked(w, "/consoles/stack.html");
    assert!(page.contains("BackendDown") && page.contains("web-01 DOWN") && page.contains("1 broken"), "{page}");
    w.foobar(&["verify", "--only", "host", "-l", "web-02"]).ends(3).says(&["not whole: "]);
    // What follows from a greater fault is not told beside it.
    for less in ["DiskNearlyFull", "CertificateExpires "] {
        assert!(!told(w).contains(less), "{}", told(w));
    }

    w.on("web-01", "umount /srv/e2e-full && rmdir /srv/e2e-full");
    w.apply(&[]);
    spoil(w, "web-02", false);
    is_told(w, "resolved");
    is_proved(w);
    // Where alerts go is a secret, and nobody was told but who sends them.
    for secret in [TOKEN, MAIL_PASSWORD] {
        assert!(w.said.iter().all(|run| !format!("{}{}", run.stdout, run.stderr).contains(secret)));
    }
    assert_eq!(w.on("lb-01", "stat -c '%U %a' /etc/prometheus/alertmanager.yml").trim(), "prometheus 600");
    for host in HOSTS {
        let seen =
            w.on(host, "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' ' | grep -cE '[p]lanted-(7d1c|93be)' || :");
        assert_eq!(seen.trim(), "0", "{host}");
    }
    w.on("web-02", NOBODY_LISTENS);
}

/// A rule that cannot be read never lands, and the former ones stay; what leaves the topology leaves the hosts.
pub fn a_broken_rule_is_refused_and_all_of_it_goes_again(w: &mut World) {
    is_watched(w);
    let before = asked(w, "/api/v1/rules?type=record");
    assert!(before.contains("foobar:generation"), "{before}");
    let templates = w.dir.join("templates");
    fs::create_dir_all(templates.join("monitoring")).unwrap();
    let own = include_str!("../../templates/monitoring/rules.yml.tera");
    let broken = own.replace("expr: mysql_up == 0", "expr: mysql_up === 0");
    fs::write(templates.join("monitoring/rules.yml.tera"), broken).unwrap();
    let run = w.foobar(&["apply", "--yes", "--templates", templates.to_str().unwrap()]);
    fs::remove_dir_all(&templates).unwrap();
    assert!([1, 4].contains(&run.code), "{run}");
    run.says(&["the new configuration was refused, and nothing was changed", "foobar.rules.yml"]);
    let record = |text: &str| text.split("\"generation\":\"").nth(1).map(|t| t[..32].to_owned());
    assert_eq!(record(&asked(w, "/api/v1/rules?type=record")), record(&before));
    w.is_converged();

    // Nobody is there to take what is told: the next look at the site says so.
    w.on("web-02", NOBODY_LISTENS);
    w.on("web-02", "systemctl stop nginx");
    let is_lost = || w.foobar(&["verify", "--only", "monitoring"]).stdout.contains("messages did not: journalctl");
    assert!(until(Duration::from_secs(120), is_lost), "{}", w.said.last().unwrap());
    w.on("web-02", "systemctl start nginx");

    w.on("lb-01", "systemctl stop prometheus");
    w.foobar(&["verify"]).ends(3).says(&["prometheus does not answer", "prometheus.service is active and enabled"]);

    w.topology = w.original();
    w.apply(&[]).says(&["prometheus", "foobar_exporter"]);
    w.is_converged();
    for host in HOSTS {
        let left = "ls /etc/foobar/mysqld-exporter.cnf /etc/prometheus/foobar.rules.yml /etc/prometheus/consoles/stack.html \
                    /etc/prometheus/foobar-mail-password /var/lib/prometheus/node-exporter/foobar.prom /etc/foobar/measures.sh 2>/dev/null; ls /var/lib/foobar/secrets | grep -E 'monitoring|exporter'; \
                    systemctl list-units --plain --no-legend --state=active 'prometheus*' 'foobar-measures*'; ss -Hltn '( sport = 8406 )'; :";
        assert_eq!(w.on(host, left), "", "{host}");
    }
    assert!(!w.on("lb-01", "cat /etc/prometheus/prometheus.yml").contains("foobar"));
    let client = w.engine().to_owned();
    let accounts = w.on("web-02", &format!("{client} -N -e \"SELECT user FROM mysql.user\""));
    assert!(accounts.contains("app_rw") && !accounts.contains("foobar_exporter"), "{accounts}");
    w.foobar(&["verify"]).ends(0);
}
