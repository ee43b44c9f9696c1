//! Connections from this machine that are opened to see whether they can be, and closed without a word. What they are about
//! is nobody's business here.

use crate::base::reach::{Reach, Reached, Try};
use futures_util::{StreamExt as _, stream};
use std::{
    io,
    net::{IpAddr, SocketAddr},
};
use tokio::{net::TcpStream, time::timeout};

/// Connections that are open at once: each holds a descriptor for as long as a dropped packet is waited for.
const AT_ONCE: usize = 128;

/// Tries all of them side by side.
pub async fn reach(all: &[Try]) -> Reached {
    let one = |one: Try| async move { (one.to, met(one).await) };
    stream::iter(all.iter().copied())
        .map(one)
        .buffer_unordered(AT_ONCE)
        .collect::<Vec<(SocketAddr, Reach)>>()
        .await
        .into_iter()
        .collect()
}

async fn met(one: Try) -> Reach {
    match timeout(one.within, TcpStream::connect(one.to)).await {
        Ok(Ok(_)) => Reach::Open,
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => Reach::Refused,
        Ok(Err(error)) if error.kind() == io::ErrorKind::TimedOut => Reach::Silent,
        Ok(Err(_)) => Reach::Unreachable,
        Err(_) => Reach::Silent,
    }
}

/// Whether what `ssh -G` says leads to that address, over no other host and no command (ssh_config(5)).
pub fn is_straight(said: &str, address: &str) -> bool {
    let value = |key: &str| said.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')).map(str::trim);
    let ip = |text: &str| text.parse::<IpAddr>().ok();
    let is_there = value("hostname").and_then(ip).is_some_and(|there| Some(there) == ip(address));
    let over = ["proxyjump", "proxycommand"].iter().filter_map(|key| value(key));
    is_there && over.into_iter().all(|way| way == "none")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{net::TcpListener, time::Duration};

    #[tokio::test]
    async fn what_listens_is_open_and_what_does_not_refuses() {
        let listens = TcpListener::bind("127.0.0.1:0").unwrap();
        // Bound and not listening: nobody else takes the port meanwhile.
        let closed = tokio::net::TcpSocket::new_v4().unwrap();
        closed.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let [open, refused] = [listens.local_addr().unwrap(), closed.local_addr().unwrap()];
        let tries = [open, refused].map(|to| Try { to, within: Duration::from_secs(10) });
        let want = Reached::from([(open, Reach::Open), (refused, Reach::Refused)]);
        assert_eq!(reach(&tries).await, want);
        assert!(reach(&[]).await.is_empty());
    }

    #[test]
    fn another_way_than_straight_at_the_address_is_told_from_what_ssh_says() {
        let of = |more: &str| format!("user root\nhostname 10.77.0.11\nport 22\n{more}");
        assert!(is_straight(&of(""), "10.77.0.11") && is_straight(&of("proxyjump none\n"), "10.77.0.11"));
        assert!(is_straight("hostname fd00::1\n", "fd00:0::1"));
        for (said, address) in [
            (of(""), "10.77.0.12"),
            (of("proxyjump bastion\n"), "10.77.0.11"),
            (of("proxycommand nc -x proxy %h %p\n"), "10.77.0.11"),
            ("hostname lb.example.com\n".into(), "10.77.0.11"),
            (String::new(), "10.77.0.11"),
        ] {
            assert!(!is_straight(&said, address), "{said}");
        }
    }
}
