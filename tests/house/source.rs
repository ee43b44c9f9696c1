//! Just enough of Rust's grammar to know which paths a file names outside its comments, its strings and its tests.

/// A piece of code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    Word(String),
    Mark(char),
    Text(String),
}

/// The tokens of a file; comments are gone.
pub fn tokens(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut found = Vec::new();
    let mut i = 0;
    while i < chars.len() {
        let c = chars[i];
        if c == '/' && at(i + 1) == '/' {
            while i < chars.len() && chars[i] != '\n' {
                i += 1;
            }
        } else if c == '/' && at(i + 1) == '*' {
            let mut depth = 0;
            loop {
                match (at(i), at(i + 1)) {
                    ('/', '*') => (depth, i) = (depth + 1, i + 2),
                    ('*', '/') => (depth, i) = (depth - 1, i + 2),
                    _ => i += 1,
                }
                if depth == 0 || i >= chars.len() {
                    break;
                }
            }
        } else if let Some((text, end)) = raw_string(&chars, i) {
            found.push(Token::Text(text));
            i = end;
        } else if c == '"' {
            let start = i + 1;
            i = start;
            while i < chars.len() && chars[i] != '"' {
                i += if chars[i] == '\\' { 2 } else { 1 };
            }
            found.push(Token::Text(chars[start..i.min(chars.len())].iter().collect()));
            i += 1;
        } else if c == '\'' && at(i + 1) == '\\' {
            i += 3;
            while i < chars.len() && chars[i] != '\'' {
                i += 1;
            }
            i += 1;
        } else if c == '\'' && at(i + 2) == '\'' {
            i += 3;
        } else if is_word(c) {
            let start = i;
            while i < chars.len() && is_word(chars[i]) {
                i += 1;
            }
            found.push(Token::Word(chars[start..i].iter().collect()));
        } else {
            if !c.is_whitespace() {
                found.push(Token::Mark(c));
            }
            i += 1;
        }
    }
    found
}

/// `r"…"` and `r#"…"#`, also with a `b` before.
fn raw_string(chars: &[char], from: usize) -> Option<(String, usize)> {
    let before = from.checked_sub(1).and_then(|i| chars.get(i));
    if before.is_some_and(|c| c.is_alphanumeric() || *c == '_') {
        return None;
    }
    let mut i = from;
    i += usize::from(chars.get(i) == Some(&'b'));
    if chars.get(i) != Some(&'r') {
        return None;
    }
    i += 1;
    let hashes = chars[i..].iter().take_while(|c| **c == '#').count();
    i += hashes;
    if chars.get(i) != Some(&'"') {
        return None;
    }
    let start = i + 1;
    let mut end = start;
    while end < chars.len() {
        if chars[end] == '"' && chars[end + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes {
            return Some((chars[start..end].iter().collect(), end + 1 + hashes));
        }
        end += 1;
    }
    None
}

/// The same without what only tests compile.
pub fn without_tests(tokens: &[Token]) -> Vec<Token> {
    let mark = |i: usize, c: char| tokens.get(i) == Some(&Token::Mark(c));
    let word = |i: usize, w: &str| tokens.get(i) == Some(&Token::Word(w.to_owned()));
    let mut kept = Vec::new();
    let mut i = 0;
    while i < tokens.len() {
        let is_test = mark(i, '#') && mark(i + 1, '[') && word(i + 2, "cfg") && mark(i + 3, '(') && word(i + 4, "test");
        if !is_test {
            kept.push(tokens[i].clone());
            i += 1;
            continue;
        }
        // Its attributes, then the item itself: to its semicolon, or to the end of its braces.
        while mark(i, '#') {
            i = closed(tokens, i + 1);
        }
        while i < tokens.len() && !mark(i, ';') && !mark(i, '{') {
            i += 1;
        }
        i = if mark(i, '{') { closed(tokens, i) } else { i + 1 };
    }
    kept
}

/// The place behind the bracket that closes the one at `from`.
fn closed(tokens: &[Token], from: usize) -> usize {
    let mut depth = 0;
    for (i, token) in tokens.iter().enumerate().skip(from) {
        match token {
            Token::Mark('{' | '[' | '(') => depth += 1,
            Token::Mark('}' | ']' | ')') => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return i + 1;
        }
    }
    tokens.len()
}

/// A path that a file names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Named {
    /// Its words: `crate`, `base`, `name`.
    pub path: Vec<String>,
    /// The name under which a `pub use` shows it on; none where it is only used.
    pub shown: Option<String>,
}

/// Every path of two words and more, and all that is imported.
pub fn paths(tokens: &[Token]) -> Vec<Named> {
    let mut found = Vec::new();
    let mut i = 0;
    let mut public = false;
    while i < tokens.len() {
        match &tokens[i] {
            Token::Word(w) if w == "use" => {
                let mut all = Vec::new();
                i = tree(tokens, i + 1, &[], &mut all);
                found.extend(
                    all.into_iter()
                        .map(|(path, name)| Named { path, shown: public.then_some(name).filter(|n| n != "*") }),
                );
                public = false;
            }
            Token::Word(w) if w == "pub" => {
                public = true;
                i += 1;
                if tokens.get(i) == Some(&Token::Mark('(')) {
                    i = closed(tokens, i);
                }
            }
            Token::Word(w) => {
                public = false;
                let mut path = vec![w.clone()];
                i += 1;
                while let [Token::Mark(':'), Token::Mark(':'), Token::Word(next), ..] = &tokens[i..] {
                    path.push(next.clone());
                    i += 3;
                }
                if path.len() > 1 {
                    found.push(Named { path, shown: None });
                }
            }
            _ => {
                public = false;
                i += 1;
            }
        }
    }
    found
}

/// Reads one tree of a `use` and says where it ends.
fn tree(tokens: &[Token], from: usize, above: &[String], found: &mut Vec<(Vec<String>, String)>) -> usize {
    let mut path = above.to_vec();
    let mut i = from;
    let mut name = None;
    loop {
        match tokens.get(i) {
            Some(Token::Word(w)) if w == "as" => {
                if let Some(Token::Word(w)) = tokens.get(i + 1) {
                    name = Some(w.clone());
                }
                i += 2;
            }
            Some(Token::Word(w)) => {
                if w != "self" || path.is_empty() {
                    path.push(w.clone());
                }
                i += 1;
            }
            Some(Token::Mark(':')) => i += 1,
            Some(Token::Mark('*')) => {
                name = Some("*".to_owned());
                i += 1;
            }
            Some(Token::Mark('{')) => {
                i += 1;
                while i < tokens.len() && tokens[i] != Token::Mark('}') {
                    i = tree(tokens, i, &path, found);
                    i += usize::from(tokens.get(i) == Some(&Token::Mark(',')));
                }
                return i + 1;
            }
            _ => {
                let last = path.last().cloned().unwrap_or_default();
                found.push((path, name.unwrap_or(last)));
                return i;
            }
        }
    }
}
