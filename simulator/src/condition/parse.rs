//! From a condition's text to its parts.

use uuid::Uuid;

use super::{Attribute, BadCondition, Comparison, Expression, Name, Operand, Operator, Quantifier, Source};
use crate::{ids, providers, routes};

/// As long as Azure takes them (Microsoft's page on limits of conditions).
const LONGEST: usize = 8 * 1024;

/// Far deeper than any sensible condition, and far from what the stack holds.
const DEEPEST: usize = 64;

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Open,
    Close,
    OpenSet,
    CloseSet,
    Comma,
    Not,
    And,
    Or,
    Attribute(Attribute),
    Text(String),
    /// An operator, a function, a guid, a number.
    Word(String),
}

fn bad<T>(at: usize, message: impl Into<String>) -> Result<T, BadCondition> {
    Err(BadCondition { message: message.into(), at })
}

/// Whether a provider is one of those that are served, given lower-cased. Chosen: what belongs to none of them is taken
/// for misspelled.
fn is_served(namespace: &str) -> bool {
    providers::ALL.iter().any(|provider| provider.namespace.eq_ignore_ascii_case(namespace))
}

/// Whether a pattern, given lower-cased, can stand for an action: a misspelled one never fits, and behind a "not" it
/// would open what the condition was made to close. Data actions are not known one by one.
fn is_action(pattern: &str) -> bool {
    let namespace = pattern.split('/').next().unwrap_or_default();
    if namespace == "microsoft.authorization" {
        let mut known = routes::all().map(|(_, route)| route.action("").to_ascii_lowercase());
        return known.any(|action| ids::wildcard_lower(pattern, &action));
    }
    namespace.contains('*') || is_served(namespace)
}

fn attribute(source: &str, name: &str, at: usize) -> Result<Attribute, BadCondition> {
    let source = match source.to_ascii_lowercase().as_str() {
        "request" => Source::Request,
        "resource" => Source::Resource,
        "principal" | "environment" => Source::Elsewhere,
        _ => return bad(at, format!("'@{source}' is no source of attributes")),
    };
    let lower = name.to_ascii_lowercase();
    let name = match lower.strip_prefix("microsoft.authorization/") {
        None if lower.is_empty() => return bad(at, "an attribute has no name"),
        None if source != Source::Elsewhere && !is_served(lower.split('/').next().unwrap_or_default()) => {
            return bad(at, format!("'{name}' is no attribute"));
        }
        None => Name::Other(name.to_owned()),
        Some("roleassignments:roledefinitionid") => Name::RoleDefinitionId,
        Some("roleassignments:principalid") => Name::PrincipalId,
        Some("roleassignments:principaltype") => Name::PrincipalType,
        Some(_) => return bad(at, format!("'{name}' is not an attribute of role assignments")),
    };
    if source == Source::Elsewhere && !matches!(name, Name::Other(_)) {
        return bad(at, "who calls is no attribute of a role assignment");
    }
    Ok(Attribute { source, name })
}

fn is_word(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.' | ':' | '+')
}

fn tokens(text: &str) -> Result<Vec<(usize, Token)>, BadCondition> {
    let mut tokens = Vec::new();
    let mut rest = text.char_indices().peekable();
    while let Some((at, letter)) = rest.next() {
        let mut twice = |token| match rest.next_if(|(_, next)| *next == letter) {
            Some(_) => Ok(token),
            None => bad(at, format!("'{letter}' stands alone")),
        };
        let token = match letter {
            _ if letter.is_whitespace() => continue,
            '(' => Token::Open,
            ')' => Token::Close,
            '{' => Token::OpenSet,
            '}' => Token::CloseSet,
            ',' => Token::Comma,
            '!' => Token::Not,
            '&' => twice(Token::And)?,
            '|' => twice(Token::Or)?,
            '\'' => {
                let mut value = String::new();
                loop {
                    match rest.next() {
                        Some((_, '\'')) => break Token::Text(value),
                        Some((_, '\\')) => match rest.next() {
                            Some((_, escaped @ ('\'' | '\\'))) => value.push(escaped),
                            // Wildcards that mean themselves are decided by the operator.
                            Some((_, escaped)) => value.extend(['\\', escaped]),
                            None => return bad(at, "a text has no end"),
                        },
                        Some((_, letter)) => value.push(letter),
                        None => return bad(at, "a text has no end"),
                    }
                }
            }
            '@' => {
                let (mut source, mut name) = (String::new(), String::new());
                while let Some((_, letter)) = rest.next_if(|(_, next)| is_word(*next)) {
                    source.push(letter);
                }
                if rest.next().map(|(_, letter)| letter) != Some('[') {
                    return bad(at, "an attribute has no '['");
                }
                loop {
                    match rest.next() {
                        Some((_, ']')) => break,
                        Some((_, letter)) => name.push(letter),
                        None => return bad(at, "an attribute has no ']'"),
                    }
                }
                Token::Attribute(attribute(&source, name.trim(), at)?)
            }
            _ if is_word(letter) => {
                let mut word = String::from(letter);
                while let Some((_, letter)) = rest.next_if(|(_, next)| is_word(*next)) {
                    word.push(letter);
                }
                match word.to_ascii_uppercase().as_str() {
                    "AND" => Token::And,
                    "OR" => Token::Or,
                    "NOT" => Token::Not,
                    _ => Token::Word(word),
                }
            }
            _ => return bad(at, format!("'{letter}' is not understood")),
        };
        tokens.push((at, token));
    }
    Ok(tokens)
}

/// Reads an expression to the end of the text.
pub(super) fn parse(text: &str) -> Result<Expression, BadCondition> {
    if text.len() > LONGEST {
        return bad(LONGEST, "the condition is too long");
    }
    let mut parser = Parser { tokens: tokens(text)?, next: 0, end: text.len(), depth: 0 };
    let expression = parser.any()?;
    match parser.tokens.get(parser.next) {
        None => Ok(expression),
        Some((at, _)) => bad(*at, "something follows the end"),
    }
}

struct Parser {
    tokens: Vec<(usize, Token)>,
    next: usize,
    end: usize,
    depth: usize,
}

impl Parser {
    fn at(&self) -> usize {
        self.tokens.get(self.next).map_or(self.end, |(at, _)| *at)
    }

    fn take(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.next).map(|(_, token)| token.clone());
        self.next += usize::from(token.is_some());
        token
    }

    fn take_if(&mut self, wanted: &Token) -> bool {
        let found = self.tokens.get(self.next).is_some_and(|(_, token)| token == wanted);
        self.next += usize::from(found);
        found
    }

    fn expect(&mut self, wanted: &Token, what: &str) -> Result<(), BadCondition> {
        let at = self.at();
        if self.take_if(wanted) { Ok(()) } else { bad(at, format!("{what} is missing")) }
    }

    fn any(&mut self) -> Result<Expression, BadCondition> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return bad(self.at(), "the condition is too deep");
        }
        let mut parts = vec![self.all()?];
        while self.take_if(&Token::Or) {
            parts.push(self.all()?);
        }
        self.depth -= 1;
        Ok(if parts.len() == 1 { parts.remove(0) } else { Expression::Any(parts) })
    }

    fn all(&mut self) -> Result<Expression, BadCondition> {
        let mut parts = vec![self.one()?];
        while self.take_if(&Token::And) {
            parts.push(self.one()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Expression::All(parts) })
    }

    fn one(&mut self) -> Result<Expression, BadCondition> {
        let mut negated = false;
        while self.take_if(&Token::Not) {
            negated = !negated;
        }
        let part = self.part()?;
        Ok(if negated { Expression::Not(Box::new(part)) } else { part })
    }

    fn part(&mut self) -> Result<Expression, BadCondition> {
        let at = self.at();
        match self.take() {
            Some(Token::Open) => {
                let inner = self.any()?;
                self.expect(&Token::Close, "')'")?;
                Ok(inner)
            }
            Some(Token::Attribute(left)) => self.comparison(left),
            Some(Token::Word(word)) => match word.to_ascii_lowercase().as_str() {
                "actionmatches" => {
                    let patterns = self.texts(at)?;
                    if let Some(unknown) = patterns.iter().find(|pattern| !is_action(&pattern.to_ascii_lowercase())) {
                        return bad(at, format!("'{unknown}' is no action"));
                    }
                    Ok(Expression::ActionMatches(patterns.iter().map(|text| text.to_ascii_lowercase()).collect()))
                }
                "suboperationmatches" => self.texts(at).map(|_| Expression::SubOperationMatches),
                exists @ ("exists" | "notexists") => match self.take() {
                    Some(Token::Attribute(attribute)) if exists == "exists" => Ok(Expression::Exists(attribute)),
                    Some(Token::Attribute(attribute)) => Ok(Expression::Not(Box::new(Expression::Exists(attribute)))),
                    _ => bad(at, "an attribute is missing"),
                },
                _ => bad(at, format!("'{word}' is not understood")),
            },
            Some(_) => bad(at, "an expression is missing"),
            None => bad(at, "the condition has no end"),
        }
    }

    /// The texts of a set in braces.
    fn texts(&mut self, at: usize) -> Result<Vec<String>, BadCondition> {
        self.expect(&Token::OpenSet, "'{'")?;
        let values = self.values()?;
        if values.iter().all(|(text, quoted)| *quoted && !text.is_empty()) {
            return Ok(values.into_iter().map(|(text, _)| text).collect());
        }
        bad(at, "texts in quotes are wanted")
    }

    /// The rest of a set, and whether each value stands in quotes. No set is empty.
    fn values(&mut self) -> Result<Vec<(String, bool)>, BadCondition> {
        let mut values = vec![self.value()?];
        while self.take_if(&Token::Comma) {
            values.push(self.value()?);
        }
        self.expect(&Token::CloseSet, "'}'")?;
        Ok(values)
    }

    fn value(&mut self) -> Result<(String, bool), BadCondition> {
        let at = self.at();
        match self.take() {
            Some(Token::Text(text)) => Ok((text, true)),
            Some(Token::Word(word)) if word.eq_ignore_ascii_case("dateTime") => {
                self.expect(&Token::Open, "'('")?;
                let value = self.value()?;
                self.expect(&Token::Close, "')'")?;
                Ok(value)
            }
            Some(Token::Word(word)) => Ok((word, false)),
            _ => bad(at, "a value is missing"),
        }
    }

    fn comparison(&mut self, left: Attribute) -> Result<Expression, BadCondition> {
        let at = self.at();
        let Some(Token::Word(word)) = self.take() else { return bad(at, "an operator is missing") };
        let lower = word.to_ascii_lowercase();
        let (quantifier, name) = match lower.split_once(':') {
            Some((quantifier, name)) => (Some(quantifier), name),
            None => (None, lower.as_str()),
        };
        let quantifier_read = match quantifier {
            // On the left there is one value only, so that its half of the name makes no difference.
            None | Some("foranyofanyvalues" | "forallofanyvalues") => Quantifier { all_right: false },
            Some("foranyofallvalues" | "forallofallvalues") => Quantifier { all_right: true },
            Some(_) => return bad(at, format!("'{word}' is not an operator")),
        };
        let Some(operator) = operator(name) else { return bad(at, format!("'{word}' is not an operator")) };
        let right = self.right(operator)?;
        let several = match &right {
            Operand::Attribute(_) => false,
            Operand::Texts(values) => values.len() > 1,
            Operand::Guids(values) => values.len() > 1,
        };
        if several && quantifier.is_none() {
            return bad(at, "several values need an operator that says how many of them count");
        }
        Ok(Expression::Compare { left, quantifier: quantifier_read, operator, right })
    }

    fn right(&mut self, operator: Operator) -> Result<Operand, BadCondition> {
        let at = self.at();
        if let Some((_, Token::Attribute(attribute))) = self.tokens.get(self.next) {
            let attribute = attribute.clone();
            self.next += 1;
            return Ok(Operand::Attribute(attribute));
        }
        let values = if self.take_if(&Token::OpenSet) { self.values()? } else { vec![self.value()?] };
        match operator.comparison {
            Comparison::Guid => {
                let guids: Result<Vec<Uuid>, _> = values.iter().map(|(text, _)| Uuid::parse_str(text)).collect();
                guids.map(Operand::Guids).or_else(|_| bad(at, "guids are wanted"))
            }
            Comparison::Undecided => Ok(Operand::Texts(values.into_iter().map(|(text, _)| text).collect())),
            _ if values.iter().all(|(_, quoted)| *quoted) => {
                Ok(Operand::Texts(values.into_iter().map(|(text, _)| text).collect()))
            }
            _ => bad(at, "texts in quotes are wanted"),
        }
    }
}

/// The operators, lower-cased: Azure takes them in any case.
fn operator(name: &str) -> Option<Operator> {
    let undecided = [
        "boolequals",
        "boolnotequals",
        "datetimeequals",
        "datetimenotequals",
        "datetimegreaterthan",
        "datetimegreaterthanequals",
        "datetimelessthan",
        "datetimelessthanequals",
        "numericequals",
        "numericnotequals",
        "numericgreaterthan",
        "numericgreaterthanequals",
        "numericlessthan",
        "numericlessthanequals",
    ];
    let with = |comparison, negated| Some(Operator { comparison, negated });
    match name {
        "guidequals" => return with(Comparison::Guid, false),
        "guidnotequals" => return with(Comparison::Guid, true),
        _ if undecided.contains(&name) => return with(Comparison::Undecided, false),
        _ => {}
    }
    let text = name.strip_prefix("string")?;
    let (text, ignore_case) = text.strip_suffix("ignorecase").map_or((text, false), |text| (text, true));
    let (text, negated) = text.strip_prefix("not").map_or((text, false), |text| (text, true));
    let comparison = match text {
        "equals" => Comparison::Equals { ignore_case },
        "startswith" => Comparison::StartsWith { ignore_case },
        "like" => Comparison::Like { ignore_case },
        _ => return None,
    };
    with(comparison, negated)
}
