//! A template's text in pieces, with the whitespace that its tags trim already taken off, and the names that an
//! expression speaks of. What the pieces are good for is not known here; what Tera makes of them is proved, not assumed
//! (`trace.rs`).

/// A piece of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece<'t> {
    /// What it is.
    pub kind: Kind,
    /// Text: as it is written. Prints and tags: what stands between their braces.
    pub text: &'t str,
    /// The line that it begins on, from 1.
    pub line: usize,
}

/// What a piece is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text that is copied.
    Text,
    /// Text that is copied with its braces (`{% raw %}`).
    Raw,
    /// `{{ … }}`
    Print,
    /// `{% … %}`
    Tag,
}

/// Cuts a template into its pieces; none where a tag has no end.
pub fn pieces(template: &str) -> Option<Vec<Piece<'_>>> {
    let mut found: Vec<Piece<'_>> = Vec::new();
    let (mut at, mut trim) = (0, false);
    while at < template.len() {
        let open = ["{{", "{%", "{#"].iter().filter_map(|o| Some(at + template[at..].find(o)?)).min();
        let end = open.unwrap_or(template.len());
        let is_trimming = open.is_some_and(|o| template[o + 2..].starts_with('-'));
        let text = Slice { template, from: at, to: end }.trimmed(trim, is_trimming);
        found.extend(text.piece(Kind::Text));
        let Some(open) = open else { break };
        let close = match &template[open..open + 2] {
            "{{" => "}}",
            "{%" => "%}",
            _ => "#}",
        };
        let from = open + 2 + usize::from(is_trimming);
        let to = if close == "#}" { from + template[from..].find(close)? } else { end_of(template, from, close)? };
        trim = to > from && template[..to].ends_with('-');
        let inner = &template[from..to - usize::from(trim)];
        at = to + 2;
        let line = line_of(template, open);
        match close {
            "}}" => found.push(Piece { kind: Kind::Print, text: inner, line }),
            "%}" if inner.trim() == "raw" => {
                let (body, last, after, trims) = raw(template, at)?;
                found.extend(Slice { template, from: at, to: body }.trimmed(trim, last).piece(Kind::Raw));
                (at, trim) = (after, trims);
            }
            "%}" => found.push(Piece { kind: Kind::Tag, text: inner, line }),
            _ => {}
        }
    }
    Some(found)
}

fn line_of(template: &str, at: usize) -> usize {
    template[..at].matches('\n').count() + 1
}

/// A stretch of a template.
struct Slice<'t> {
    template: &'t str,
    from: usize,
    to: usize,
}

impl<'t> Slice<'t> {
    fn trimmed(mut self, start: bool, end: bool) -> Self {
        let text = &self.template[self.from..self.to];
        if start {
            self.from += text.len() - text.trim_start().len();
        }
        if end {
            self.to = self.from + self.template[self.from..self.to].trim_end().len();
        }
        self
    }

    fn piece(&self, kind: Kind) -> Option<Piece<'t>> {
        let text = &self.template[self.from..self.to];
        (!text.is_empty()).then(|| Piece { kind, text, line: line_of(self.template, self.from) })
    }
}

/// Where a tag's closing braces are; those within a string are none.
fn end_of(template: &str, from: usize, close: &str) -> Option<usize> {
    let mut quote = None;
    let mut escaped = false;
    for (n, c) in template[from..].char_indices() {
        match quote {
            _ if escaped => escaped = false,
            Some(_) if c == '\\' => escaped = true,
            Some(q) if c == q => quote = None,
            Some(_) => {}
            None if "\"'`".contains(c) => quote = Some(c),
            None if template[from + n..].starts_with(close) => return Some(from + n),
            None => {}
        }
    }
    None
}

/// The end of a raw block's body, whether its last tag trims, where that tag ends, and whether it trims what follows.
fn raw(template: &str, from: usize) -> Option<(usize, bool, usize, bool)> {
    let mut at = from;
    loop {
        let open = at + template[at..].find("{%")?;
        let to = open + template[open..].find("%}")?;
        let inner = &template[open + 2..to];
        if inner.trim_start_matches('-').trim_end_matches('-').trim() == "endraw" {
            return Some((open, inner.starts_with('-'), to + 2, inner.ends_with('-')));
        }
        at = open + 2;
    }
}

/// A name that an expression speaks of, with the field of it: `server.name` is `server` and `name`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// The variable.
    pub root: String,
    /// Its field, where one is named.
    pub field: Option<String>,
}

/// The names in an expression: no strings, filters, tests, functions, or names of arguments.
pub fn names(expression: &str) -> Vec<Name> {
    const WORDS: [&str; 11] = ["and", "or", "not", "in", "is", "if", "else", "true", "false", "none", "loop"];
    let mut found: Vec<Name> = Vec::new();
    let bytes = expression.as_bytes();
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    // Whether the word before was taken for a variable, so that a dot names a field of it.
    let (mut at, mut before, mut is_named) = (0, String::new(), false);
    while at < bytes.len() {
        let b = bytes[at];
        if b"\"'`".contains(&b) {
            let rest = &bytes[at + 1..];
            at += 2 + rest.iter().position(|c| *c == b).unwrap_or(rest.len());
            (before, is_named) = ("\"".into(), false);
        } else if is_word(b) {
            let end = at + bytes[at..].iter().position(|c| !is_word(*c)).unwrap_or(bytes.len() - at);
            let word = &expression[at..end];
            let rest = expression[end..].trim_start();
            let is_argument = rest.starts_with('=') && !rest.starts_with("==");
            let is_plain = !b.is_ascii_digit() && !rest.starts_with('(') && !is_argument && !WORDS.contains(&word);
            match before.as_str() {
                "." => {
                    if let Some(last) = found.last_mut().filter(|_| is_named) {
                        last.field = Some(word.to_owned());
                    }
                    is_named = false;
                }
                "|" | "is" => is_named = false,
                "not" if is_plain && is_test(expression, at) => is_named = false,
                _ => {
                    is_named = is_plain;
                    found.extend(is_plain.then(|| Name { root: word.to_owned(), field: None }));
                }
            }
            before = word.to_owned();
            at = end;
        } else {
            if !b.is_ascii_whitespace() {
                before = char::from(b).to_string();
                is_named &= b == b'.';
            }
            at += 1;
        }
    }
    found
}

/// Whether what stands at `at` follows `is not`.
fn is_test(expression: &str, at: usize) -> bool {
    let mut words = expression[..at].split_whitespace().rev();
    words.next() == Some("not") && words.next() == Some("is")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_cut_with_its_whitespace_trimmed() {
        let cut = |t: &str| -> Vec<String> {
            pieces(t).unwrap().iter().map(|p| format!("{:?} {} {:?}", p.kind, p.line, p.text)).collect()
        };
        assert_eq!(
            cut("a\n{%- if x -%}\n b {{ \"}}\" }}\n{# no {{ #}{%- endif %}\n"),
            [
                r#"Text 1 "a""#,
                r#"Tag 2 " if x ""#,
                r#"Text 3 "b ""#,
                r#"Print 3 " \"}}\" ""#,
                r#"Text 3 "\n""#,
                r#"Tag 4 " endif ""#,
                r#"Text 4 "\n""#,
            ]
        );
        assert_eq!(
            cut("{% raw -%}\n {{ x }} {% if %}{%- endraw %}!"),
            [r#"Raw 2 "{{ x }} {% if %}""#, r#"Text 2 "!""#]
        );
        for broken in ["{{ x", "{% if", "{# no", "{% raw %}x", "{{ '}}"] {
            assert_eq!(pieces(broken), None, "{broken}");
        }
    }

    #[test]
    fn the_names_of_an_expression_are_its_variables() {
        let all = |e: &str| -> Vec<String> {
            let name = |n: Name| n.field.map_or(n.root.clone(), |f| format!("{}.{f}", n.root));
            names(e).into_iter().map(name).collect()
        };
        assert_eq!(all("names | join(sep=\", \")"), ["names"]);
        assert_eq!(
            all("profile == \"modern\" and not server.is_backup or x is defined"),
            ["profile", "server.is_backup", "x"]
        );
        assert_eq!(all("x is not starting_with(\"y\") and f(of=z, n=3)"), ["x", "z"]);
        assert_eq!(all("a.b.c ~ loop.index ~ d"), ["a.b", "d"]);
    }
}
