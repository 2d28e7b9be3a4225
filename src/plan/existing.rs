//! What comes next for one resource that exists: whose it is, whether it is at rest, and whether it can become what is declared.

use crate::api::common::Recreate;

use super::attached::{Policies, Site};
use super::difference::{Difference, Mend};
use super::outcome::{Reason, Verdict};
use super::ownership::Claim;

/// One resource as ARM shows it, compared with what is declared.
pub(super) struct Existing<'a> {
    /// What it is called in messages, with its article.
    pub(super) noun: &'static str,
    /// Its owner tag.
    pub(super) tag: Option<&'a str>,
    /// Its state while ARM works on it.
    pub(super) moving: Option<&'a str>,
    /// Why its last creation or change failed, in ARM's words.
    pub(super) failed: Option<String>,
    /// Where it is not as declared.
    pub(super) differences: &'a [Difference],
    /// Whether it may be made anew; `None` where only people do that.
    pub(super) recreate: Option<Recreate>,
    /// What making it anew costs, for whoever has to decide on it.
    pub(super) loss: &'static str,
}

/// What comes next.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Next {
    /// Nothing can be done now.
    Stop(Verdict),
    /// It has to be deleted and made again, which is allowed, for this reason.
    Anew(String),
    /// It is written as declared, with this owner tag.
    Take(String),
    /// It differs, and can be changed in place.
    Change,
    /// Nothing is left to do.
    AsDeclared,
}

impl Existing<'_> {
    /// What comes next.
    pub(super) fn next(&self, site: &Site<'_>, policies: &Policies<'_>) -> Next {
        let claim = site.claim(self.tag, policies);
        if let Claim::Refused(verdict) = claim {
            return Next::Stop(verdict);
        }
        if let Some(state) = self.moving {
            let message = format!("Azure shows {} as {state}", self.noun);
            return Next::Stop(Verdict::new(Reason::Updating, message));
        }
        if let (Claim::TakeIfMatching(_), Some(first)) = (&claim, self.differences.first()) {
            let message = format!(
                "adoption: IfMatching takes over only what is as declared, but {}. Change the declaration, or set adoption: Always to \
                 have Azure changed",
                first.change()
            );
            return Next::Stop(Verdict::new(Reason::AdoptionRefused, message));
        }
        if let Some(why) = self.beyond_change() {
            return self.anew(why);
        }
        match claim {
            Claim::Take(tag) | Claim::TakeIfMatching(tag) => Next::Take(tag),
            _ if self.differences.is_empty() => Next::AsDeclared,
            _ => Next::Change,
        }
    }

    /// Why it cannot become what is declared, if so.
    fn beyond_change(&self) -> Option<String> {
        let fixed = self.differences.iter().find_map(|difference| match difference.mend {
            Mend::Recreate(why) | Mend::Never(why) => Some(format!("{} ({why})", difference.change())),
            _ => None,
        });
        let noun = self.noun;
        fixed.or_else(|| Some(format!("Azure shows {noun} as failed: {}", self.failed.as_ref()?)))
    }

    fn anew(&self, why: String) -> Next {
        let allow = match self.recreate {
            Some(Recreate::Allowed) => return Next::Anew(why),
            Some(Recreate::Never) => "set recreate: Allowed",
            None => "delete it in Azure, and it is made again",
        };
        let message = format!(
            "{why}: that takes making {} anew, which {}. Declare it as it is, or {allow}",
            self.noun, self.loss
        );
        Next::Stop(Verdict::new(Reason::NotChangeable, message))
    }
}
