//! Compares what Azure answered with what the simulator answers, and learns which of its names stand for which.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::allowed::{self, May};
use crate::cassette::{self, Response};
use crate::replay::Answer;

/// Headers whose presence tells a client what to do: the simulator may not add one where Azure has none.
const MEANINGFUL: [&str; 7] = [
    "Azure-AsyncOperation",
    "Location",
    "Retry-After",
    "ETag",
    "Azure-AsyncNotification",
    "x-ms-failure-cause",
    "x-ms-retry-after-ms",
];

/// Which of the recording's made-up names are which of the simulator's.
#[derive(Default)]
pub(crate) struct Names {
    /// Recorded → simulated.
    to: BTreeMap<String, String>,
    /// Simulated → recorded.
    from: BTreeMap<String, String>,
    /// Ids that the client chose or knew: they must come back as they were.
    sent: BTreeSet<String>,
}

impl Names {
    /// Remembers the ids in a request: the service did not make them up.
    pub(crate) fn sent(&mut self, text: &str) {
        let new: Vec<String> = uuids(text).into_iter().filter(|id| !self.to.contains_key(id)).collect();
        self.sent.extend(new);
    }

    /// A recorded text with the simulator's names in it.
    pub(crate) fn translate(&self, recorded: &str) -> String {
        let mut names: Vec<(&String, &String)> = self.to.iter().collect();
        names.sort_by_key(|(recorded, _)| std::cmp::Reverse(recorded.len()));
        let mut text = recorded.to_owned();
        for (recorded, simulated) in names {
            text = text.replace(recorded, simulated);
            if let (Ok(recorded), Ok(simulated)) = (uuid::Uuid::try_parse(recorded), uuid::Uuid::try_parse(simulated)) {
                text = text.replace(&recorded.simple().to_string(), &simulated.simple().to_string());
            }
        }
        text
    }

    /// Pairs two names; says why they cannot be a pair.
    pub(crate) fn pair(&mut self, recorded: &str, simulated: &str) -> Result<(), String> {
        if self.sent.contains(recorded) && recorded != simulated {
            return Err(format!("{recorded} came from the client and must stay; it is {simulated}"));
        }
        if let Some(known) = self.to.get(recorded).filter(|known| *known != simulated) {
            return Err(format!("{recorded} was {known} before and is now {simulated}"));
        }
        if let Some(known) = self.from.get(simulated).filter(|known| *known != recorded) {
            return Err(format!("{simulated} stands for two ids: {known} and {recorded}"));
        }
        self.to.insert(recorded.to_owned(), simulated.to_owned());
        self.from.insert(simulated.to_owned(), recorded.to_owned());
        Ok(())
    }

    /// Compares two texts that differ, made-up ids apart.
    fn texts(&mut self, recorded: &str, simulated: &str) -> Result<(), String> {
        let (ids, others) = (uuids(recorded), uuids(simulated));
        let alike = blanked(recorded) == blanked(simulated) && ids.len() == others.len() && !ids.is_empty();
        if !alike {
            return Err(differ(recorded, simulated));
        }
        ids.iter().zip(&others).try_for_each(|(id, other)| self.pair(id, other))
    }
}

fn differ(recorded: &str, simulated: &str) -> String {
    format!("Azure {recorded:?}, simulator {simulated:?}")
}

/// Where the UUIDs of a text begin, and how long each is: 36 with dashes, 32 without.
fn uuid_spans(text: &str) -> Vec<(usize, usize)> {
    let bytes = text.as_bytes();
    let mut spans = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let edge = at == 0 || !bytes[at - 1].is_ascii_alphanumeric();
        let length = [36, 32].into_iter().find(|length| {
            let end = at + length;
            let candidate = text.get(at..end).filter(|_| edge);
            let closed = bytes.get(end).is_none_or(|next| !next.is_ascii_alphanumeric());
            candidate.is_some_and(|candidate| closed && uuid::Uuid::try_parse(candidate).is_ok())
        });
        match length {
            Some(length) => {
                spans.push((at, length));
                at += length;
            }
            None => at += 1,
        }
    }
    spans
}

/// The UUIDs of a text, with dashes and in lower case.
fn uuids(text: &str) -> Vec<String> {
    let spans = uuid_spans(text).into_iter();
    spans
        .filter_map(|(at, length)| uuid::Uuid::try_parse(&text[at..at + length]).ok())
        .map(|id| id.to_string())
        .collect()
}

fn blanked(text: &str) -> String {
    let mut blank = text.to_owned();
    for (at, length) in uuid_spans(text).into_iter().rev() {
        blank.replace_range(at..at + length, if length == 36 { "{uuid}" } else { "{uuid without dashes}" });
    }
    blank
}

fn is_time(text: &str) -> bool {
    text.parse::<jiff::Timestamp>().is_ok()
}

fn may(pointer: &str) -> Option<May> {
    let ends_so = |pattern: &str| {
        let mut given = pointer.rsplit('/');
        let mut wanted = pattern.trim_start_matches('/').rsplit('/');
        wanted.all(|segment| given.next().is_some_and(|other| segment == "*" || segment == other))
    };
    allowed::FIELDS.iter().find(|field| ends_so(field.pointer)).map(|field| field.may)
}

/// Everything in which two answers differ beyond what is allowed; empty if they agree.
pub(crate) fn answers(names: &mut Names, recorded: &Response, simulated: &Answer) -> Vec<String> {
    let mut found = Vec::new();
    if recorded.code != simulated.status {
        let said = simulated.body.chars().take(300).collect::<String>();
        // The bodies of two different outcomes have nothing to compare.
        return vec![format!("status: Azure {}, simulator {} {said}", recorded.code, simulated.status)];
    }
    headers(names, recorded, simulated, &mut found);
    match (recorded.json(), serde_json::from_str(&simulated.body).ok()) {
        (Some(recorded), Some(simulated)) => values(names, "", &recorded, &simulated, &mut found),
        _ if recorded.body == simulated.body => {}
        _ => found.push(format!("body: {}", differ(&recorded.body, &simulated.body))),
    }
    found
}

fn headers(names: &mut Names, recorded: &Response, simulated: &Answer, found: &mut Vec<String>) {
    let compared = |name: &str| {
        !allowed::HEADERS.iter().any(|header| match header.name.strip_suffix('*') {
            Some(start) => name.len() >= start.len() && name[..start.len()].eq_ignore_ascii_case(start),
            None => name.eq_ignore_ascii_case(header.name),
        })
    };
    for name in recorded.headers.keys().filter(|name| compared(name)) {
        let theirs = recorded.header(name).unwrap_or_default();
        let Some(ours) = simulated.header(name) else {
            found.push(format!("header {name} is missing; Azure: {}", theirs.chars().take(200).collect::<String>()));
            continue;
        };
        let result =
            if theirs.starts_with("https://") { operation_urls(theirs, ours) } else { text(names, theirs, ours) };
        found.extend(result.err().map(|why| format!("header {name}: {why}")));
    }
    for name in MEANINGFUL {
        if let (None, Some(ours)) = (recorded.header(name), simulated.header(name)) {
            found.push(format!("header {name} should not be there: {}", ours.chars().take(200).collect::<String>()));
        }
    }
}

/// The URLs of an operation agree but for the operation's id, the host and the values of the query.
fn operation_urls(recorded: &str, simulated: &str) -> Result<(), String> {
    let shape = |url: &str| {
        let parent = cassette::path(url).rsplit_once('/').map_or(String::new(), |(parent, _)| parent.to_owned());
        (parent, cassette::query_names(url).join("&"))
    };
    let (theirs, ours) = (shape(recorded), shape(simulated));
    if theirs == ours { Ok(()) } else { Err(format!("Azure {theirs:?}, simulator {ours:?}")) }
}

fn text(names: &mut Names, recorded: &str, simulated: &str) -> Result<(), String> {
    let expected = names.translate(recorded);
    if expected == simulated || (is_time(recorded) && is_time(simulated)) {
        Ok(())
    } else {
        names.texts(recorded, simulated)
    }
}

fn values(names: &mut Names, pointer: &str, recorded: &Value, simulated: &Value, found: &mut Vec<String>) {
    match (recorded, simulated) {
        (recorded, simulated) if kind(recorded) == kind(simulated) && may(pointer) == Some(May::Vary) => {}
        (Value::String(recorded), Value::String(simulated)) if may(pointer) == Some(May::BeNamedOtherwise) => {
            found.extend(names.pair(recorded, simulated).err().map(|why| format!("{pointer}: {why}")));
        }
        (Value::Object(theirs), Value::Object(ours)) => {
            for (key, value) in theirs {
                let at = format!("{pointer}/{key}");
                match ours.get(key) {
                    Some(other) => values(names, &at, value, other, found),
                    None => found.push(format!("{at} is missing; Azure: {value}")),
                }
            }
            for (key, value) in ours.iter().filter(|(key, _)| !theirs.contains_key(*key)) {
                found.push(format!("{pointer}/{key} should not be there: {value}"));
            }
        }
        (Value::Array(theirs), Value::Array(ours)) if theirs.len() == ours.len() => {
            for (index, (value, other)) in theirs.iter().zip(ours).enumerate() {
                values(names, &format!("{pointer}/{index}"), value, other, found);
            }
        }
        (Value::String(recorded), Value::String(simulated)) => {
            found.extend(text(names, recorded, simulated).err().map(|why| format!("{pointer}: {why}")));
        }
        (Value::Number(theirs), Value::Number(ours)) if theirs.as_f64() == ours.as_f64() => {}
        (theirs, ours) if theirs == ours => {}
        (theirs, ours) => found.push(format!("{pointer}: Azure {theirs}, simulator {ours}")),
    }
}

fn kind(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Number(_) => 2,
        Value::String(text) => 3 + u8::from(is_time(text)),
        Value::Array(_) => 5,
        Value::Object(_) => 6,
    }
}
