//! Words of others, fit to be shown.

/// `words` without what could forge a line, and not too long.
pub(super) fn plain(words: &str) -> String {
    words.chars().take(300).map(|c| if c.is_control() { ' ' } else { c }).collect()
}
