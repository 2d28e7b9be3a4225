//! The posture as the objects by which policy engines report: `Report` of OpenReports (openreports/reports-api, v1alpha1), and the
//! `PolicyReport` before it (kubernetes-sigs/wg-policy-prototypes, v1alpha2).

use serde_json::{Value, json};

use crate::api::workspace::{Finding, FindingState, Severity};

use super::report::Said;

/// A kind of report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportKind {
    /// OpenReports.
    OpenReports,
    /// The one before it.
    PolicyReport,
}

impl ReportKind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::OpenReports, Self::PolicyReport];

    /// Group, version, kind and plural.
    pub const fn names(self) -> (&'static str, &'static str, &'static str, &'static str) {
        match self {
            Self::OpenReports => ("openreports.io", "v1alpha1", "Report", "reports"),
            Self::PolicyReport => ("wgpolicyk8s.io", "v1alpha2", "PolicyReport", "policyreports"),
        }
    }
}

/// The object that a report is about.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its namespace.
    pub namespace: &'a str,
    /// Its uid.
    pub uid: &'a str,
}

/// What the operator calls itself there.
const SOURCE: &str = "aml-operator";

/// The report about `subject`: it goes with it.
pub fn to_object(kind: ReportKind, subject: Subject<'_>, said: &Said) -> Value {
    let (group, version, name, _) = kind.names();
    let of = json!({"apiVersion": "aml-operator.io/v1alpha1", "kind": "AmlWorkspace", "name": subject.name, "uid": subject.uid});
    let mut scope = of.clone();
    scope["namespace"] = json!(subject.namespace);
    let status = &said.status;
    json!({
        "apiVersion": format!("{group}/{version}"),
        "kind": name,
        "metadata": {
            "name": format!("amlworkspace-{}", subject.name),
            "namespace": subject.namespace,
            "labels": {"app.kubernetes.io/managed-by": SOURCE, "aml-operator.io/workspace": subject.name},
            "ownerReferences": [of],
        },
        "scope": scope,
        "summary": {"pass": status.passed, "fail": status.failed, "warn": 0, "error": status.unknown, "skip": status.waived},
        "results": status.findings.iter().map(|finding| result(kind, finding)).collect::<Vec<_>>(),
    })
}

fn result(kind: ReportKind, finding: &Finding) -> Value {
    let word = if finding.state == FindingState::Fail.as_str() {
        "fail"
    } else if finding.state == FindingState::Waived.as_str() {
        "skip"
    } else {
        "error"
    };
    // The older kind knows no critical ones.
    let severity = match (kind, finding.severity.as_str()) {
        (ReportKind::PolicyReport, severity) if severity == Severity::Critical.as_str() => "high".to_owned(),
        (_, severity) => severity.to_ascii_lowercase(),
    };
    let since: Option<jiff::Timestamp> = finding.since.parse().ok();
    let mappings = &finding.mappings;
    let more = [
        ("azurePolicy", &mappings.azure_policy),
        ("mcsb", &mappings.mcsb),
        ("psRule", &mappings.ps_rule),
        ("checkov", &mappings.checkov),
    ];
    let mut properties = json!({"resource": finding.resource, "fix": finding.fix});
    for (name, value) in more {
        if let Some(value) = value {
            properties[name] = json!(value);
        }
    }
    json!({
        "policy": finding.check,
        "category": "Network security",
        "source": SOURCE,
        "result": word,
        "severity": severity,
        "scored": true,
        "message": finding.evidence,
        "timestamp": {"seconds": since.map_or(0, jiff::Timestamp::as_second), "nanos": 0},
        "properties": properties,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::workspace::Check;
    use crate::plan::posture::{Sight, report};

    #[test]
    fn findings_are_told_in_the_words_of_each_kind() {
        let sights = vec![
            Sight::fail(Check::ConnectionStrangerApproved, "/pe", "seen").about("/c"),
            Sight::unknown(Check::StorageSharedKeys, "/a", "403"),
            Sight::pass(Check::VaultPublicAccess, "/v"),
        ];
        let said = report(sights, None, None, "2026-06-01T00:00:00Z".parse().unwrap());
        let subject = Subject { name: "fraud", namespace: "team", uid: "u" };
        let made = to_object(ReportKind::OpenReports, subject, &said);
        assert_eq!(made["apiVersion"], "openreports.io/v1alpha1");
        assert_eq!(made["metadata"]["ownerReferences"][0]["uid"], "u", "it goes with the workspace's object");
        assert_eq!(made["summary"], json!({"pass": 1, "fail": 1, "warn": 0, "error": 1, "skip": 0}));
        let results = made["results"].as_array().unwrap();
        assert_eq!(
            (results.len(), &results[0]["severity"], &results[0]["result"]),
            (2, &json!("critical"), &json!("fail"))
        );
        assert_eq!(results[1]["properties"]["checkov"], "CKV2_AZURE_40");
        assert_eq!(results[0]["timestamp"]["seconds"], 1_780_272_000);
        let older = to_object(ReportKind::PolicyReport, subject, &said);
        assert_eq!((&older["kind"], &older["results"][0]["severity"]), (&json!("PolicyReport"), &json!("high")));
    }
}
