//! Name servers of the stack's own: what real clients are answered and what they are refused, a change under queries of
//! which none is lost, a zone that its checker refuses, and what the world's resolvers are held against.

use super::world::{World, strict_schema, until};
use foobar::base::dns::{Data, Kind, Question, Reply, reply};
use std::{
    fs,
    io::{Read as _, Write as _},
    net::{TcpStream, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

const OWN: &str = "dns: { on: [lb-01], zone: foobar.com }\n";

/// The bytes behind what `printf` would write.
fn bytes(octal: &str) -> Vec<u8> {
    octal.split('\\').skip(1).map(|o| u8::from_str_radix(o, 8).unwrap()).collect()
}

fn read(bytes: &[u8]) -> Option<Reply> {
    reply(&bytes.iter().map(|b| format!("{b:02x}")).collect::<String>())
}

/// What a name server answers over UDP within a second.
fn udp(address: &str, question: Question<'_>) -> Option<Reply> {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    socket.send_to(&bytes(&question.udp()), (address, 53)).ok()?;
    let mut buffer = [0; 4096];
    let (length, _) = socket.recv_from(&mut buffer).ok()?;
    read(&buffer[..length])
}

/// The same over TCP.
fn tcp(address: &str, question: Question<'_>) -> Option<Reply> {
    let mut stream = TcpStream::connect((address, 53)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    stream.write_all(&bytes(&question.tcp())).ok()?;
    let mut length = [0; 2];
    stream.read_exact(&mut length).ok()?;
    let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut answer).ok()?;
    read(&answer)
}

fn serial(address: &str) -> u32 {
    let reply = udp(address, Question::of("foobar.com", Kind::Soa)).expect("an answer");
    let serial = reply.answers.iter().find_map(|a| if let Data::Serial(s) = a.data { Some(s) } else { None });
    serial.expect("an SOA")
}

/// What the C library's own resolver makes of a name, from the client, with this resolv.conf alone.
fn resolved(w: &World, name: &str, options: &str) -> String {
    let conf = w.dir.join("resolv.conf");
    fs::write(&conf, format!("nameserver {}\n{options}\n", address(w, "lb-01"))).unwrap();
    let script = format!(
        "mount --bind {} /etc/resolv.conf && getent -s dns ahostsv4 {name} | awk '{{ print $1 }}' | sort -u",
        conf.display()
    );
    w.client(&["unshare", "-m", "sh", "-c", &script]).stdout.trim().to_owned()
}

fn address(w: &World, host: &str) -> String {
    w.on(host, "hostname -I").split(' ').next().unwrap().trim().to_owned()
}

/// Asks all the time, and counts.
struct Asking {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<(u32, u32)>,
}

impl Asking {
    fn start(at: String) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let seen = stop.clone();
        let thread = std::thread::spawn(move || {
            let (mut asked, mut lost) = (0, 0);
            while !seen.load(Ordering::Relaxed) {
                asked += 1;
                let reply = udp(&at, Question::of("www.foobar.com", Kind::A));
                lost += u32::from(reply.is_none_or(|r| r.answers.is_empty()));
                // Far below the rate that the server limits.
                std::thread::sleep(Duration::from_millis(8));
            }
            (asked, lost)
        });
        Self { stop, thread }
    }

    fn stop(self) -> (u32, u32) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// Records over UDP and TCP to real clients; nothing else, to nobody; a change that loses no query.
pub fn names_are_answered_and_a_change_loses_no_query(w: &mut World) {
    w.topology = w.original() + OWN;
    w.apply(&[]);
    w.is_converged();
    let (lb, web) = (address(w, "lb-01"), address(w, "web-02"));
    for options in ["", "options use-vc"] {
        for name in ["www.foobar.com", "foobar.com"] {
            assert_eq!(resolved(w, name, options), lb, "{name} {options}");
        }
        assert_eq!(resolved(w, "nobody.foobar.com", options), "", "{options}");
    }
    let www = tcp(&lb, Question::of("www.foobar.com", Kind::A)).unwrap();
    assert!(www.is_authoritative && www.answers[0].ttl == 60, "{www:?}");
    assert_eq!(udp(&lb, Question::of("nobody.foobar.com", Kind::A)).unwrap().word(), "NXDOMAIN");
    let other = udp(&lb, Question::of("www.example.net", Kind::A).recursive()).unwrap();
    assert_eq!((other.word(), other.offers_recursion), ("REFUSED", false));
    assert_eq!(tcp(&lb, Question::of("foobar.com", Kind::Axfr)).unwrap().word(), "REFUSED");
    assert!(udp(&lb, Question::of("version.bind", Kind::Txt)).unwrap().answers.is_empty());
    w.foobar(&["verify"]).ends(0).says(&["lb-01 has the site's records, over UDP and TCP"]);

    // A second name server, and answers that are kept for a shorter time: the serial of the first one grows.
    let before = serial(&lb);
    let asking = Asking::start(lb.clone());
    w.topology = w.original() + "dns: { on: [lb-01, web-02], zone: foobar.com, ttl: 30s }\n";
    let run = w.apply(&[]);
    run.says(&["reload nsd", "start nsd"]);
    w.topology = w.topology.replace("ttl: 30s", "ttl: 45s");
    w.apply(&[]);
    let (asked, lost) = asking.stop();
    println!("    {asked} queries while the zone changed twice, {lost} lost");
    assert!(asked > 100 && lost == 0, "{lost} of {asked} queries were lost");
    assert_eq!((serial(&lb), serial(&web)), (before + 2, before + 2));
    assert_eq!(udp(&web, Question::of("www.foobar.com", Kind::A)).unwrap().answers[0].ttl, 45);
    w.is_converged();
    w.foobar(&["verify"]).ends(0).says(&["all name servers have the same zone"]);
}

/// A zone that its checker refuses never lands; one that was edited by hand is outgrown; a killed server comes back.
pub fn a_broken_zone_is_refused_and_the_live_one_stays(w: &mut World) {
    w.topology = w.original() + OWN;
    w.apply(&[]);
    let lb = address(w, "lb-01");
    let before = serial(&lb);
    let templates = w.dir.join("templates");
    fs::create_dir_all(templates.join("dns")).unwrap();
    let own = include_str!("../../templates/dns/zone.tera");
    fs::write(templates.join("dns/zone.tera"), format!("{own}\nwww 60 IN A 192.0.2.300\n")).unwrap();
    let run = w.foobar(&["apply", "--yes", "--templates", templates.to_str().unwrap()]);
    fs::remove_dir_all(&templates).unwrap();
    assert!([1, 4].contains(&run.code), "{run}");
    run.says(&["the new configuration was refused, and nothing was changed", "foobar.zone"]);
    assert_eq!(serial(&lb), before);
    w.is_converged();

    w.on("lb-01", "sed -i 's/^www.*/www.foobar.com. 60 IN A 192.0.2.99/' /etc/nsd/foobar.zone; systemctl reload nsd");
    let www = || udp(&lb, Question::of("www.foobar.com", Kind::A)).unwrap().answers[0].data.clone();
    let wrong = Data::Address("192.0.2.99".parse().unwrap());
    assert!(until(Duration::from_secs(5), || www() == wrong));
    w.foobar(&["verify"]).ends(3).says(&["192.0.2.99 is not the site's"]);
    w.foobar(&["plan"]).ends(0).says(&["edited by hand"]);
    w.apply(&[]);
    assert_eq!((www(), serial(&lb)), (Data::Address(lb.parse().unwrap()), before + 1));
    w.is_converged();

    w.on("lb-01", "systemctl kill -s KILL nsd");
    assert!(until(Duration::from_secs(10), || udp(&lb, Question::of("www.foobar.com", Kind::A)).is_some()));
}

/// What resolvers answer is compared, for servers of its own and for somebody else's; and all of it goes again.
pub fn the_world_is_asked_and_servers_go_again(w: &mut World) {
    w.topology = w.original() + OWN;
    w.apply(&[]);
    let lb = address(w, "lb-01");
    let schema = strict_schema();
    let listed = w.foobar(&["dns", "--json"]).json();
    assert!(schema.is_valid(&listed), "{listed:#}");
    assert!(listed["records"].as_array().unwrap().iter().any(|r| r["set_at"] == "parent" && r["value"] == lb.as_str()));
    // Nobody above leads to the lab's zone.
    let resolvers = w.on("web-01", "cat /etc/resolv.conf");
    w.on("web-01", &format!("echo nameserver {lb} >/etc/resolv.conf"));
    w.foobar(&["dns", "--check"]).ends(0).says(&["as declared"]);
    // Somebody else's server, which is this very one for the time being.
    w.topology = w.original() + "dns: { external: true }\n";
    // That they still run here is another thing.
    let words = ["verify", "--skip", "plan,firewall/nothing-listens*"];
    w.foobar(&words).ends(0).says(&["resolvers answer for foobar.com, www.foobar.com"]);
    w.topology = w.topology.replace("aliases: [foobar.com]", "aliases: [foobar.com, shop.foobar.com]");
    w.foobar(&["dns"]).ends(0).says(&["to be set where these names are answered for"]);
    let run = w.foobar(&["dns", "--check"]);
    run.ends(3).says(&["shop.foobar.com A: NXDOMAIN", &format!("set `shop.foobar.com. 60 IN A {lb}`")]);
    w.on("web-01", &format!("printf '%s' '{}' >/etc/resolv.conf", resolvers.trim_end()));

    w.topology = w.original();
    w.apply(&[]).says(&["nsd"]);
    w.is_converged();
    assert_eq!(w.on("lb-01", "ls /etc/nsd/foobar.zone /etc/nsd/nsd.conf.d/foobar.conf 2>/dev/null || :"), "");
    assert!(udp(&lb, Question::of("www.foobar.com", Kind::A)).is_none());
    assert_eq!(w.on("lb-01", "systemctl is-active nsd || :").trim(), "inactive");
    w.foobar(&["verify"]).ends(0);
}
