//! Words that are parsed once and are harmless from then on: host and domain names, Unix and database names, paths,
//! header values, durations. A value that could break out of a config line or a shell word is refused here, at its
//! place in the YAML, and nowhere else has to think of it again.

use serde::{Deserialize, Serialize, Serializer};
use std::{fmt, str::FromStr, time::Duration};

/// Why a word was refused: the rule it broke, as a fragment that follows "must".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} must {rule}")]
pub struct NameError {
    /// What kind of word it should be: "a host name".
    pub what: &'static str,
    /// What such a word must do: "start with a letter".
    pub rule: String,
}

macro_rules! word {
    ($(#[$doc:meta])* $name:ident, $what:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(String);

        impl $name {
            /// What such a word is called in messages.
            pub const WHAT: &'static str = $what;

            /// The word.
            pub fn as_str(&self) -> &str { &self.0 }
        }

        impl FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                let check: fn(&str) -> Result<(), String> = $check;
                match check(text) {
                    Ok(()) => Ok(Self(text.to_owned())),
                    Err(rule) => Err(NameError { what: $what, rule }),
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> { text.parse() }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.pad(&self.0) }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str { &self.0 }
        }
    };
}

word! {
    /// A host of the topology: one DNS label in lower case (RFC 1123), 63 characters at most.
    HostName, "a host name", |t| label(t)
}
word! {
    /// A host to jump over, as ssh's ProxyJump takes it: `[user@]host[:port]`, the host as ssh_config or an address knows it.
    JumpHost, "a jump host", |t| chars(t, 255, "start with a letter or digit and hold letters, digits and . - _ @ : [ ] only",
        |c| c.is_ascii_alphanumeric() || c == '[', |c| c.is_ascii_alphanumeric() || ".-_@:[]".contains(c))
}
word! {
    /// A fully qualified DNS name in lower case, without the final dot, 253 characters at most (RFC 1035).
    DomainName, "a domain name", |t| {
        if t.len() > 253 { return Err("have 253 characters at most".into()); }
        if !t.contains('.') { return Err("have at least two labels, such as www.example.com".into()); }
        t.split('.').try_for_each(label)
    }
}
word! {
    /// A Unix account (useradd's default rule), 32 characters at most.
    UserName, "a user name", |t| chars(t, 32, "start with a lower-case letter or _ and hold lower-case letters, digits, - and _ only",
        |c| c.is_ascii_lowercase() || c == '_', |c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c))
}
word! {
    /// A Debian package (Debian Policy 5.6.1).
    PackageName, "a package name", |t| chars(t, 128, "hold lower-case letters, digits and + - . only, and start with a letter or digit",
        |c| c.is_ascii_lowercase() || c.is_ascii_digit(), |c| c.is_ascii_lowercase() || c.is_ascii_digit() || "+-.".contains(c))
}
word! {
    /// A database: letters, digits and _, 64 at most, so that it needs no quoting anywhere.
    DatabaseName, "a database name", |t| {
        if ["mysql", "sys", "information_schema", "performance_schema"].contains(&t.to_ascii_lowercase().as_str()) {
            return Err("not be one of the server's own schemas".into());
        }
        chars(t, 64, "start with a letter and hold letters, digits and _ only",
            |c| c.is_ascii_alphabetic(), |c| c.is_ascii_alphanumeric() || c == '_')
    }
}
word! {
    /// An environment variable's name (POSIX), 128 characters at most.
    EnvName, "an environment variable's name", |t| chars(t, 128, "start with a letter or _ and hold letters, digits and _ only",
        |c| c.is_ascii_alphabetic() || c == '_', |c| c.is_ascii_alphanumeric() || c == '_')
}
word! {
    /// The path of a URL: starts with /, and holds what RFC 3986 allows there and no configuration language minds:
    /// letters, digits and - . _ ~ / only.
    UrlPath, "a URL path", |t| chars(t, 256, "start with / and hold letters, digits and - . _ ~ / only",
        |c| c == '/', |c| c.is_ascii_alphanumeric() || "-._~/".contains(c))
}
word! {
    /// A path inside a folder: no leading / or -, no . or .. part, letters, digits and - . _ / only.
    RelativePath, "a relative path", |t| {
        if t.split('/').any(|part| part.is_empty() || part == "." || part == "..") {
            return Err("be a path inside the folder, without empty, . or .. parts".into());
        }
        if t.starts_with('-') {
            return Err("not start with -, which programs take for an option".into());
        }
        chars(t, 256, "hold letters, digits and - . _ / only",
            |c| c.is_ascii_alphanumeric() || "-._".contains(c), |c| c.is_ascii_alphanumeric() || "-._/".contains(c))
    }
}
word! {
    /// A URL over HTTP: of what RFC 3986 allows, all but the single quote, so that it stands in any quotes as it is.
    Url, "a URL", |t| {
        let rest = t.strip_prefix("https://").or_else(|| t.strip_prefix("http://"));
        let rest = rest.ok_or("start with https:// or http://")?;
        chars(rest, 2048, "hold a host and what RFC 3986 allows behind it, without quotes and spaces",
            |c| c.is_ascii_alphanumeric() || c == '[', |c| c.is_ascii_alphanumeric() || "-._~:/?#[]@!$&()*+,;=%".contains(c))
    }
}
word! {
    /// A mail address: letters, digits and . _ + - on both sides of one @, 254 characters at most.
    MailAddress, "a mail address", |t| {
        if t.split('@').count() != 2 || t.ends_with('@') { return Err("have one @ between a name and a domain".into()); }
        chars(t, 254, "hold letters, digits and . _ + - beside its @ only",
            |c| c.is_ascii_alphanumeric(), |c| c.is_ascii_alphanumeric() || "._+-@".contains(c))
    }
}
word! {
    /// The login at a mail server: letters, digits and . _ + - @ only.
    MailLogin, "a login", |t| chars(t, 254, "hold letters, digits and . _ + - @ only",
        |c| c.is_ascii_alphanumeric(), |c| c.is_ascii_alphanumeric() || "._+-@".contains(c))
}
word! {
    /// A host with a port: `mail.example.com:587`.
    HostPort, "a host with a port", |t| {
        let port = t.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
        if port.is_none_or(|p| p == 0) { return Err("end with a port, such as :587".into()); }
        chars(t, 260, "hold letters, digits and - . : [ ] only",
            |c| c.is_ascii_alphanumeric() || c == '[', |c| c.is_ascii_alphanumeric() || "-.:[]".contains(c))
    }
}
word! {
    /// One line of free text without control characters: an environment variable's value. Whoever writes it into a
    /// file quotes it for that file.
    Line, "a line of text", |t| {
        if t.len() > 4096 { return Err("have 4096 bytes at most".into()); }
        if t.chars().any(|c| c.is_control() || super::secret::is_mark(c) || "\u{2028}\u{2029}".contains(c)) {
            return Err("hold no line breaks and no control characters".into());
        }
        Ok(())
    }
}

fn label(t: &str) -> Result<(), String> {
    if t.is_empty() || t.len() > 63 {
        return Err("have 1 to 63 characters between dots".into());
    }
    if !t.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        || t.starts_with('-')
        || t.ends_with('-')
    {
        return Err("hold lower-case letters, digits and - only, and not start or end with -".into());
    }
    Ok(())
}

fn chars(t: &str, most: usize, rule: &str, first: fn(char) -> bool, rest: fn(char) -> bool) -> Result<(), String> {
    if t.len() > most {
        return Err(format!("have {most} characters at most"));
    }
    match t.chars().next() {
        Some(c) if first(c) && t.chars().skip(1).all(rest) => Ok(()),
        _ => Err(rule.to_owned()),
    }
}

/// A command as words, split the way a shell would (single and double quotes, backslash), without a shell: `;`, `|`,
/// `$(…)` are plain text. `$NAME` and `${NAME}` are left for systemd, which expands them from the environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct CommandLine(Vec<String>);

impl CommandLine {
    /// The words; the first is the program.
    pub fn words(&self) -> &[String] {
        &self.0
    }

    /// As the right side of systemd's `ExecStart=`: every word quoted, `%` doubled (systemd.service(5), "Command lines").
    pub fn systemd(&self) -> String {
        let quoted =
            self.0.iter().map(|w| format!("\"{}\"", w.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%")));
        quoted.collect::<Vec<_>>().join(" ")
    }
}

impl FromStr for CommandLine {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        let refuse = |rule: &str| Err(NameError { what: "a command", rule: rule.to_owned() });
        if text.parse::<Line>().is_err() {
            return refuse("be one line without control characters");
        }
        let (mut words, mut word, mut open) = (Vec::new(), None::<String>, None::<char>);
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            match (open, c) {
                (Some(q), c) if c == q => open = None,
                (Some('\''), c) => word.get_or_insert_default().push(c),
                (None, '\'' | '"') => {
                    open = Some(c);
                    word.get_or_insert_default();
                }
                (_, '\\') => match chars.next() {
                    Some(next) => word.get_or_insert_default().push(next),
                    None => return refuse("not end in a backslash"),
                },
                (None, ' ') => words.extend(word.take()),
                (_, c) => word.get_or_insert_default().push(c),
            }
        }
        if open.is_some() {
            return refuse("close every quote");
        }
        words.extend(word);
        match words.first() {
            None => refuse("not be empty"),
            Some(first) if !first.starts_with(|c: char| c.is_ascii_alphanumeric() || "/._".contains(c)) => {
                refuse("start with a program's name or absolute path")
            }
            Some(_) => Ok(Self(words)),
        }
    }
}

/// A span of time as users write it: `500ms`, `2s`, `5m`, `24h`, `180d`; whole numbers with a unit, never without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(Duration);

impl Span {
    /// A span of whole milliseconds.
    pub const fn millis(ms: u64) -> Self {
        Self(Duration::from_millis(ms))
    }

    /// A span of whole seconds.
    pub const fn seconds(s: u64) -> Self {
        Self(Duration::from_secs(s))
    }

    /// As the standard type.
    pub fn duration(self) -> Duration {
        self.0
    }
}

impl FromStr for Span {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        let refuse =
            || NameError { what: "a duration", rule: "be a number with a unit: 500ms, 2s, 5m, 24h, 180d".into() };
        let at = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(refuse)?;
        let number: u64 = text[..at].parse().map_err(|_| refuse())?;
        let unit = match &text[at..] {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(refuse()),
        };
        // A hundred years bound every use: nothing downstream overflows.
        let ms = number.checked_mul(unit).filter(|ms| *ms <= 100 * 365 * 86_400_000).ok_or_else(refuse)?;
        Ok(Self::millis(ms))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0.as_millis();
        let (unit, name) = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s"), (1, "ms")]
            .into_iter()
            .find(|(unit, _)| ms.is_multiple_of(*unit) && ms >= *unit)
            .unwrap_or((1, "ms"));
        write!(f, "{}{name}", ms / unit)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a hostile or careless user writes into any text field.
    pub const HOSTILE: &[&str] = &[
        "a\nb",
        "a\r\nb",
        "a'b",
        "a\"b",
        "$(id)",
        "`id`",
        "a;b",
        "a{b",
        "a}b",
        "a|b",
        "a&b",
        "a>b",
        "\0",
        "a b",
        "a\\b",
        "a#b",
        "\u{e000}x|Plain\u{e001}",
        "{{ x }}",
        "{% x %}",
        "a\u{2028}b",
        "../x",
        "",
        "-rf",
        "%n",
        "*",
        "~",
        "é",
    ];

    #[test]
    fn no_name_takes_what_could_break_out() {
        for text in HOSTILE {
            assert!(text.parse::<HostName>().is_err(), "{text:?}");
            assert!(text.parse::<JumpHost>().is_err(), "{text:?}");
            assert!(text.parse::<DomainName>().is_err(), "{text:?}");
            assert!(text.parse::<UserName>().is_err(), "{text:?}");
            assert!(text.parse::<PackageName>().is_err(), "{text:?}");
            assert!(text.parse::<DatabaseName>().is_err(), "{text:?}");
            assert!(text.parse::<EnvName>().is_err(), "{text:?}");
            assert!(
                format!("/{text}").parse::<UrlPath>().is_err() || ["../x", "", "-rf", "~"].contains(text),
                "{text:?}"
            );
        }
        for text in ["a\nb", "\0", "\u{1b}[2J", "a\u{2028}b", "\u{e000}x|Plain\u{e001}"] {
            assert!(text.parse::<Line>().is_err(), "{text:?}");
            assert!(text.parse::<CommandLine>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn good_names_pass() {
        assert!("web-01".parse::<HostName>().is_ok());
        assert!("admin@bastion.example.com:2222".parse::<JumpHost>().is_ok());
        assert!("www.foobar.com".parse::<DomainName>().is_ok());
        assert!("python3-flask".parse::<PackageName>().is_ok());
        assert!("/healthz".parse::<UrlPath>().is_ok());
        assert!("static/css".parse::<RelativePath>().is_ok() && "-static".parse::<RelativePath>().is_err());
    }

    #[test]
    fn a_command_is_split_into_words_and_nothing_in_it_is_run() {
        let words = |t: &str| t.parse::<CommandLine>().unwrap().0;
        assert_eq!(words("gunicorn --bind $LISTEN wsgi:app"), ["gunicorn", "--bind", "$LISTEN", "wsgi:app"]);
        assert_eq!(words("sh -c 'a; b' \"c d\" e\\ f ''"), ["sh", "-c", "a; b", "c d", "e f", ""]);
        assert_eq!("a ; b".parse::<CommandLine>().unwrap().systemd(), "\"a\" \";\" \"b\"");
        assert_eq!("a 100%".parse::<CommandLine>().unwrap().systemd(), "\"a\" \"100%%\"");
        for bad in ["", " ", "'open", "end\\", "-flag", "@x", "+x", "!x", "'$X'"] {
            assert!(bad.parse::<CommandLine>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn spans_go_back_and_forth() {
        for text in ["500ms", "2s", "5m", "24h", "180d", "90s"] {
            let span: Span = text.parse().unwrap();
            assert_eq!(span.to_string().parse::<Span>().unwrap(), span);
        }
        for bad in ["", "2", "s", "-2s", "1.5s", "2 s", "99999999999999999999d", "9999999999d"] {
            assert!(bad.parse::<Span>().is_err(), "{bad:?}");
        }
    }
}
