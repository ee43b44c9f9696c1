//! How text looks: whether there is colour, which colour means what, and how text that came from elsewhere is made
//! harmless. All text of a host or a file goes through [`harmless`] before it is shown; nothing else has to think of it.

use crate::base::name::HostName;
use std::{borrow::Cow, fmt::Write as _, io::IsTerminal, time::Duration};

/// When to use colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ColorChoice {
    /// on a terminal, unless the environment says otherwise
    #[default]
    Auto,
    /// also into files and pipes
    Always,
    /// not at all
    Never,
}

impl ColorChoice {
    /// The palette for a stream of this process.
    pub fn palette(self, stream: &impl IsTerminal) -> Palette {
        Palette::new(self.decide(stream.is_terminal(), |name| std::env::var(name).ok()))
    }

    /// Whether there is colour on a stream. An explicit word wins; then `NO_COLOR` (non-empty), `CLICOLOR_FORCE`,
    /// `TERM=dumb`, and whether the stream is a terminal, in this order. `env` looks a variable up.
    pub fn decide(self, terminal: bool, env: impl Fn(&str) -> Option<String>) -> bool {
        let set = |name: &str| env(name).is_some_and(|value| !value.is_empty());
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto if set("NO_COLOR") => false,
            Self::Auto if env("CLICOLOR_FORCE").is_some_and(|value| !value.is_empty() && value != "0") => true,
            Self::Auto if env("TERM").as_deref() == Some("dumb") => false,
            Self::Auto => terminal,
        }
    }
}

/// What a piece of text is, which decides its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Something new.
    Add,
    /// Something that differs.
    Change,
    /// Something that goes.
    Remove,
    /// Something that goes and comes anew.
    Replace,
    /// What matters less.
    Dim,
    /// What matters more.
    Bold,
    /// Where it is: hosts, places in a file.
    Place,
    /// It went well, it holds.
    Pass,
    /// It went wrong, it does not hold.
    Fail,
    /// It could not be told.
    Error,
}

/// Puts colour on text, or does not.
#[derive(Clone, Copy, Debug, Default)]
pub struct Palette {
    on: bool,
}

impl Palette {
    /// With colour or without.
    pub fn new(on: bool) -> Self {
        Self { on }
    }

    /// Whether it puts colour on.
    pub fn is_on(self) -> bool {
        self.on
    }

    /// `text` in the colour of its tone. The sixteen colours of the terminal's own theme only: they read on any ground.
    pub fn paint(self, tone: Tone, text: &str) -> String {
        if !self.on || text.is_empty() {
            return text.to_owned();
        }
        let code = match tone {
            Tone::Add | Tone::Pass => "32",
            Tone::Change => "33",
            Tone::Remove => "31",
            Tone::Replace => "35",
            Tone::Dim => "2",
            Tone::Bold => "1",
            Tone::Place => "36",
            Tone::Fail => "1;31",
            Tone::Error => "1;33",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

/// Whether a character could steer a terminal, hide, or reorder the text around it: controls, bidirectional marks,
/// invisible characters, and private-use ones (which the house keeps as marks of its own).
pub fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e000}'..='\u{f8ff}'
            | '\u{e0000}'..='\u{10ffff}')
}

/// One line of text from a host, a file or a user, with everything that could steer the terminal made visible: `ESC`
/// becomes `␛`, a bidirectional override becomes `\u{202e}`. Tabs stay. Split texts of many lines before.
pub fn harmless(text: &str) -> Cow<'_, str> {
    if !text.chars().any(|c| is_harmful(c) && c != '\t') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\t' => out.push('\t'),
            // Unicode has a picture for each of the old controls, in their order.
            '\0'..='\x1f' => out.push(char::from_u32(0x2400 + c as u32).unwrap_or('\u{fffd}')),
            '\x7f' => out.push('␡'),
            c if is_harmful(c) => write!(out, "\\u{{{:x}}}", c as u32).unwrap_or_default(),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// The lines of a text from elsewhere, each harmless; line ends of any system end a line.
pub fn harmless_lines(text: &str) -> impl Iterator<Item = Cow<'_, str>> {
    text.lines().map(harmless)
}

/// A span of time for people: `0.3 s`, `21.4 s`, `3 min 5 s`.
pub fn span(time: Duration) -> String {
    let tenths = (time.as_millis() + 50) / 100;
    match tenths {
        0..1200 => format!("{}.{} s", tenths / 10, tenths % 10),
        _ => format!("{} min {} s", tenths / 600, tenths % 600 / 10),
    }
}

/// `1 host`, `3 hosts`.
pub fn count(n: usize, thing: &str) -> String {
    format!("{n} {thing}{}", if n == 1 { "" } else { "s" })
}

/// `text` cut to `width` characters, with an ellipsis where something is missing.
pub fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

/// `text` in lines of at most `room` characters, the first one of at most `first`, broken between words: before the first
/// word where not even that one fits. A word that is longer than a line stays whole: somebody may want to copy it.
pub fn wrap(text: &str, first: usize, room: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let (mut used, mut is_begun) = (0, false);
    for word in text.split(' ') {
        let length = word.chars().count();
        let most = if lines.len() == 1 { first } else { room };
        let is_over = used + usize::from(is_begun) + length > most;
        if is_over && (is_begun && !word.is_empty() || lines.len() == 1 && !is_begun) {
            lines.push(String::new());
            (used, is_begun) = (0, false);
        }
        if let Some(line) = lines.last_mut() {
            if is_begun {
                line.push(' ');
            }
            line.push_str(word);
        }
        used += usize::from(is_begun) + length;
        is_begun = true;
    }
    lines
}

/// Host names as people write them: in their order, with a run of four or more numbered ones drawn together
/// (`web-01..web-12`).
pub fn hosts<'a>(names: impl IntoIterator<Item = &'a HostName>) -> Vec<String> {
    let names: Vec<&str> = names.into_iter().map(HostName::as_str).collect();
    let (mut out, mut at) = (Vec::new(), 0);
    while at < names.len() {
        let run = 1 + names[at..].windows(2).take_while(|pair| follows(pair[0], pair[1])).count();
        if run >= 4 {
            out.push(format!("{}..{}", names[at], names[at + run - 1]));
            at += run;
        } else {
            out.push(names[at].to_owned());
            at += 1;
        }
    }
    out
}

/// Whether two names differ only in a final number, and the second one's is one more.
fn follows(one: &str, next: &str) -> bool {
    let number = |name: &str| {
        let stem = name.trim_end_matches(|c: char| c.is_ascii_digit()).len();
        Some((name[..stem].to_owned(), name.len(), name[stem..].parse::<u64>().ok()?))
    };
    match (number(one), number(next)) {
        (Some((stem, len, n)), Some((stem2, len2, n2))) => {
            stem == stem2 && n.checked_add(1) == Some(n2) && (len == len2 || !one[stem.len()..].starts_with('0'))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_a_host_says_steers_the_terminal() {
        let evil = "\x1b[2J\x1b]0;title\x07 a\rb \u{9b}31m \u{202e}txt \x7f\x08 \u{200b}\u{e000} \u{2028} \u{e0041}";
        let shown = harmless(evil);
        assert!(!shown.chars().any(is_harmful), "{shown}");
        assert_eq!(shown, "␛[2J␛]0;title␇ a␍b \\u{9b}31m \\u{202e}txt ␡␈ \\u{200b}\\u{e000} \\u{2028} \\u{e0041}");
    }

    #[test]
    fn good_text_stays_as_it_is() {
        for text in ["", "plain", "tab\there", "äöü → ✓ 漢字", "100 %"] {
            assert!(matches!(harmless(text), Cow::Borrowed(_)), "{text:?}");
        }
    }

    #[test]
    fn an_explicit_word_wins_and_then_the_environment_in_its_order() {
        let decide = |choice: ColorChoice, terminal, vars: &[(&str, &str)]| {
            choice.decide(terminal, |name| vars.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))
        };
        use ColorChoice::{Always, Auto, Never};
        assert!(decide(Auto, true, &[]));
        assert!(!decide(Auto, false, &[]));
        assert!(!decide(Auto, true, &[("NO_COLOR", "1")]));
        assert!(decide(Auto, true, &[("NO_COLOR", "")]), "an empty NO_COLOR says nothing");
        assert!(decide(Auto, false, &[("CLICOLOR_FORCE", "1")]));
        assert!(!decide(Auto, false, &[("CLICOLOR_FORCE", "0")]));
        assert!(!decide(Auto, false, &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]));
        assert!(!decide(Auto, true, &[("TERM", "dumb")]));
        assert!(decide(Always, false, &[("NO_COLOR", "1"), ("TERM", "dumb")]));
        assert!(!decide(Never, true, &[("CLICOLOR_FORCE", "1")]));
    }

    #[test]
    fn long_text_goes_on_in_the_next_line_between_its_words() {
        assert_eq!(wrap("", 10, 10), [""]);
        assert_eq!(wrap("one two three", 13, 5), ["one two three"]);
        assert_eq!(wrap("one two three", 12, 5), ["one two", "three"]);
        assert_eq!(wrap("one two three", 3, 9), ["one", "two three"]);
        assert_eq!(wrap("one two", 2, 9), ["", "one two"]);
        assert_eq!(wrap("a https://www.foobar.com/x b", 10, 10), ["a", "https://www.foobar.com/x", "b"]);
        assert_eq!(wrap("  two  äöü spaces", 10, 10), ["  two  äöü", "spaces"]);
    }

    #[test]
    fn runs_of_hosts_are_drawn_together() {
        let hosts = |names: &[&str]| {
            let names: Vec<HostName> = names.iter().map(|n| n.parse().unwrap()).collect();
            super::hosts(&names).join(", ")
        };
        assert_eq!(hosts(&["web-01", "web-02"]), "web-01, web-02");
        assert_eq!(hosts(&["lb-01", "web-08", "web-09", "web-10", "web-11", "db-1"]), "lb-01, web-08..web-11, db-1");
        assert_eq!(hosts(&["w8", "w9", "w10", "w11"]), "w8..w11");
        assert_eq!(hosts(&["w08", "w9", "w10", "w11"]), "w08, w9, w10, w11");
        assert_eq!(hosts(&["a", "b", "c", "d"]), "a, b, c, d");
    }

    #[test]
    fn spans_read_well() {
        assert_eq!(span(Duration::from_millis(0)), "0.0 s");
        assert_eq!(span(Duration::from_millis(8_249)), "8.2 s");
        assert_eq!(span(Duration::from_millis(119_949)), "119.9 s");
        assert_eq!(span(Duration::from_millis(185_000)), "3 min 5 s");
    }
}
