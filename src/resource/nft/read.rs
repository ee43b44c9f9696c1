//! From the text of an nftables file to its tables, sets, chains and rules. What a rule means is none of this file's
//! business.

/// A file.
#[derive(Debug, Default)]
pub struct File {
    /// Its tables; one that is written in parts stands there in parts.
    pub tables: Vec<Table>,
    /// Whether there is nothing beside them that could change what they do: a command, another file.
    pub is_whole: bool,
}

/// A table.
#[derive(Debug, Default)]
pub struct Table {
    /// `inet`, `ip`, `ip6`, …
    pub family: String,
    /// Its chains.
    pub chains: Vec<Chain>,
    sets: Vec<(String, Option<Vec<String>>)>,
}

/// A chain.
#[derive(Debug, Default)]
pub struct Chain {
    name: String,
    /// `type filter hook input priority filter`, where it is a base chain.
    kind: Vec<String>,
    /// Whether its policy is to drop.
    pub drops: bool,
    /// Its rules.
    pub rules: Vec<Rule>,
}

/// A rule.
#[derive(Debug)]
pub struct Rule {
    /// Its line, from 1.
    pub line: usize,
    /// Its words.
    pub tokens: Vec<Token>,
}

/// A word of nft's language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    /// A bare word.
    Word(String),
    /// A text in quotation marks.
    Quoted(String),
    /// `{`
    Open,
    /// `}`
    Close,
    /// `,`
    Comma,
    /// The end of a line, or `;`.
    End,
}

impl Table {
    /// The elements of a set; none where they are not known from the file.
    pub fn set(&self, name: &str) -> Option<&[String]> {
        self.sets.iter().find(|(n, _)| n == name)?.1.as_deref()
    }

    /// A chain by its name.
    pub fn chain(&self, name: &str) -> Option<&Chain> {
        self.chains.iter().find(|c| c.name == name)
    }
}

impl Chain {
    /// Whether what comes in to the host itself goes through it and can be dropped there.
    pub fn filters_input(&self) -> bool {
        let after = |key: &str| self.kind.iter().skip_while(|w| *w != key).nth(1).map(String::as_str);
        after("type") == Some("filter") && matches!(after("hook"), Some("input" | "prerouting"))
    }
}

impl Rule {
    /// As it is written, on one line.
    pub fn text(&self) -> String {
        let words: Vec<String> = self.tokens.iter().map(Token::text).collect();
        words.join(" ").replace(" ,", ",")
    }
}

impl Token {
    fn text(&self) -> String {
        match self {
            Self::Word(word) => word.clone(),
            Self::Quoted(text) => format!("\"{text}\""),
            Self::Open => "{".into(),
            Self::Close => "}".into(),
            Self::Comma => ",".into(),
            Self::End => ";".into(),
        }
    }
}

/// The words of a text, each with its line.
fn tokens(text: &str) -> Vec<(usize, Token)> {
    let mut all = Vec::new();
    let (mut line, mut chars) = (1, text.chars().peekable());
    while let Some(c) = chars.next() {
        let token = match c {
            '\n' => Token::End,
            ';' => Token::End,
            '{' => Token::Open,
            '}' => Token::Close,
            ',' => Token::Comma,
            '#' => {
                while chars.next_if(|c| *c != '\n').is_some() {}
                continue;
            }
            '\\' if chars.next_if_eq(&'\n').is_some() => {
                line += 1;
                continue;
            }
            '"' => {
                let mut quoted = String::new();
                while let Some(c) = chars.next_if(|c| *c != '"' && *c != '\n') {
                    quoted.push(c);
                }
                chars.next_if_eq(&'"');
                Token::Quoted(quoted)
            }
            c if c.is_whitespace() => continue,
            c => {
                let mut word = String::from(c);
                while let Some(c) = chars.next_if(|c| !c.is_whitespace() && !"{};,\"#".contains(*c)) {
                    word.push(c);
                }
                Token::Word(word)
            }
        };
        all.push((line, token));
        line += usize::from(c == '\n');
    }
    all
}

struct Parser {
    tokens: std::iter::Peekable<std::vec::IntoIter<(usize, Token)>>,
}

/// A statement: its words, and whether a block begins behind them.
struct Statement {
    line: usize,
    tokens: Vec<Token>,
    opens: bool,
}

impl Statement {
    fn word(&self, at: usize) -> &str {
        match self.tokens.get(at) {
            Some(Token::Word(word)) => word,
            _ => "",
        }
    }
}

impl Parser {
    /// The next statement of a block; none at its end. `is_head` says of the first words whether a block follows; else
    /// braces hold a list of values.
    fn statement(&mut self, is_head: impl Fn(&str) -> bool) -> Option<Statement> {
        while self.tokens.next_if(|(_, t)| *t == Token::End).is_some() {}
        let mut found = Statement { line: self.tokens.peek()?.0, tokens: Vec::new(), opens: false };
        let mut depth = 0;
        while let Some((_, token)) = self.tokens.peek() {
            match token {
                Token::Close if depth == 0 => {
                    if found.tokens.is_empty() {
                        self.tokens.next();
                        return None;
                    }
                    return Some(found);
                }
                Token::End if depth == 0 => return Some(found),
                Token::Open if depth == 0 && is_head(found.word(0)) => {
                    self.tokens.next();
                    found.opens = true;
                    return Some(found);
                }
                Token::Open => depth += 1,
                Token::Close => depth -= 1,
                _ => {}
            }
            let token = self.tokens.next()?.1;
            if token != Token::End {
                found.tokens.push(token);
            }
        }
        Some(found)
    }

    fn table(&mut self, family: &str) -> Table {
        let mut table = Table { family: family.to_owned(), ..Table::default() };
        while let Some(statement) = self.statement(|_| true) {
            let name = statement.word(1).to_owned();
            match (statement.word(0), statement.opens) {
                ("chain", true) => {
                    let chain = self.chain(name);
                    table.chains.push(chain);
                }
                ("set", true) => {
                    let elements = self.set();
                    table.sets.push((name, elements));
                }
                (_, true) => while self.statement(|_| false).is_some() {},
                _ => {}
            }
        }
        table
    }

    /// The elements of a set, where the file names them and nobody adds to them later.
    fn set(&mut self) -> Option<Vec<String>> {
        let (mut elements, mut changes) = (None, false);
        while let Some(statement) = self.statement(|_| false) {
            match statement.word(0) {
                "elements" => {
                    let inner = statement.tokens.split(|t| matches!(t, Token::Open | Token::Comma | Token::Close));
                    let first = |part: &[Token]| match part.first() {
                        Some(Token::Word(w) | Token::Quoted(w)) => Some(w.clone()),
                        _ => None,
                    };
                    elements = Some(inner.skip(1).filter_map(first).collect());
                }
                "flags" => {
                    let dynamic = |t: &Token| matches!(t, Token::Word(w) if w == "dynamic" || w == "timeout");
                    changes |= statement.tokens.iter().any(dynamic);
                }
                _ => {}
            }
        }
        elements.filter(|_| !changes)
    }

    fn chain(&mut self, name: String) -> Chain {
        let mut chain = Chain { name, ..Chain::default() };
        while let Some(statement) = self.statement(|_| false) {
            match statement.word(0) {
                "type" => chain.kind = statement.tokens.iter().map(Token::text).collect(),
                "policy" => chain.drops = statement.word(1) == "drop",
                "comment" | "flags" | "device" | "devices" => {}
                _ => chain.rules.push(Rule { line: statement.line, tokens: statement.tokens }),
            }
        }
        chain
    }
}

/// Reads a file.
pub fn file(text: &str) -> File {
    let mut parser = Parser { tokens: tokens(text).into_iter().peekable() };
    let mut file = File { tables: Vec::new(), is_whole: true };
    loop {
        while parser.tokens.next_if(|(_, t)| *t == Token::End).is_some() {}
        if parser.tokens.peek().is_none() {
            return file;
        }
        let Some(statement) = parser.statement(|first| first == "table" || first == "add") else {
            file.is_whole = false;
            continue;
        };
        match (statement.word(0), statement.opens) {
            ("table", true) => {
                let family = if statement.tokens.len() > 2 { statement.word(1) } else { "ip" }.to_owned();
                let table = parser.table(&family);
                file.tables.push(table);
            }
            ("table" | "define", _) => {}
            ("delete" | "destroy" | "flush" | "add", false) if statement.word(1) == "table" => {}
            (_, true) => {
                while parser.statement(|_| false).is_some() {}
                file.is_whole = false;
            }
            _ => file.is_whole = false,
        }
    }
}

/// The words of a rule, one after the other.
pub struct Words<'a> {
    rest: &'a [Token],
}

impl<'a> Words<'a> {
    /// From the first.
    pub fn new(tokens: &'a [Token]) -> Self {
        Self { rest: tokens }
    }

    /// The next one that is a word or a text; brackets and commas are passed over.
    pub fn word(&mut self) -> Option<&'a str> {
        loop {
            let (first, rest) = self.rest.split_first()?;
            self.rest = rest;
            if let Token::Word(word) | Token::Quoted(word) = first {
                return Some(word);
            }
        }
    }

    /// Passes over so many.
    pub fn skip(&mut self, count: usize) {
        self.rest = self.rest.get(count..).unwrap_or_default();
    }

    /// Passes over these words, each with the one behind it.
    pub fn skip_pairs(&mut self, names: &[&str]) {
        while matches!(self.rest.first(), Some(Token::Word(w)) if names.contains(&w.as_str())) {
            self.skip(2);
        }
    }

    /// The values that something is compared with, and whether it shall be none of them; nothing where it is not compared.
    pub fn operand(&mut self) -> Option<(bool, Vec<&'a str>)> {
        let is_operator = |t: &Token, all: &[&str]| matches!(t, Token::Word(w) if all.contains(&w.as_str()));
        let is_negated = self.rest.first().is_some_and(|t| is_operator(t, &["!=", "ne"]));
        if is_negated || self.rest.first().is_some_and(|t| is_operator(t, &["==", "eq"])) {
            self.rest = &self.rest[1..];
        }
        let mut values = Vec::new();
        if self.rest.first() == Some(&Token::Open) {
            let end = self.rest.iter().position(|t| *t == Token::Close)?;
            for part in self.rest[1..end].split(|t| *t == Token::Comma) {
                match part {
                    [] => {}
                    [Token::Word(value) | Token::Quoted(value)] => values.push(value.as_str()),
                    // A value with more to it, such as a comment; a dollar stands for what is not known.
                    _ => values.push("$"),
                }
            }
            self.rest = &self.rest[end + 1..];
            return Some((is_negated, values));
        }
        loop {
            let (Token::Word(value) | Token::Quoted(value)) = self.rest.first()? else { return None };
            if value == "vmap" || value == "map" || value == "set" || value == "&" {
                return None;
            }
            values.push(value.as_str());
            self.rest = &self.rest[1..];
            match self.rest.first() {
                Some(Token::Comma) => self.rest = &self.rest[1..],
                _ => return Some((is_negated, values)),
            }
        }
    }
}
