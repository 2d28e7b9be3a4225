//! What a write of rules is for, in words.

use std::collections::BTreeMap;

/// Why each rule is written, by Azure name: what is the same for several is said once. With `most`, no more names than that are given
/// for each reason, for those who have little room.
pub fn because(causes: &BTreeMap<String, String>, most: Option<usize>) -> String {
    let mut rules: Vec<(&str, Vec<&str>)> = Vec::new();
    for (name, cause) in causes {
        match rules.iter_mut().find(|(known, _)| known == cause) {
            Some((_, names)) => names.push(name),
            None => rules.push((cause, vec![name])),
        }
    }
    let said = rules.iter().map(|(cause, names)| {
        let shown = &names[..names.len().min(most.unwrap_or(usize::MAX))];
        let (word, more) = match names.len() - shown.len() {
            0 if names.len() == 1 => ("rule", String::new()),
            0 => ("rules", String::new()),
            more => ("rules", format!(" and {more} more")),
        };
        format!("{word} {}{more}: {cause}", shown.join(", "))
    });
    said.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_the_same_for_several_rules_is_said_once() {
        let causes =
            |list: &[(&str, &str)]| list.iter().map(|(name, cause)| ((*name).into(), (*cause).into())).collect();
        let one = causes(&[("a", "Azure has no such rule")]);
        assert_eq!(because(&one, Some(2)), "rule a: Azure has no such rule");
        let some = causes(&[("a", "missing"), ("b", "changed"), ("c", "missing"), ("d", "missing")]);
        assert_eq!(because(&some, None), "rules a, c, d: missing; rule b: changed");
        assert_eq!(because(&some, Some(2)), "rules a, c and 1 more: missing; rule b: changed");
        assert_eq!(because(&BTreeMap::new(), None), "");
    }
}
