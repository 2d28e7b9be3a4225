//! Drift: what somebody else changed of a workspace that was as declared.

use crate::api::common::Drift;

use super::WorkspacePlan;

/// Which generation of the spec Azure matches now, given the one that it matched last.
pub fn in_place(decided: &WorkspacePlan, generation: Option<i64>, last: Option<i64>) -> Option<i64> {
    match decided.in_place {
        Some(true) => generation,
        Some(false) => None,
        // What could not be seen is as it was.
        None => last,
    }
}

/// What was changed behind the operator's back, found at `now`: where Azure differs from the `generation` that it matched `last`. It
/// is noticed once, because what differs is not in place any more; what differs from another generation is only not written yet.
pub fn noticed(decided: &WorkspacePlan, generation: Option<i64>, last: Option<i64>, now: &str) -> Vec<Drift> {
    if last.is_none() || last != generation {
        return Vec::new();
    }
    let drift = |difference: &super::Difference| Drift {
        field: difference.field.chars().take(256).collect(),
        found: difference.found(),
        wanted: Some(difference.wanted()),
        at: now.to_owned(),
    };
    decided.differences.iter().map(drift).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::difference::Mend;
    use crate::plan::{Reason, Verdict};

    fn decided(differs: Option<bool>) -> WorkspacePlan {
        let difference = super::super::Difference {
            field: "properties.publicNetworkAccess".into(),
            found: Some("Enabled".into()),
            wanted: Some("Disabled".into()),
            mend: Mend::Tags,
        };
        let plan = WorkspacePlan::blocked(Verdict::new(Reason::Updating, ""));
        match differs {
            None => plan,
            Some(differs) => {
                WorkspacePlan { differences: differs.then_some(difference).into_iter().collect(), ..plan }.compared()
            }
        }
    }

    #[test]
    fn drift_is_what_differs_from_what_was_in_place_and_is_noticed_once() {
        // What ARM shows in turn, the object's generation at that time, and how much is noticed.
        let mut last = None;
        for (what, differs, generation, count) in [
            ("it is made", Some(true), 1, 0),
            ("it is there", Some(false), 1, 0),
            ("somebody changed it", Some(true), 1, 1),
            ("it is not put right yet", Some(true), 1, 0),
            ("Azure works on it", None, 1, 0),
            ("it is right again", Some(false), 1, 0),
            ("somebody else's change is under way", None, 1, 0),
            ("and shows", Some(true), 1, 1),
            ("it is right again", Some(false), 1, 0),
            ("something else is declared", Some(true), 2, 0),
            ("that is there", Some(false), 2, 0),
            ("somebody changed it", Some(true), 2, 1),
        ] {
            let decided = decided(differs);
            assert_eq!(noticed(&decided, Some(generation), last, "now").len(), count, "{what}");
            last = in_place(&decided, Some(generation), last);
        }
    }
}
