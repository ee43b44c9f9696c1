//! POSIX shell text, the only thing that ever reaches a host, and the quoting that keeps values from becoming code.
//! No script is run here.

use base64::Engine as _;
use std::fmt;

/// A shell function `clock` that prints the milliseconds since the host was booted, to a hundredth of a second. Deadlines go
/// by it: the time of day can jump while somebody waits (an hour back, when a wrong clock is set right), and this cannot.
/// It starts no process of another program, as `date` would.
pub const CLOCK: &str = r#"clock() { read -r up _ </proc/uptime; echo "${up%.*}${up#*.}0"; }"#;

/// A piece of POSIX sh. It may carry secrets (they travel on stdin), so its `Debug` shows its size alone.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Script(String);

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Script({} bytes)", self.0.len())
    }
}

impl Script {
    /// An empty script.
    pub fn new() -> Self {
        Self::default()
    }

    /// A script of this very text; whoever calls it has quoted every value with [`quote`].
    pub fn raw(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Adds a line as it stands; values in it must have gone through [`quote`].
    pub fn line(mut self, text: impl AsRef<str>) -> Self {
        self.0.push_str(text.as_ref());
        self.0.push('\n');
        self
    }

    /// Adds one command of literal words, each quoted.
    pub fn command<W: AsRef<str>>(self, words: impl IntoIterator<Item = W>) -> Self {
        let line: Vec<String> = words.into_iter().map(|w| quote(w.as_ref())).collect();
        self.line(line.join(" "))
    }

    /// Adds another script behind this one.
    pub fn then(mut self, other: &Script) -> Self {
        self.0.push_str(&other.0);
        if !other.0.is_empty() && !other.0.ends_with('\n') {
            self.0.push('\n');
        }
        self
    }

    /// Adds a pipeline that writes `bytes` to the standard input of `consumer` (already quoted), whatever they hold:
    /// base64 in a here-document, so that nothing in them can end it.
    pub fn feed(self, bytes: impl AsRef<[u8]>, consumer: &str) -> Self {
        let encoded = base64::engine::general_purpose::STANDARD.encode(bytes.as_ref());
        let mut text = format!("base64 -d <<'END-OF-PAYLOAD' | {consumer}\n");
        for chunk in encoded.as_bytes().chunks(4096) {
            text.push_str(std::str::from_utf8(chunk).unwrap_or_default());
            text.push('\n');
        }
        self.line(text + "END-OF-PAYLOAD")
    }

    /// The text, for the transport that sends it and for tests.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Whether there is nothing to run.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// `word` as one POSIX shell word, whatever it holds: between single quotes, unless it is plainly harmless.
pub fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@,+=".contains(c);
    if !word.is_empty() && !word.starts_with('=') && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_quoted_word_is_one_word_whatever_it_holds() {
        for word in ["", "plain", "it's", "$(id)", "`id`", "a;b", "a\nb", "\\", "\"", "${x}", "*", "~", "!", "#", "=x"]
        {
            let out = Command::new("sh").arg("-c").arg(format!("printf %s {}", quote(word))).output().unwrap();
            assert_eq!(String::from_utf8(out.stdout).unwrap(), word);
        }
    }

    #[test]
    fn a_payload_arrives_byte_for_byte() {
        let bytes: Vec<u8> = (0..=255u8).cycle().take(10_000).collect();
        let script = Script::new().feed(&bytes, "cat");
        let out = Command::new("sh").arg("-c").arg(script.text()).output().unwrap();
        assert_eq!(out.stdout, bytes);
    }

    #[test]
    fn a_deadline_is_not_moved_by_the_time_of_day() {
        // A `date` that says something else each time is not asked.
        let script = format!(
            "date() {{ exit 9; }}\n{CLOCK}\nbegun=$(clock); sleep 0.1; echo \"$begun $(clock)\"; cat /proc/uptime"
        );
        let out = Command::new("sh").args(["-eu", "-c", &script]).output().unwrap();
        let text = String::from_utf8(out.stdout).unwrap();
        let all: Vec<f64> = text.split_whitespace().map(|n| n.parse().unwrap()).collect();
        let [begun, after, uptime, _] = all[..] else { panic!("{text}") };
        assert!(after - begun >= 90.0 && after / 1000.0 <= uptime, "{text}");
        assert!(uptime - after / 1000.0 < 60.0, "milliseconds since boot: {text}");
    }

    #[test]
    fn debug_shows_no_text() {
        assert_eq!(format!("{:?}", Script::raw("echo hush")), "Script(9 bytes)");
    }
}
