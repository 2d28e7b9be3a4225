//! From text to [`Test`]: recursive descent along CEL's own grammar and precedence, with types checked on the way.

use super::{ALLOWED, Fault, LENGTH, List, Test, Text};

/// How deep parentheses and `!` may be nested: what the parser, and everything that walks the result, recurses by.
const DEPTH: usize = 16;

#[derive(Clone, Debug, PartialEq)]
enum Token {
    /// A name, with its dots: `endpoint.name`. A leading dot is a call on what stands before.
    Word(String),
    Literal(String),
    Sign(&'static str),
}

const SIGNS: [&str; 10] = ["&&", "||", "==", "!=", "!", "(", ")", "[", "]", ","];

fn fault<T>(at: usize, what: impl Into<String>) -> Result<T, Fault> {
    Err(Fault { at: at + 1, what: what.into() })
}

/// Splits `text` into tokens, each with where it begins.
fn tokens(text: &str) -> Result<Vec<(usize, Token)>, Fault> {
    if let Some(at) = text.chars().position(|c| !c.is_ascii()) {
        // Letters that look alike would make an expression that nobody can read.
        return fault(at, "only ASCII characters are allowed");
    }
    if text.len() > LENGTH {
        return fault(LENGTH, format!("an expression has at most {LENGTH} characters"));
    }
    let mut found = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\t', '\r', '\n']);
        let at = text.len() - rest.len();
        let Some(first) = rest.chars().next() else { return Ok(found) };
        if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            rest = rest.get(sign.len()..).unwrap_or_default();
            found.push((at, Token::Sign(sign)));
        } else if first == '\'' || first == '"' {
            let Some((literal, after)) = rest.get(1..).and_then(|inner| inner.split_once(first)) else {
                return fault(at, "this text in quotes does not end");
            };
            if literal.contains('\\') || literal.contains(|c: char| c.is_ascii_control()) {
                return fault(at, "a text in quotes holds neither escapes nor line breaks");
            }
            if literal.contains(|c: char| c.is_ascii_uppercase()) {
                // It could equal nothing, and with != everything.
                return fault(at, "what ARM states is compared in lower case: write this text in lower case");
            }
            found.push((at, Token::Literal(literal.to_owned())));
            rest = after;
        } else if first.is_ascii_alphabetic() || first == '.' || first == '_' {
            let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '.' || c == '_')).unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            found.push((at, Token::Word(word.to_owned())));
            rest = after;
        } else {
            return fault(at, format!("{first:?} is not allowed here; {ALLOWED}"));
        }
    }
}

/// What a part of an expression is.
enum Part {
    Test(Test),
    Text(Text),
    List(List),
}

fn as_text(part: Part, at: usize) -> Result<Text, Fault> {
    match part {
        Part::Text(text) => Ok(text),
        _ => fault(at, "a text is needed here"),
    }
}

struct Parser {
    tokens: std::iter::Peekable<std::vec::IntoIter<(usize, Token)>>,
    /// Where the text ends, for what is missing there.
    end: usize,
    depth: usize,
}

/// Reads an expression.
pub(super) fn parse(text: &str) -> Result<Test, Fault> {
    let tokens = tokens(text)?.into_iter().peekable();
    let mut parser = Parser { tokens, end: text.len(), depth: 0 };
    let test = parser.test()?;
    match parser.tokens.next() {
        None => Ok(test),
        Some((at, _)) => fault(at, "the expression should end here, or go on with && or ||"),
    }
}

impl Parser {
    fn at(&mut self) -> usize {
        self.tokens.peek().map_or(self.end, |(at, _)| *at)
    }

    /// Takes `sign` if it comes next.
    fn takes(&mut self, sign: &str) -> bool {
        self.tokens.next_if(|(_, token)| matches!(token, Token::Sign(found) if *found == sign)).is_some()
    }

    fn expect(&mut self, sign: &str) -> Result<(), Fault> {
        let at = self.at();
        if self.takes(sign) { Ok(()) } else { fault(at, format!("{sign} is missing")) }
    }

    fn test(&mut self) -> Result<Test, Fault> {
        let at = self.at();
        match self.any()? {
            Part::Test(test) => Ok(test),
            _ => fault(at, "this is no condition: compare it, for example with =="),
        }
    }

    /// Parts joined by `sign`, each read by `read`.
    fn joined(
        &mut self,
        sign: &str,
        read: fn(&mut Self) -> Result<Part, Fault>,
        join: fn(Vec<Test>) -> Test,
    ) -> Result<Part, Fault> {
        let mut at = self.at();
        let mut part = read(self)?;
        let mut tests = Vec::new();
        loop {
            let more = self.takes(sign);
            if !more && tests.is_empty() {
                return Ok(part);
            }
            let Part::Test(test) = part else { return fault(at, format!("{sign} joins conditions, and this is none")) };
            tests.push(test);
            if !more {
                return Ok(Part::Test(join(tests)));
            }
            at = self.at();
            part = read(self)?;
        }
    }

    fn any(&mut self) -> Result<Part, Fault> {
        self.joined("||", Self::all, Test::Any)
    }

    fn all(&mut self) -> Result<Part, Fault> {
        self.joined("&&", Self::relation, Test::All)
    }

    fn relation(&mut self) -> Result<Part, Fault> {
        let at = self.at();
        let left = self.unary()?;
        let is_in = |token: &Token| matches!(token, Token::Word(word) if word == "in");
        let test = if self.takes("==") || self.tokens.peek().is_some_and(|(_, token)| *token == Token::Sign("!=")) {
            let differs = self.takes("!=");
            let left = as_text(left, at)?;
            let at = self.at();
            let right = self.unary()?;
            let equal = Test::Equal(left, as_text(right, at)?);
            if differs { Test::Not(Box::new(equal)) } else { equal }
        } else if self.tokens.next_if(|(_, token)| is_in(token)).is_some() {
            let text = as_text(left, at)?;
            let at = self.at();
            let Part::List(list) = self.unary()? else { return fault(at, "a list is needed after in") };
            Test::In(text, list)
        } else {
            return Ok(left);
        };
        Ok(Part::Test(test))
    }

    fn unary(&mut self) -> Result<Part, Fault> {
        let at = self.at();
        if !self.takes("!") {
            return self.member();
        }
        self.deeper(at)?;
        let inner = self.at();
        let Part::Test(test) = self.unary()? else {
            return fault(inner, "! turns a condition round, and this is none");
        };
        self.depth -= 1;
        Ok(Part::Test(Test::Not(Box::new(test))))
    }

    /// Counts one level more.
    fn deeper(&mut self, at: usize) -> Result<(), Fault> {
        self.depth += 1;
        if self.depth > DEPTH { fault(at, format!("more than {DEPTH} levels of ! and parentheses")) } else { Ok(()) }
    }

    /// A primary, and at most one call on it: what a call returns is a condition, which has none.
    fn member(&mut self) -> Result<Part, Fault> {
        let at = self.at();
        let (receiver, method) = self.primary()?;
        let method = match method {
            None => match self.tokens.next_if(|(_, token)| matches!(token, Token::Word(word) if word.starts_with('.')))
            {
                Some((at, Token::Word(word))) => Some((at, word.trim_start_matches('.').to_owned())),
                _ => return Ok(receiver),
            },
            method => method,
        };
        let Some((method_at, method)) = method else { return Ok(receiver) };
        let build = match method.as_str() {
            "startsWith" => Test::StartsWith,
            "endsWith" => Test::EndsWith,
            "contains" => Test::Contains,
            // all, exists, map, filter and matches among them: what could loop or grow is not there.
            _ => return fault(method_at, format!("unknown word; {ALLOWED}")),
        };
        let receiver = as_text(receiver, at)?;
        self.expect("(")?;
        let argument_at = self.at();
        // No nesting: an argument is a text or a fact, so it takes no stack.
        let argument = as_text(self.plain()?, argument_at)?;
        self.expect(")")?;
        Ok(Part::Test(build(receiver, argument)))
    }

    /// A text or a fact, with nothing around it.
    fn plain(&mut self) -> Result<Part, Fault> {
        let at = self.at();
        match self.tokens.next() {
            Some((_, Token::Literal(literal))) => Ok(Part::Text(Text::Literal(literal))),
            Some((at, Token::Word(word))) => match fact(&word) {
                Some(part) => Ok(part),
                None => fault(at, format!("unknown word; {ALLOWED}")),
            },
            _ => fault(at, "a text is needed here"),
        }
    }

    /// A primary; for a word that ends in a method, the method beside it.
    fn primary(&mut self) -> Result<(Part, Option<(usize, String)>), Fault> {
        let at = self.at();
        match self.tokens.next() {
            Some((_, Token::Literal(literal))) => Ok((Part::Text(Text::Literal(literal)), None)),
            Some((_, Token::Word(word))) => {
                if let Some(part) = fact(&word) {
                    return Ok((part, None));
                }
                match word.rsplit_once('.').and_then(|(fact_, method)| Some((fact(fact_)?, fact_.len(), method))) {
                    Some((part, dot, method)) => Ok((part, Some((at + dot + 1, method.to_owned())))),
                    None => fault(at, format!("unknown word; {ALLOWED}")),
                }
            }
            Some((_, Token::Sign("("))) => {
                self.deeper(at)?;
                let part = self.any()?;
                self.expect(")")?;
                self.depth -= 1;
                Ok((part, None))
            }
            Some((_, Token::Sign("["))) => {
                let mut texts = Vec::new();
                while !self.takes("]") {
                    if !texts.is_empty() {
                        self.expect(",")?;
                    }
                    let at = self.at();
                    let part = self.plain()?;
                    texts.push(as_text(part, at)?);
                }
                Ok((Part::List(List::Literal(texts)), None))
            }
            _ => fault(at, format!("something is missing here; {ALLOWED}")),
        }
    }
}

/// What a word stands for.
fn fact(word: &str) -> Option<Part> {
    Some(match word {
        "true" => Part::Test(Test::Constant(true)),
        "false" => Part::Test(Test::Constant(false)),
        "endpoint.id" => Part::Text(Text::Id),
        "endpoint.subscriptionId" => Part::Text(Text::Subscription),
        "endpoint.resourceGroup" => Part::Text(Text::ResourceGroup),
        "endpoint.name" => Part::Text(Text::Name),
        "endpoint.ownSubscription" => Part::Test(Test::OwnSubscription),
        "connection.subResources" => Part::List(List::SubResources),
        _ => return None,
    })
}
