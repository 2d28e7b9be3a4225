//! Path templates.

/// A path with parameters, some of which may stand for several segments.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    segments: Vec<Segment>,
    /// Query parameters that belong to the path (`x-ms-paths`), each with its value if one is given.
    pub(crate) query: Vec<(String, Option<String>)>,
}

#[derive(Clone, Debug)]
enum Segment {
    Literal(String),
    /// One segment.
    One(String),
    /// Any number of segments: a scope, or a parameter with `x-ms-skip-url-encoding`.
    Many(String),
}

impl Template {
    /// Reads a template as it stands under `paths` or `x-ms-paths`; `unescaped` tells parameters that contain slashes.
    pub(crate) fn parse(text: &str, unescaped: impl Fn(&str) -> bool) -> Self {
        let (path, query) = text.split_once('?').unwrap_or((text, ""));
        let parts: Vec<&str> = split(path).collect();
        let segments = parts.iter().enumerate().map(|(index, part)| {
            let Some(name) = part.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else {
                return Segment::Literal((*part).to_owned());
            };
            // What stands before a first `providers` is a scope, whether the file says so or not.
            let scope = index == 0 && parts.get(1) == Some(&"providers");
            if scope || unescaped(name) { Segment::Many(name.to_owned()) } else { Segment::One(name.to_owned()) }
        });
        let query = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| match pair.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (pair.to_owned(), None),
        });
        Self { segments: segments.collect(), query: query.collect() }
    }

    /// How many of the segments are given: the more, the better a match describes a path.
    pub(crate) fn literals(&self) -> usize {
        self.segments.iter().filter(|segment| matches!(segment, Segment::Literal(_))).count()
    }

    /// The parameters' values if the path matches; capitals do not matter in what is given.
    pub(crate) fn matches(&self, path: &[&str]) -> Option<Vec<(String, String)>> {
        let mut values = Vec::new();
        matched(&self.segments, path, &mut values).then(|| {
            values.reverse();
            values
        })
    }
}

/// Whether segments match; if so, `values` has the parameters from the last to the first.
fn matched(segments: &[Segment], path: &[&str], values: &mut Vec<(String, String)>) -> bool {
    let Some((segment, others)) = segments.split_first() else { return path.is_empty() };
    match (segment, path.split_first()) {
        (Segment::Literal(literal), Some((part, rest))) => {
            literal.eq_ignore_ascii_case(part) && matched(others, rest, values)
        }
        (Segment::One(name), Some((part, rest))) => {
            let fits = matched(others, rest, values);
            if fits {
                values.push((name.clone(), (*part).to_owned()));
            }
            fits
        }
        (Segment::Many(name), _) => {
            for length in 0..=path.len() {
                let (part, rest) = path.split_at(length);
                if matched(others, rest, values) {
                    values.push((name.clone(), part.join("/")));
                    return true;
                }
            }
            false
        }
        (_, None) => false,
    }
}

/// The segments of a path; doubled and trailing slashes count for nothing, as ARM has it.
pub(crate) fn split(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|part| !part.is_empty())
}
