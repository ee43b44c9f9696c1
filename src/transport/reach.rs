//! Connections from this machine that are opened to see whether they can be, and closed without a word. What they are about
//! is nobody's business here.

use crate::base::reach::{Reach, Reached, Try};
use futures_util::{StreamExt as _, stream};
use std::{io, net::SocketAddr};
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
}
