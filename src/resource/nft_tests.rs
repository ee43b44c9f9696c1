//! Tables over rules: what becomes of a new connection.

use super::*;

fn of(rules: &str, source: &str, port: u16) -> Fate {
    let text = format!(
        "#!/usr/sbin/nft -f\ntable inet foobar\ndelete table inet foobar\ntable inet foobar {{\n\tset admins {{\n\t\ttype ipv4_addr\n\t\t\
         flags interval\n\t\telements = {{ 192.0.2.7, 203.0.113.0/24,\n\t\t\t198.51.100.1-198.51.100.9 }}\n\t}}\n\tset later {{ type ipv4_addr; flags \
         dynamic,timeout; }}\n\tchain own {{ {} }}\n\tchain input {{\ntype filter hook input priority filter; policy drop;\n{rules}\n\t}}\n}}\n",
        "ip saddr 203.0.113.66 drop; tcp dport 2022 accept"
    );
    fate(&text, Syn { source: source.parse().unwrap(), port })
}

fn dropped(fate: Fate) -> String {
    match fate {
        Fate::Dropped(_, rule) => rule,
        other => format!("{other:?}"),
    }
}

#[test]
fn a_rule_that_lets_it_in_is_found_behind_those_that_do_not_match() {
    let ways = "ct state established,related accept\nct state invalid drop\niifname \"lo\" accept\nicmp type { echo-request } accept\n\
                ip6 saddr fe80::/10 udp dport 546 accept comment \"x\"\n";
    for (rule, source, port, want) in [
        ("tcp dport 22 accept comment \"ssh\"", "192.0.2.1", 22, Fate::Accepted),
        ("tcp dport 22 accept", "2001:db8::1", 22, Fate::Accepted),
        ("tcp dport 22 accept", "192.0.2.1", 2222, Fate::NotAccepted),
        ("tcp dport ssh counter packets 0 bytes 0 accept", "192.0.2.1", 22, Fate::Accepted),
        ("tcp dport { 80, 22 } log prefix \"in \" accept", "192.0.2.1", 22, Fate::Accepted),
        ("tcp dport 20-25 accept", "192.0.2.1", 22, Fate::Accepted),
        ("tcp dport != 22 accept", "192.0.2.1", 22, Fate::NotAccepted),
        ("udp dport 22 accept", "192.0.2.1", 22, Fate::NotAccepted),
        ("meta l4proto { tcp, udp } th dport 22 accept", "192.0.2.1", 22, Fate::Accepted),
        ("meta nfproto ipv6 accept", "192.0.2.1", 22, Fate::NotAccepted),
        ("ip saddr @admins tcp dport 22 accept", "203.0.113.9", 22, Fate::Accepted),
        ("ip saddr @admins tcp dport 22 accept", "198.51.100.9", 22, Fate::Accepted),
        ("ip saddr @admins tcp dport 22 accept", "198.51.100.10", 22, Fate::NotAccepted),
        ("ip saddr != @admins tcp dport 22 accept", "198.51.100.10", 22, Fate::Accepted),
        ("ip saddr @admins tcp dport 22 accept", "2001:db8::1", 22, Fate::NotAccepted),
        ("ip saddr @later tcp dport 22 accept", "203.0.113.9", 22, Fate::Unknown),
        ("ip saddr @nowhere tcp dport 22 accept", "203.0.113.9", 22, Fate::Unknown),
        ("ip saddr $admins tcp dport 22 accept", "203.0.113.9", 22, Fate::Unknown),
        ("ct state new tcp dport 22 accept", "192.0.2.1", 22, Fate::Accepted),
        ("iifname \"eth0\" tcp dport 22 accept", "192.0.2.1", 22, Fate::Unknown),
        ("iifname != \"lo\" tcp dport 22 accept", "192.0.2.1", 22, Fate::Accepted),
        ("tcp dport 22 limit rate 5/minute accept", "192.0.2.1", 22, Fate::Unknown),
        ("tcp dport vmap { 22 : accept, 80 : drop }", "192.0.2.1", 22, Fate::Unknown),
        ("jump own", "192.0.2.1", 2022, Fate::Accepted),
        ("jump own\naccept", "192.0.2.1", 22, Fate::Accepted),
        ("goto own\naccept", "192.0.2.1", 22, Fate::NotAccepted),
        ("return\naccept", "192.0.2.1", 22, Fate::NotAccepted),
        ("meta mark 7 return\naccept", "192.0.2.1", 22, Fate::Unknown),
        ("jump elsewhere\naccept", "192.0.2.1", 22, Fate::Unknown),
        ("", "192.0.2.1", 22, Fate::NotAccepted),
    ] {
        assert_eq!(of(&format!("{ways}{rule}"), source, port), want, "{rule} for {source}:{port}");
    }
}

#[test]
fn a_rule_that_drops_it_before_is_named_with_its_line() {
    let accept = "\ntcp dport 22 accept";
    for (rule, want) in [
        ("tcp dport 22 drop", "tcp dport 22 drop"),
        ("tcp dport { 22, 80 } reject with tcp reset", "tcp dport { 22, 80 } reject with tcp reset"),
        ("ip saddr 192.0.2.0/24 drop # by hand", "ip saddr 192.0.2.0/24 drop"),
        ("ct state new drop", "ct state new drop"),
        ("ip saddr 203.0.113.0/24 drop", "Accepted"),
        ("ct state invalid drop", "Accepted"),
        ("tcp flags & (fin|syn) == (fin|syn) drop", "Unknown"),
        ("meta mark 0x1 drop", "Unknown"),
        ("iifname \"eth0\" drop", "Unknown"),
        ("tcp dport 22 counter comment \"drop\"", "Accepted"),
    ] {
        assert_eq!(dropped(of(&format!("{rule}{accept}"), "192.0.2.1", 22)), want, "{rule}");
    }
    assert_eq!(dropped(of("jump own\naccept", "203.0.113.66", 2022)), "ip saddr 203.0.113.66 drop");
    let text = "table ip x {\n chain input {\n  type filter hook input priority 0\n  tcp dport 22 \\\n   drop\n }\n}\n";
    let syn = |source: &str| Syn { source: source.parse().unwrap(), port: 22 };
    assert_eq!(fate(text, syn("192.0.2.1")), Fate::Dropped(4, "tcp dport 22 drop".into()));
    assert_eq!(fate(text, syn("2001:db8::1")), Fate::Accepted);
}

#[test]
fn what_is_beside_the_tables_and_what_is_no_filter_of_input() {
    let syn = Syn { source: "192.0.2.1".parse().unwrap(), port: 22 };
    let table = |kind: &str| format!("table inet x {{ chain c {{ type {kind} priority 0; policy drop; }} }}\n");
    assert_eq!(fate(&table("filter hook input"), syn), Fate::NotAccepted);
    assert_eq!(fate(&table("filter hook prerouting"), syn), Fate::NotAccepted);
    assert_eq!(fate(&table("filter hook forward"), syn), Fate::Accepted);
    assert_eq!(fate("", syn), Fate::Accepted);
    for beside in ["include \"/etc/more.nft\"", "add rule inet x c tcp dport 22 accept", "flush ruleset"] {
        assert_eq!(fate(&format!("{}{beside}\n", table("filter hook input")), syn), Fate::Unknown, "{beside}");
    }
    let defined = format!("define way = {{ 22 }}\n{}", table("filter hook input"));
    assert_eq!(fate(&defined, syn), Fate::NotAccepted);
    // No text makes it go on for ever or fall over.
    for text in [
        "{",
        "}",
        "table",
        "table inet x {",
        "table inet x { chain c {",
        "}}}}",
        "\"",
        "table inet x { chain c { jump c",
        "\\",
    ] {
        let _ = fate(text, syn);
    }
    let looped = "table inet x { chain c { type filter hook input priority 0; jump c } }";
    assert_eq!(fate(looped, syn), Fate::Unknown);
}
