//! What the demo prints: a time line that is read from top to bottom, with or without colour.

use std::env;
use std::io::{self, IsTerminal, Write};
use std::time::Instant;

/// Where lines are broken. Narrow enough for half a screen; never broken are lines that somebody may copy.
const WIDTH: usize = 110;
/// Where what belongs to a line of the time line begins: a little behind the line's own text.
const INDENT: usize = 20;

/// Who speaks in a line of the time line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Voice {
    /// The demo itself, which sets the stage and plays the people.
    Demo,
    /// An object of the cluster changed.
    Cluster,
    /// An event of the cluster.
    Event,
    /// A call that reached ARM.
    Arm,
}

impl Voice {
    fn word(self) -> &'static str {
        match self {
            Self::Demo => "demo",
            Self::Cluster => "cluster",
            Self::Event => "event",
            Self::Arm => "arm",
        }
    }

    fn paint(self) -> Paint {
        match self {
            Self::Demo => Paint::Bold,
            Self::Cluster => Paint::Cyan,
            Self::Event => Paint::Plain,
            Self::Arm => Paint::Dim,
        }
    }
}

/// How a text looks where there is colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paint {
    /// As it is.
    Plain,
    /// Of little weight.
    Dim,
    /// A heading.
    Bold,
    /// Well.
    Green,
    /// Not there yet.
    Yellow,
    /// Wrong.
    Red,
    /// An object.
    Cyan,
}

impl Paint {
    fn code(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Dim => Some("2"),
            Self::Bold => Some("1"),
            Self::Green => Some("32"),
            Self::Yellow => Some("33"),
            Self::Red => Some("31"),
            Self::Cyan => Some("36"),
        }
    }
}

/// Prints. Errors are those of standard output: who no longer listens need not be told.
#[derive(Debug)]
pub(crate) struct Narrator {
    start: Instant,
    colour: bool,
}

impl Narrator {
    /// Time starts now. Colour is for terminals whose user has not said no (no-color.org).
    pub(crate) fn new() -> Self {
        let refused = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = env::var_os("TERM").is_none_or(|term| term == "dumb");
        Self { start: Instant::now(), colour: io::stdout().is_terminal() && !refused && !dumb }
    }

    /// `text` as `paint` has it.
    pub(crate) fn paint(&self, paint: Paint, text: &str) -> String {
        match paint.code().filter(|_| self.colour) {
            Some(code) => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            None => text.to_owned(),
        }
    }

    /// One line of the time line.
    ///
    /// # Errors
    /// If nobody listens any more; so for all below.
    pub(crate) fn line(&self, voice: Voice, text: &str) -> io::Result<()> {
        let time = self.paint(Paint::Dim, &format!("{:6.1} s", self.start.elapsed().as_secs_f64()));
        let word = self.paint(voice.paint(), &format!("{:<7}", voice.word()));
        self.put(&format!("{time}  {word} {text}"))
    }

    /// What belongs to the line above, broken into lines.
    pub(crate) fn more(&self, text: &str) -> io::Result<()> {
        self.block(INDENT, text)
    }

    /// Text in lines that begin after `indent` spaces.
    pub(crate) fn block(&self, indent: usize, text: &str) -> io::Result<()> {
        for line in wrapped(text, WIDTH - indent) {
            self.put(&format!("{:indent$}{}", "", self.paint(Paint::Dim, &line)))?;
        }
        Ok(())
    }

    /// What belongs to the line above and may be copied: in one piece.
    pub(crate) fn verbatim(&self, text: &str) -> io::Result<()> {
        self.put(&format!("{:INDENT$}{text}", ""))
    }

    /// A heading.
    pub(crate) fn heading(&self, text: &str) -> io::Result<()> {
        self.put(&format!("\n{}\n", self.paint(Paint::Bold, text)))
    }

    /// Text that is no part of the time line.
    pub(crate) fn say(&self, text: &str) -> io::Result<()> {
        self.put(text.trim_end())
    }

    fn put(&self, text: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        writeln!(out, "{text}")?;
        out.flush()
    }
}

/// `text` in lines of at most `width` characters, broken at white space; what has none is left whole.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_at_spaces_and_ids_stay_whole() {
        let id = "/subscriptions/00000000-0000-0000-0000-000000000001";
        let lines = wrapped(&format!("reach  {id}\nor ask"), 12);
        assert_eq!(lines, ["reach", id, "or ask"]);
        assert!(wrapped(" ", 10).is_empty());
    }
}
