//! What is said of rules whose write takes longer than usual.

use crate::api::operation::Operation;
use crate::plan::outcome::{Reason, Verdict};
use crate::plan::workspace::is_about_rules;

/// What `operation` does to the rule `azure_name`, of whose object `said` is what was said last; `None` if it is not about that rule. An
/// operation that changes several does not name them: they are those of which it was said that they are being written.
pub fn written_by(operation: &Operation, azure_name: &str, said: Option<&str>) -> Option<Verdict> {
    if !is_about_rules(&operation.id) {
        return None;
    }
    let named = || operation.id.rsplit('/').next().is_some_and(|name| name.eq_ignore_ascii_case(azure_name));
    let of_several = [Reason::Updating, Reason::Overdue].map(Reason::word);
    match operation.verb.as_str() {
        "DELETE" => named().then(|| Verdict::new(Reason::Deleting, "the rule is being removed from Azure")),
        "PUT" => named().then(writing),
        _ => said.is_some_and(|said| of_several.contains(&said)).then(writing),
    }
}

fn writing() -> Verdict {
    Verdict::new(Reason::Updating, "the rule is being written to Azure")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_is_about_the_rules_that_it_names_or_that_wait_for_it() {
        let says = |verb: &str, id: &str, name: &str, said: Option<&str>| {
            let operation = Operation {
                id: format!("/subscriptions/s/workspaces/fraud{id}"),
                verb: verb.into(),
                body_hash: String::new(),
                started_at: String::new(),
                url: None,
            };
            written_by(&operation, name, said).map(|verdict| verdict.reason)
        };
        for (verb, id, name, said, want) in [
            ("PUT", "/outboundRules/a", "a", None, Some(Reason::Updating)),
            ("PUT", "/OutboundRules/A", "a", Some("Active"), Some(Reason::Updating)),
            ("PUT", "/outboundRules/a", "b", Some("Updating"), None),
            ("DELETE", "/outboundRules/a", "a", Some("Deleting"), Some(Reason::Deleting)),
            ("DELETE", "/outboundRules/a", "ba", Some("Deleting"), None),
            ("PATCH outboundRules", "/outboundRules", "a", Some("Updating"), Some(Reason::Updating)),
            ("PATCH outboundRules", "/outboundRules", "a", Some("Overdue"), Some(Reason::Updating)),
            ("PATCH outboundRules", "/outboundRules", "a", Some("Active"), None),
            ("PATCH outboundRules", "/outboundRules", "a", None, None),
            ("PATCH", "", "a", Some("Updating"), None),
            ("PUT", "", "fraud", Some("Updating"), None),
        ] {
            assert_eq!(says(verb, id, name, said), want, "{verb} {id} {name} {said:?}");
        }
    }
}
