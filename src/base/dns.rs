//! DNS messages (RFC 1035) as far as a check needs them: a question in the bytes that a shell's `printf` sends, and what an
//! answer says. Nothing is sent here, and nothing is known of zones.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What is asked for, by its number (RFC 1035 3.2.2, 3596, 8659).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// An IPv4 address.
    A = 1,
    /// A name server.
    Ns = 2,
    /// The start of a zone.
    Soa = 6,
    /// Text.
    Txt = 16,
    /// An IPv6 address.
    Aaaa = 28,
    /// The whole zone.
    Axfr = 252,
    /// Who may issue certificates.
    Caa = 257,
}

/// A question.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The name, without its final dot.
    pub name: &'a str,
    /// What of it.
    pub kind: Kind,
    /// Whether the server shall ask others (what a resolver is for).
    pub recursion: bool,
}

impl<'a> Question<'a> {
    /// What a server knows by itself.
    pub fn of(name: &'a str, kind: Kind) -> Self {
        Self { name, kind, recursion: false }
    }

    /// With recursion wanted.
    pub fn recursive(self) -> Self {
        Self { recursion: true, ..self }
    }

    /// The message as UDP carries it. A name of `.bind` is of the class in which servers tell of themselves.
    fn bytes(self) -> Vec<u8> {
        let mut bytes = vec![0, 1, u8::from(self.recursion), 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in self.name.split('.') {
            bytes.push(u8::try_from(label.len()).unwrap_or(63));
            bytes.extend(label.bytes().take(63));
        }
        bytes.push(0);
        bytes.extend((self.kind as u16).to_be_bytes());
        bytes.extend([0, if self.name.ends_with(".bind") { 3 } else { 1 }]);
        bytes
    }

    /// The message as `printf` writes it, for UDP.
    pub fn udp(self) -> String {
        octal(&self.bytes())
    }

    /// The same for TCP, its length in front.
    pub fn tcp(self) -> String {
        let bytes = self.bytes();
        let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
        octal(&length.to_be_bytes()) + &octal(&bytes)
    }
}

fn octal(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("\\{b:03o}")).collect()
}

/// What one record of an answer holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Data {
    /// `A` or `AAAA`.
    Address(IpAddr),
    /// `NS` or `CNAME`: a name, without its final dot, in lower case.
    Name(String),
    /// `SOA`: its serial.
    Serial(u32),
    /// `CAA`: tag and value.
    Authority(String, String),
    /// Anything else, by its number.
    Other(u16),
}

/// One record of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// Seconds that it may be kept.
    pub ttl: u32,
    /// What it holds.
    pub data: Data,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Whether the server has the zone itself.
    pub is_authoritative: bool,
    /// Whether it would ask others.
    pub offers_recursion: bool,
    /// 0: no error; 3: there is no such name; 5: refused.
    pub code: u8,
    /// The answers, without what else came with them.
    pub answers: Vec<Answered>,
}

impl Reply {
    /// The code in the words of RFC 1035 and 6895.
    pub fn word(&self) -> &'static str {
        match self.code {
            0 if self.answers.is_empty() => "no such record",
            0 => "an answer",
            1 => "FORMERR",
            2 => "SERVFAIL",
            3 => "NXDOMAIN",
            4 => "NOTIMP",
            5 => "REFUSED",
            9 => "NOTAUTH",
            _ => "an error",
        }
    }
}

/// Reads an answer that was printed as hexadecimal digits; nothing where it is no answer.
pub fn reply(hex: &str) -> Option<Reply> {
    let digits: Vec<u8> =
        hex.trim().chars().map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok())).collect::<Option<_>>()?;
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let bytes: Vec<u8> = digits.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect();
    let mut message = Message { bytes: &bytes, at: 0 };
    message.short()?;
    let flags = message.short()?;
    if flags & 0x8000 == 0 {
        return None;
    }
    let [questions, answers] = [message.short()?, message.short()?];
    message.skip(4)?;
    for _ in 0..questions {
        message.name()?;
        message.skip(4)?;
    }
    let answers = (0..answers).map(|_| message.record()).collect::<Option<_>>()?;
    Some(Reply {
        is_authoritative: flags & 0x0400 != 0,
        offers_recursion: flags & 0x0080 != 0,
        code: u8::try_from(flags & 15).unwrap_or_default(),
        answers,
    })
}

struct Message<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Message<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(length)?)?;
        self.at += length;
        Some(taken)
    }

    fn skip(&mut self, length: usize) -> Option<()> {
        self.take(length).map(drop)
    }

    fn short(&mut self) -> Option<u16> {
        self.take(2).map(|b| u16::from_be_bytes([b[0], b[1]]))
    }

    fn long(&mut self) -> Option<u32> {
        self.take(4).map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]))
    }

    /// A name, whose end may stand elsewhere in the message. Each jump leads backward, so that there is an end.
    fn name(&mut self) -> Option<String> {
        let (mut labels, mut at, mut end) = (Vec::new(), self.at, None);
        loop {
            let length = usize::from(*self.bytes.get(at)?);
            match length {
                0 => break,
                1..=63 => {
                    let label = self.bytes.get(at + 1..at + 1 + length)?;
                    labels.push(String::from_utf8_lossy(label).to_lowercase());
                    at += 1 + length;
                }
                192.. => {
                    end = end.or(Some(at + 2));
                    let target = (length & 63) << 8 | usize::from(*self.bytes.get(at + 1)?);
                    if target >= at {
                        return None;
                    }
                    at = target;
                }
                _ => return None,
            }
            if labels.len() > 127 {
                return None;
            }
        }
        self.at = end.unwrap_or(at + 1);
        Some(labels.join("."))
    }

    fn record(&mut self) -> Option<Answered> {
        self.name()?;
        let kind = self.short()?;
        self.skip(2)?;
        let ttl = self.long()?;
        let length = usize::from(self.short()?);
        let end = self.at.checked_add(length).filter(|end| *end <= self.bytes.len())?;
        let data = match kind {
            1 => Data::Address(Ipv4Addr::from(<[u8; 4]>::try_from(self.take(length)?).ok()?).into()),
            28 => Data::Address(Ipv6Addr::from(<[u8; 16]>::try_from(self.take(length)?).ok()?).into()),
            2 | 5 => Data::Name(self.name()?),
            6 => {
                self.name()?;
                self.name()?;
                Data::Serial(self.long()?)
            }
            257 => {
                let head = self.take(2)?;
                let tag = String::from_utf8_lossy(self.take(usize::from(head[1]))?).into_owned();
                let value = self.take(end.checked_sub(self.at)?)?;
                Data::Authority(tag, String::from_utf8_lossy(value).into_owned())
            }
            other => Data::Other(other),
        };
        self.at = end;
        Some(Answered { ttl, data })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What NSD 4.12 answered.
    const WWW: &str =
        "0001840000010001000000000377777706666f6f62617203636f6d0000010001c00c000100010000003c00040a4d790b";

    #[test]
    fn a_question_is_what_printf_writes() {
        let question = Question::of("www.foobar.com", Kind::A);
        assert_eq!(
            question.udp(),
            "\\000\\001\\000\\000\\000\\001\\000\\000\\000\\000\\000\\000\\003\\167\\167\\167\\006\\146\\157\\157\\142\\141\\162\\003\\143\\157\\155\\000\\000\\001\\000\\001"
        );
        assert_eq!(question.tcp(), format!("\\000\\040{}", question.udp()));
        assert!(question.recursive().udp().starts_with("\\000\\001\\001\\000"));
        assert!(Question::of("version.bind", Kind::Txt).udp().ends_with("\\000\\020\\000\\003"));
        assert!(Question::of("a.b", Kind::Caa).udp().ends_with("\\001\\001\\000\\001"));
    }

    #[test]
    fn an_answer_is_read() {
        let read = reply(WWW).unwrap();
        assert!(read.is_authoritative && !read.offers_recursion);
        assert_eq!((read.code, read.word()), (0, "an answer"));
        assert_eq!(read.answers, [Answered { ttl: 60, data: Data::Address("10.77.121.11".parse().unwrap()) }]);
        // REFUSED, with recursion wanted and not offered.
        let refused = reply("000181050001000000000000076578616d706c65036f72670000010001").unwrap();
        assert_eq!((refused.word(), refused.offers_recursion, refused.answers.len()), ("REFUSED", false, 0));
    }

    #[test]
    fn names_are_followed_and_lead_somewhere() {
        // The question's name, then an NS whose name ends in it.
        let head = "000184000001000100000000";
        let ns = format!("{head}06666f6f62617203636f6d0000020001c00c0002000100000e100008056c622d3031c00c");
        let read = reply(&ns).unwrap();
        assert_eq!(read.answers, [Answered { ttl: 3600, data: Data::Name("lb-01.foobar.com".into()) }]);
        // A name that leads to itself.
        assert_eq!(reply("000184000001000000000000c00c00010001"), None);
    }

    #[test]
    fn what_is_cut_off_or_no_answer_is_none() {
        for end in 0..WWW.len() {
            assert_eq!(reply(&WWW[..end]).filter(|r| !r.answers.is_empty()), None, "{end}");
        }
        // A question is no answer.
        assert_eq!(reply("0001000000010000000000000377777706666f6f62617203636f6d0000010001"), None);
        assert_eq!(reply("zz"), None);
        assert_eq!(reply("é"), None);
    }
}
