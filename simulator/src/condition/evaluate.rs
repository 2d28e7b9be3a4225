//! Whether a condition lets an action pass.
//!
//! In three values: what depends on something unknown is unknown, also when it is negated, and unknown means no. With
//! two values a `!` in front of a comparison of something absent would open what the condition was made to close.

use uuid::Uuid;

use super::{ASSIGNING, Attribute, Comparison, Condition, Expression, Name, Operand, Operator, Quantifier, Source};
use crate::ids;

/// What a condition can ask about.
pub(crate) trait Facts {
    /// The value of an attribute; `None` if it has none, or is not known.
    fn value(&self, source: Source, name: &Name) -> Option<String>;
}

/// Nothing is known: for questions that are not about one call.
pub(crate) struct NoFacts;

impl Facts for NoFacts {
    fn value(&self, _: Source, _: &Name) -> Option<String> {
        None
    }
}

/// True, false, or unknown.
type Truth = Option<bool>;

fn any(parts: impl Iterator<Item = Truth>) -> Truth {
    let mut outcome = Some(false);
    for part in parts {
        match part {
            Some(true) => return part,
            Some(false) => {}
            None => outcome = None,
        }
    }
    outcome
}

fn negate(truth: Truth) -> Truth {
    truth.map(|known| !known)
}

fn all(parts: impl Iterator<Item = Truth>) -> Truth {
    negate(any(parts.map(negate)))
}

impl Condition {
    /// Whether `action` may be done, with its name lower-cased.
    pub(crate) fn allows(&self, action: &str, facts: &dyn Facts) -> bool {
        // Who hands on roles is limited by every condition: one that names neither the action nor the attribute as they
        // are spelled was perhaps meant for this.
        (self.data_plane && !ASSIGNING.contains(&action)) || self.expression.truth(action, facts) == Some(true)
    }
}

impl Expression {
    fn truth(&self, action: &str, facts: &dyn Facts) -> Truth {
        match self {
            Self::Any(parts) => any(parts.iter().map(|part| part.truth(action, facts))),
            Self::All(parts) => all(parts.iter().map(|part| part.truth(action, facts))),
            Self::Not(part) => negate(part.truth(action, facts)),
            Self::ActionMatches(patterns) => Some(patterns.iter().any(|pattern| ids::wildcard_lower(pattern, action))),
            Self::SubOperationMatches => Some(false),
            Self::Exists(attribute) => match attribute.name {
                // Whether something unknown exists is unknown too.
                Name::Other(_) => None,
                _ => Some(attribute.value(facts).is_some()),
            },
            Self::Compare { left, quantifier, operator, right } => {
                let left = left.value(facts)?;
                match right {
                    Operand::Texts(values) => compare(&left, *quantifier, *operator, values.iter().map(String::as_str)),
                    Operand::Guids(values) => {
                        // Something that is no guid is neither equal to one nor safely different.
                        let left = Uuid::parse_str(&left).ok()?;
                        let equal = values.iter().map(|value| Some((left == *value) != operator.negated));
                        if quantifier.all_right { all(equal) } else { any(equal) }
                    }
                    Operand::Attribute(attribute) => {
                        let right = attribute.value(facts)?;
                        if operator.comparison == Comparison::Guid {
                            let equal = Uuid::parse_str(&left).ok()? == Uuid::parse_str(&right).ok()?;
                            return Some(equal != operator.negated);
                        }
                        compare(&left, *quantifier, *operator, [right.as_str()].into_iter())
                    }
                }
            }
        }
    }
}

impl Attribute {
    fn value(&self, facts: &dyn Facts) -> Option<String> {
        facts.value(self.source, &self.name)
    }
}

/// The attributes known here have one value each, so that it makes no difference whether one or all on the left count.
fn compare<'a>(left: &str, quantifier: Quantifier, operator: Operator, values: impl Iterator<Item = &'a str>) -> Truth {
    let mut fits = values.map(|right| operator.comparison.fits(left, right).map(|fits| fits != operator.negated));
    if quantifier.all_right { all(&mut fits) } else { any(&mut fits) }
}

impl Comparison {
    fn fits(self, left: &str, right: &str) -> Truth {
        let fold = |text: &str, ignore_case: bool| if ignore_case { text.to_lowercase() } else { text.to_owned() };
        match self {
            Self::Equals { ignore_case } => Some(fold(left, ignore_case) == fold(right, ignore_case)),
            Self::StartsWith { ignore_case } => Some(fold(left, ignore_case).starts_with(&fold(right, ignore_case))),
            Self::Like { ignore_case } => Some(like(&fold(right, ignore_case), &fold(left, ignore_case))),
            Self::Guid | Self::Undecided => None,
        }
    }
}

/// One letter of a pattern.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Like {
    Run,
    One,
    Letter(char),
}

/// `*` stands for any run of characters, `?` for one, and `\` takes the meaning from the one after it. Goes back to the
/// last `*` only, so that no pattern takes longer than its length times the text's.
fn like(pattern: &str, text: &str) -> bool {
    let mut letters = pattern.chars();
    let mut pattern = Vec::new();
    while let Some(letter) = letters.next() {
        pattern.push(match letter {
            '*' => Like::Run,
            '?' => Like::One,
            '\\' => Like::Letter(letters.next().unwrap_or('\\')),
            _ => Like::Letter(letter),
        });
    }
    let text: Vec<char> = text.chars().collect();
    let (mut at, mut next) = (0, 0);
    // Where the last run stands, and up to where it has reached.
    let mut run: Option<(usize, usize)> = None;
    while at < text.len() {
        match pattern.get(next) {
            Some(Like::Run) => {
                run = Some((next, at));
                next += 1;
            }
            Some(Like::One) => (at, next) = (at + 1, next + 1),
            Some(Like::Letter(letter)) if *letter == text[at] => (at, next) = (at + 1, next + 1),
            _ => {
                let Some((star, reached)) = run else { return false };
                run = Some((star, reached + 1));
                (at, next) = (reached + 1, star + 1);
            }
        }
    }
    pattern[next..].iter().all(|rest| *rest == Like::Run)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER: &str = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635";
    const READER: &str = "acdd72a7-3385-48ef-bd42-f606fba81ae7";
    const WRITE: &str = "microsoft.authorization/roleassignments/write";

    /// The same role and type, asked for and there.
    struct Of(&'static str, &'static str);

    impl Facts for Of {
        fn value(&self, source: Source, name: &Name) -> Option<String> {
            match (source, name) {
                (Source::Elsewhere, _) | (_, Name::Other(_) | Name::PrincipalId) => None,
                (_, Name::RoleDefinitionId) => Some(self.0.to_owned()),
                (_, Name::PrincipalType) => Some(self.1.to_owned()),
            }
        }
    }

    fn role(operator: &str, values: &str) -> String {
        format!("@Request[Microsoft.Authorization/roleAssignments:RoleDefinitionId] {operator} {values}")
    }

    fn allows(text: &str, facts: &dyn Facts) -> bool {
        Condition::parse(text).unwrap().allows(WRITE, facts)
    }

    #[test]
    fn comparisons_mean_what_their_names_say() {
        let reader = Of(READER, "ServicePrincipal");
        let type_ = "@Request[microsoft.authorization/ROLEASSIGNMENTS:principaltype]";
        for (text, expected) in [
            (role("GuidEquals", READER), true),
            (role("ForAnyOfAnyValues:GuidEquals", &format!("{{{OWNER}, {READER}}}")), true),
            (role("ForAnyOfAnyValues:GuidEquals", &format!("{{{OWNER}}}")), false),
            (role("ForAnyOfAllValues:GuidNotEquals", &format!("{{{OWNER}, {READER}}}")), false),
            (role("ForAnyOfAllValues:GuidNotEquals", &format!("{{{OWNER}}}")), true),
            // "Not one of them" said the wrong way lets everything pass, as it does in Azure.
            (role("ForAnyOfAnyValues:GuidNotEquals", &format!("{{{OWNER}, {READER}}}")), true),
            (format!("{type_} StringEquals 'serviceprincipal'"), false),
            (format!("{type_} stringequalsignorecase 'serviceprincipal'"), true),
            (format!("{type_} StringNotEquals 'User'"), true),
            (format!("{type_} StringLike 'Service*'"), true),
            (format!("{type_} StringLike 'Serv?cePrinc*al'"), true),
            (format!("{type_} StringLike 'Service\\*'"), false),
            (format!("{type_} StringNotStartsWith 'Service'"), false),
            (format!("Exists {type_}"), true),
            (format!("NOT Exists {type_} || {type_} StringStartsWith 'Ser'"), true),
            ("@Request[Microsoft.Authorization/roleAssignments:RoleDefinitionId] GuidEquals @Resource[Microsoft.Authorization/roleAssignments:RoleDefinitionId]".into(), true),
        ] {
            assert_eq!(allows(&text, &reader), expected, "{text}");
        }
    }

    #[test]
    fn and_binds_closer_than_or() {
        let yes = "ActionMatches{'Microsoft.Authorization/roleAssignments/*'}";
        let no = "ActionMatches{'Microsoft.Authorization/roleAssignments/read'}";
        let facts = Of(READER, "User");
        assert!(allows(&format!("{yes} OR {yes} AND {no}"), &facts));
        assert!(!allows(&format!("({yes} OR {yes}) AND {no}"), &facts));
        assert!(allows(&format!("!{no} && !!{yes}"), &facts));
    }

    #[test]
    fn what_is_unknown_is_refused_also_when_negated() {
        let facts = Of(READER, "User");
        for text in [
            "@Request[Microsoft.Authorization/roleAssignments:PrincipalId] GuidEquals 00000000-0000-0000-0000-000000000001",
            "!(@Request[Microsoft.Authorization/roleAssignments:PrincipalId] GuidEquals 00000000-0000-0000-0000-000000000001)",
            "@Principal[Microsoft.Directory/CustomSecurityAttributes/Id:Team_Name] StringEquals 'a'",
            "!(@Environment[UtcNow] DateTimeGreaterThan dateTime('2020-01-01T00:00:00.0Z'))",
            "ActionMatches{'Microsoft.Authorization/*'} AND NotExists @Resource[Microsoft.Storage/x:y]",
        ] {
            assert!(!allows(text, &facts), "{text}");
        }
    }

    #[test]
    fn conditions_on_data_have_no_say_in_control() {
        let prefix = "(!(ActionMatches{'Microsoft.Storage/storageAccounts/blobServices/containers/blobs/tags/read'}) AND !(ActionMatches{'Microsoft.Storage/storageAccounts/blobServices/containers/blobs/filter/action'} AND SubOperationMatches{'Blob.List'})) OR (@Resource[Microsoft.Storage/storageAccounts/blobServices/containers:name] StringStartsWithIgnoreCase '0b1f' AND @Resource[Microsoft.Storage/storageAccounts/blobServices/containers:name] StringLikeIgnoreCase '*-azureml-*')";
        assert!(allows(prefix, &Of(OWNER, "User")));
        let bare = "@Resource[Microsoft.Storage/storageAccounts/blobServices/containers:Name] stringEquals 'foo'";
        let read = "microsoft.storage/storageaccounts/read";
        assert!(Condition::parse(bare).unwrap().allows(read, &Of(OWNER, "User")));
        // But for handing on roles, which it does not exempt.
        assert!(!allows(bare, &Of(OWNER, "User")));
        // The same beside a limit on assignments does not lift the limit.
        assert!(!allows(&format!("({prefix}) AND {}", role("GuidEquals", READER)), &Of(OWNER, "User")));
    }

    #[test]
    fn what_is_not_understood_is_said_so() {
        let deep = format!("{}ActionMatches{{'x'}}{}", "(".repeat(100), ")".repeat(100));
        let long = format!("ActionMatches{{'{}'}}", "x".repeat(9000));
        for text in [
            "",
            "true",
            "(",
            "ActionMatches{'a'",
            "ActionMatches{}",
            "ActionMatches{a}",
            "ActionMatches{'a'} ActionMatches{'b'}",
            "ActionMatches{'a'} AND",
            "ActionMatches{'a'} & ActionMatches{'b'}",
            "@Request[Microsoft.Authorization/roleAssignments:Scope] StringEquals 'x'",
            "@Anything[a] StringEquals 'x'",
            "@Request[] StringEquals 'x'",
            "@Request[a StringEquals 'x'",
            "@Request[a] StringEquals x",
            "@Request[a] Matches 'x'",
            "@Request[Microsoft.Authorisation/roleAssignments:PrincipalType] StringEquals 'User'",
            "!(ActionMatches{'Microsoft.Authorization/roleAssignments/wirte'})",
            "!(ActionMatches{'Microsoft.Authorization/roleAssignment/write'})",
            "!(ActionMatches{'Microsoft.Authorisation/roleAssignments/write'})",
            "@Request[a] ForSome:StringEquals 'x'",
            "@Request[a] StringEquals {'x', 'y'}",
            "@Request[Microsoft.Authorization/roleAssignments:PrincipalId] GuidEquals 'me'",
            "@Request[a] StringEquals 'x",
            "#",
            &deep,
            &long,
        ] {
            assert!(Condition::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn patterns_match_in_reasonable_time() {
        for (pattern, text, expected) in
            [("", "", true), ("*", "", true), ("a*b", "axxb", true), ("a*b", "axxbc", false), ("*?", "", false)]
        {
            assert_eq!(like(pattern, text), expected, "{pattern} on {text}");
        }
        assert!(!like(&format!("{}b", "*a".repeat(2000)), &"a".repeat(3000)));
    }
}
