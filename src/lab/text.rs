//! The files that a lab writes: for ssh, for foobar's inventory, and inside its hosts. Pure text.

use std::{fmt::Write, net::Ipv4Addr, path::Path};

use super::spec::{GATEWAY, address};

/// A host's name and address.
pub type Named<'a> = (&'a str, Ipv4Addr);

/// The ssh_config that reaches each host by its name.
pub fn ssh_config(hosts: &[Named<'_>], dir: &Path) -> String {
    let mut text = String::from("# Written by `foobar lab`: the hosts of this lab, by name.\n");
    for (name, address) in hosts {
        let _ = write!(text, "Host {name}\n  HostName {address}\n");
    }
    let (key, known) = (dir.join("key"), dir.join("known_hosts"));
    let _ = write!(
        text,
        "Host *\n  User root\n  IdentityFile {}\n  IdentitiesOnly yes\n  UserKnownHostsFile {}\n  \
         GlobalKnownHostsFile /dev/null\n  StrictHostKeyChecking yes\n",
        key.display(),
        known.display()
    );
    text
}

/// One line of known_hosts, from the text of the host's own public key file.
pub fn known_host((name, address): Named<'_>, public_key: &str) -> String {
    let key: Vec<_> = public_key.split_ascii_whitespace().take(2).collect();
    format!("{name},{address} {}\n", key.join(" "))
}

/// The inventory that names the lab's hosts to foobar.
pub fn inventory(hosts: &[Named<'_>], ssh_config: &Path) -> String {
    let mut text = String::from("# Written by `foobar lab`: where the hosts of this lab are.\nhosts:\n");
    for (name, address) in hosts {
        let _ = writeln!(text, "  {name}: {{ address: {address} }}");
    }
    let _ = writeln!(text, "ssh: {{ config: {} }}", ssh_config.display());
    text
}

/// A hosts file: this machine, then everybody given.
pub fn hosts_file<'a>(entries: impl IntoIterator<Item = (&'a str, Ipv4Addr)>) -> String {
    let mut text = String::from("127.0.0.1 localhost\n::1 localhost\n");
    for (name, address) in entries {
        let _ = writeln!(text, "{address} {name}");
    }
    text
}

/// What systemd-networkd inside is told of the host's one interface.
pub fn network(octet: u8, own: Ipv4Addr) -> String {
    let gateway = address(octet, GATEWAY);
    // Duplicate detection on the link-local address alone would hold up the boot for more than a second.
    format!(
        "[Match]\nName=host0\n\n[Network]\nAddress={own}/24\nGateway={gateway}\nIPv6AcceptRA=no\n\
         IPv6DuplicateAddressDetection=0\n"
    )
}

/// A resolv.conf that works inside: servers on the outer machine's own loopback can't be reached from there.
pub fn resolv_conf(outer: &str) -> String {
    let reachable = |line: &&str| {
        let mut words = line.split_ascii_whitespace();
        match (words.next(), words.next()) {
            (Some("nameserver"), Some(server)) => !server.starts_with("127.") && server != "::1",
            (Some("search" | "options"), Some(_)) => true,
            _ => false,
        }
    };
    outer.lines().filter(reachable).map(|l| format!("{l}\n")).collect()
}

/// The nft table that lets the hosts out under this machine's address, replaced whole.
pub fn masquerade(table: &str, subnet: &str) -> String {
    format!(
        "table ip {table}\ndelete table ip {table}\ntable ip {table} {{\n  chain out {{\n    \
         type nat hook postrouting priority 100;\n    ip saddr {subnet} ip daddr != {subnet} masquerade\n  }}\n}}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTS: [Named<'static>; 2] =
        [("lb-01", Ipv4Addr::new(10, 77, 0, 11)), ("web-01", Ipv4Addr::new(10, 77, 0, 21))];

    #[test]
    fn ssh_config_checks_host_keys_and_names_each_host() {
        let text = ssh_config(&HOSTS, Path::new("/x/labs/demo"));
        assert!(text.contains("Host lb-01\n  HostName 10.77.0.11\nHost web-01\n  HostName 10.77.0.21\n"));
        for line in ["User root", "IdentityFile /x/labs/demo/key", "UserKnownHostsFile /x/labs/demo/known_hosts"] {
            assert!(text.contains(&format!("  {line}\n")), "{line}");
        }
        assert!(text.contains("StrictHostKeyChecking yes"));
    }

    #[test]
    fn the_inventory_has_the_shape_that_foobar_reads() {
        let text = inventory(&HOSTS, Path::new("/x/ssh_config"));
        let yaml: serde_yaml::Value = serde_yaml::from_str(&text).unwrap();
        assert_eq!(yaml["hosts"]["web-01"]["address"], "10.77.0.21");
        assert_eq!(yaml["ssh"]["config"], "/x/ssh_config");
    }

    #[test]
    fn a_known_host_has_both_names_and_no_comment() {
        let line = known_host(HOSTS[0], "ssh-ed25519 AAAA root@build\n");
        assert_eq!(line, "lb-01,10.77.0.11 ssh-ed25519 AAAA\n");
    }

    #[test]
    fn name_servers_on_loopback_are_left_out() {
        let outer = "# stub\nnameserver 127.0.0.53\nnameserver 10.0.0.2\nsearch example.test\noptions edns0\n";
        assert_eq!(resolv_conf(outer), "nameserver 10.0.0.2\nsearch example.test\noptions edns0\n");
        assert_eq!(resolv_conf("nameserver ::1\n"), "");
    }

    #[test]
    fn the_network_file_and_the_hosts_file_carry_the_addresses() {
        let text = network(3, Ipv4Addr::new(10, 77, 3, 11));
        assert!(text.contains("Address=10.77.3.11/24\nGateway=10.77.3.1\n"));
        assert!(hosts_file(HOSTS).ends_with("10.77.0.11 lb-01\n10.77.0.21 web-01\n"));
    }

    #[test]
    fn the_table_is_replaced_in_one_transaction() {
        let text = masquerade("foobar_lab_demo", "10.77.0.0/24");
        assert!(text.starts_with("table ip foobar_lab_demo\ndelete table ip foobar_lab_demo\n"));
        assert!(text.contains("ip saddr 10.77.0.0/24 ip daddr != 10.77.0.0/24 masquerade"));
    }
}
