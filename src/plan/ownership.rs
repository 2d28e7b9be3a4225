//! Whose a tagged resource is: the owner tag, adoption and takeover.

use crate::api::common::{Acknowledgement, Adoption, Door, acknowledged};

use super::outcome::{Reason, Verdict};

/// Who an object is, for the owner tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The installation's id.
    pub installation: String,
    /// The kind.
    pub kind: &'static str,
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
}

/// How the operator came by a resource; the last part of the tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The operator created it.
    Created,
    /// It was there before and was adopted.
    Adopted,
}

impl Owner {
    fn prefix(&self) -> String {
        format!("{}/{}/{}/{}/", self.installation, self.kind, self.namespace, self.name)
    }

    /// The tag's value. At most 256 characters as Azure demands: installation ids and names are at most 63 each.
    pub fn tag(&self, origin: Origin) -> String {
        let origin = match origin {
            Origin::Created => "created",
            Origin::Adopted => "adopted",
        };
        format!("{}{origin}", self.prefix())
    }

    /// True if the tag names this object.
    pub fn is(&self, tag: &str) -> bool {
        tag.strip_prefix(&self.prefix()).is_some_and(|origin| origin == "created" || origin == "adopted")
    }
}

/// What may be done with a resource that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It carries our tag.
    Ours,
    /// It may be taken over with this tag.
    Take(String),
    /// It may be taken over with this tag if nothing else has to be written.
    TakeIfMatching(String),
    /// It may not be touched.
    Refused(Verdict),
}

/// Decides whether `owner` may write to a resource whose owner tag is `tag`.
pub fn claim(owner: &Owner, tag: Option<&str>, adoption: Adoption, acknowledge: &[Acknowledgement]) -> Claim {
    let adopted = || owner.tag(Origin::Adopted);
    match (tag, adoption) {
        (Some(tag), _) if owner.is(tag) => Claim::Ours,
        (Some(tag), Adoption::Always) if acknowledged(acknowledge, Door::Takeover, tag) => Claim::Take(adopted()),
        (Some(tag), _) => Claim::Refused(Verdict::new(
            Reason::OwnedElsewhere,
            format!(
                "it carries the owner tag {tag:?} of another object or installation, so it is left alone. To take it over, set \
                 adoption: Always and acknowledge {{door: Takeover, value: {tag:?}}}"
            ),
        )),
        (None, Adoption::Never) => Claim::Refused(Verdict::new(
            Reason::AdoptionRefused,
            "it exists already and this object did not create it, so it is left alone. To take it over, set adoption: \
             IfMatching (only if it already is as declared) or Always",
        )),
        (None, Adoption::IfMatching) => Claim::TakeIfMatching(adopted()),
        (None, Adoption::Always) => Claim::Take(adopted()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner() -> Owner {
        Owner { installation: "i".into(), kind: "AmlWorkspace", namespace: "team".into(), name: "fraud".into() }
    }

    #[test]
    fn only_the_tag_makes_it_ours() {
        let reason = |tag, adoption, acknowledge: &[Acknowledgement]| match claim(&owner(), tag, adoption, acknowledge)
        {
            Claim::Ours => "ours",
            Claim::Take(_) => "take",
            Claim::TakeIfMatching(_) => "matching",
            Claim::Refused(verdict) => verdict.reason.word(),
        };
        let foreign = "i/AmlWorkspace/team/other/created";
        let word = [Acknowledgement { door: Door::Takeover, value: foreign.into() }];
        for (tag, adoption, acknowledge, want) in [
            (Some("i/AmlWorkspace/team/fraud/created"), Adoption::Never, &[][..], "ours"),
            (Some("i/AmlWorkspace/team/fraud/adopted"), Adoption::Never, &[], "ours"),
            (Some("i/AmlWorkspace/team/fraud/created/x"), Adoption::Never, &[], "OwnedElsewhere"),
            (Some("j/AmlWorkspace/team/fraud/created"), Adoption::Always, &[], "OwnedElsewhere"),
            (Some(foreign), Adoption::IfMatching, &word, "OwnedElsewhere"),
            (Some(foreign), Adoption::Always, &word, "take"),
            (None, Adoption::Never, &[], "AdoptionRefused"),
            (None, Adoption::IfMatching, &[], "matching"),
            (None, Adoption::Always, &[], "take"),
        ] {
            assert_eq!(reason(tag, adoption, acknowledge), want, "{tag:?} {adoption:?}");
        }
    }

    #[test]
    fn the_longest_tag_fits() {
        let long = "x".repeat(63);
        let owner =
            Owner { installation: long.clone(), kind: "PrivateEndpointApproval", namespace: long.clone(), name: long };
        assert!(owner.tag(Origin::Created).len() <= 256);
    }
}
