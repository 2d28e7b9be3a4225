//! The table of checks: one row each. docs/posture.md is made from it.
//!
//! What a check is called elsewhere was read, each at its source: names of policy definitions in the repository Azure/azure-policy (the
//! file is beside each), rules in Azure/PSRule.Rules.Azure (`docs/en/rules/<rule>.md`), checks in bridgecrewio/checkov (the file is beside
//! each), controls in Microsoft's page "Security Control v3: Network security" and the service baselines that PSRule's pages link to. Where
//! nothing fits, nothing is named.

use crate::api::workspace::{Check, Mappings, Severity};

/// What there is to say of a check, whatever it came to.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// How bad the flaw is.
    pub severity: Severity,
    /// What is looked at.
    pub looks_at: &'static str,
    /// What to do: `{id}`, `{name}` and `{about}` stand for what was found.
    fix: &'static str,
    policy: Option<&'static str>,
    mcsb: Option<&'static str>,
    ps_rule: Option<&'static str>,
    checkov: Option<&'static str>,
}

const fn plain(severity: Severity, looks_at: &'static str, fix: &'static str) -> Row {
    Row { severity, looks_at, fix, policy: None, mcsb: None, ps_rule: None, checkov: None }
}

/// NS-1: Establish network segmentation boundaries.
const SEGMENTATION: Option<&str> = Some("NS-1");
/// NS-2: Secure cloud services with network controls.
const NETWORK_CONTROLS: Option<&str> = Some("NS-2");
/// NS-10: Ensure Domain Name System (DNS) security.
const DNS: Option<&str> = Some("NS-10");
/// IM-1: Use centralized identity and authentication system.
const IDENTITY: Option<&str> = Some("IM-1");
/// PA-7: Follow just enough administration (least privilege) principle.
const LEAST_PRIVILEGE: Option<&str> = Some("PA-7");

/// The row of `check`.
pub const fn row(check: Check) -> Row {
    use Severity::{Critical, High, Low, Medium};
    match check {
        Check::WorkspacePublicAccess => Row {
            // Machine Learning/Workspace_PublicNetworkAccessDisabled_Audit.json
            policy: Some("438c38d2-3772-465a-a9cc-7a6666a275ce"),
            mcsb: NETWORK_CONTROLS,
            ps_rule: Some("Azure.ML.PublicAccess"),
            // MLPublicAccess.py
            checkov: Some("CKV_AZURE_144"),
            ..plain(
                Critical,
                "`publicNetworkAccess` of the workspace. A list of addresses counts as open when it holds more than 65,536 of them",
                "publicNetworkAccess: Disabled, or networkAcls with fewer addresses, on the AmlWorkspace; without the operator: az ml workspace \
                 update --ids {id} --public-network-access Disabled",
            )
        },
        Check::StoragePublicAccess => Row {
            // Storage/StoragePublicNetworkAccess_AuditDeny.json
            policy: Some("b2982f36-99f2-4db5-8eff-283140c09693"),
            mcsb: NETWORK_CONTROLS,
            ps_rule: Some("Azure.Storage.Firewall"),
            // StorageAccountDisablePublicAccess.py
            checkov: Some("CKV_AZURE_59"),
            ..plain(
                Critical,
                "`publicNetworkAccess` and the firewall of the storage account. Selected addresses count as open when they are more than 65,536",
                "associatedResources.storageAccount.network.access: PrivateEndpoint on the AmlWorkspace; without the operator: az storage account update \
                 --ids {id} --public-network-access Disabled, or --default-action Deny with few addresses",
            )
        },
        Check::VaultPublicAccess => Row {
            // Key Vault/AzureKeyVaultPublicNetworkAccess_Audit.json
            policy: Some("405c5871-3e91-4644-8a63-58e19d68ff5b"),
            mcsb: NETWORK_CONTROLS,
            ps_rule: Some("Azure.KeyVault.Firewall"),
            // KeyVaultDisablesPublicNetworkAccess.py
            checkov: Some("CKV_AZURE_189"),
            ..plain(
                Critical,
                "`publicNetworkAccess` and the firewall of the key vault, as above",
                "associatedResources.keyVault.network.access: PrivateEndpoint on the AmlWorkspace; without the operator: az keyvault update --name {name} \
                 --public-network-access Disabled, or --default-action Deny with few addresses",
            )
        },
        Check::RegistryPublicAccess => Row {
            // Container Registry/ACR_PublicNetworkAccess_AuditDeny.json
            policy: Some("0fdf0491-d080-4575-b627-ad0e843cba0f"),
            mcsb: NETWORK_CONTROLS,
            ps_rule: Some("Azure.ACR.Firewall"),
            // ACRPublicNetworkAccessDisabled.py
            checkov: Some("CKV_AZURE_139"),
            ..plain(
                High,
                "`publicNetworkAccess` and the firewall of the container registry, as above",
                "associatedResources.containerRegistry.network.access: PrivateEndpoint on the AmlWorkspace (Premium only), and imageBuildCompute, which \
                 builds images then; without the operator: az acr update --name {name} --public-network-enabled false",
            )
        },
        Check::InsightsPublicAccess => Row {
            // Monitoring/ApplicationInsightsComponents_NetworkAccessEnabled_Deny.json
            policy: Some("1bc02227-0cb6-4e11-8f53-eb0b22eab7e8"),
            mcsb: NETWORK_CONTROLS,
            ..plain(
                Medium,
                "Whether the Application Insights component takes telemetry, and answers queries, from the internet. The log workspace behind \
                 it is not looked at",
                "associatedResources.applicationInsights.network.access: PrivateEndpoint on the AmlWorkspace, with monitorPrivateLinkScope on the \
                 VnetAttachments; without the operator: az monitor app-insights component update --ids {id} --ingestion-access Disabled \
                 --query-access Disabled",
            )
        },
        Check::StorageSharedKeys => Row {
            // Storage/StorageAccountAllowSharedKeyAccess_Audit.json
            policy: Some("8c6a50c6-9ffd-4ae7-986f-5fa6111f9a54"),
            mcsb: IDENTITY,
            ps_rule: Some("Azure.Storage.LocalAuth"),
            // graph_checks/azure/AzureStorageAccConfigSharedKeyAuth.yaml
            checkov: Some("CKV2_AZURE_40"),
            ..plain(
                High,
                "`allowSharedKeyAccess` of the storage account",
                "systemDatastoresAuthMode: Identity on the AmlWorkspace, then az storage account update --ids {id} --allow-shared-key-access false",
            )
        },
        Check::StorageAnonymousBlobs => Row {
            // Storage/ASC_Storage_DisallowPublicBlobAccess_Audit.json
            policy: Some("4fa4b6c0-31ca-4c0d-b10d-24b96f62a751"),
            mcsb: NETWORK_CONTROLS,
            ps_rule: Some("Azure.Storage.BlobPublicAccess"),
            // StorageBlobRestrictPublicAccess.py
            checkov: Some("CKV_AZURE_190"),
            ..plain(
                High,
                "`allowBlobPublicAccess` of the storage account",
                "az storage account update --ids {id} --allow-blob-public-access false",
            )
        },
        Check::RegistryAdminUser => Row {
            // Container Registry/ACR_AdminAccountDisabled_AuditDeny.json
            policy: Some("dc921057-6b28-4fbe-9b83-f7bec05db6c2"),
            mcsb: IDENTITY,
            ps_rule: Some("Azure.ACR.AdminUser"),
            // ACRAdminAccountDisabled.py
            checkov: Some("CKV_AZURE_137"),
            ..plain(
                High,
                "`adminUserEnabled` of the container registry",
                "az acr update --name {name} --admin-enabled false",
            )
        },
        Check::IsolationMode => Row {
            // Machine Learning/ManagedNetworkIsolationMode_Audit.json
            policy: Some("6ddb1705-c8cf-450e-aa4b-19ad6703c440"),
            mcsb: SEGMENTATION,
            ..plain(
                High,
                "The isolation mode of the managed network. Only `AllowOnlyApprovedOutbound` keeps data in",
                "managedNetwork.isolationMode: AllowOnlyApprovedOutbound on the AmlWorkspace. Computes in a network of your own need a waiver that \
                 says so",
            )
        },
        Check::ManagedNetworkInactive => Row {
            mcsb: SEGMENTATION,
            ..plain(
                Medium,
                "Whether the managed network is built",
                "managedNetwork.provision.when: Immediately on the AmlWorkspace; without the operator: az ml workspace provision-network --ids {id}",
            )
        },
        Check::RuleNotActive => plain(
            Medium,
            "Whether each outbound rule is in force, once the managed network is built. Rules that Azure is working on are left out",
            "See the condition Ready of the OutboundRule: it says what is missing. A rule that nobody needs: az ml workspace outbound-rule remove \
             --rule {name}",
        ),
        Check::RuleWildcardFqdn => Row {
            mcsb: SEGMENTATION,
            ..plain(
                Medium,
                "FQDN rules with `*`: anybody may get a name below such a domain",
                "Name the hosts that are needed, one OutboundRule each, or waive the check for the domain with the reason",
            )
        },
        Check::RuleBroadServiceTag => Row {
            mcsb: SEGMENTATION,
            ..plain(
                High,
                "Service-tag rules whose tag stands for other customers' resources too, such as AzureCloud or Storage",
                "Use a private endpoint instead, or addressPrefixes in the OutboundRule",
            )
        },
        Check::ImageBuildsCannotWork => plain(
            Low,
            "A registry with a restricted network, and no compute that builds images",
            "imageBuildCompute on the AmlWorkspace: name an AmlCompute cluster",
        ),
        Check::ConnectionStrangerApproved => Row {
            mcsb: NETWORK_CONTROLS,
            ..plain(
                Critical,
                "Approved private endpoint connections on the workspace and on what it depends on, which neither `ownSubscriptions` of the \
                 AzureConnection, nor a VnetAttachment, nor a policy's approval, nor an active outbound rule accounts for",
                "Find out who let it in. To cut it off: az network private-endpoint-connection reject --id {about}. If it is meant, name the \
                 endpoint in a PrivateEndpointApproval, or its subscription in ownSubscriptions",
            )
        },
        Check::ConnectionStrangerPending => Row {
            mcsb: NETWORK_CONTROLS,
            ..plain(
                Medium,
                "Pending private endpoint connections, judged the same way",
                "az network private-endpoint-connection reject --id {about}, or reject in a PrivateEndpointApproval on the resource",
            )
        },
        Check::ConnectionPendingTooLong => plain(
            Low,
            "Pending connections of somebody known that are older than seven days: by the time that Azure states, else since this operator \
             first saw them",
            "Decide: allow it in a PrivateEndpointApproval on the resource, or az network private-endpoint-connection reject --id {about}",
        ),
        Check::ServiceAndPrivateEndpoint => Row {
            mcsb: NETWORK_CONTROLS,
            ..plain(
                Low,
                "Subnets that reach storage account or key vault by a service endpoint, beside private endpoints",
                "Take the subnets out of the firewall of {name} once every network has a private endpoint (VnetAttachment)",
            )
        },
        Check::NoLineOfSight => plain(
            Medium,
            "Whether one network holds private endpoints of the workspace and of its storage account (or the account lets the subnet of the \
             workspace's endpoint in by a service endpoint), without which the studio shows no data",
            "A VnetAttachment with role: Services in the network that people use",
        ),
        Check::DnsIncomplete => Row {
            mcsb: DNS,
            ..plain(
                Medium,
                "Whether the host names of each private endpoint lead to it in each attached network",
                "See the condition DnsReady of the VnetAttachment {about}; with managementPolicy: Manage and dns.mode: Managed it makes what is \
                 missing",
            )
        },
        Check::SecurityGroupLacksRules => plain(
            Low,
            "The security group of each attached subnet that has one, against the outbound rules that Microsoft lists for Azure Machine Learning",
            "Add the outbound rules to the security group; the operator does not write those",
        ),
        Check::StorageWithoutEndpointPolicy => plain(
            Medium,
            "Security groups of attached subnets that let out to the tag Storage, without a service endpoint policy on the subnet",
            "Put a service endpoint policy with the team's own accounts on the subnet (serviceEndpointPolicies), with the service endpoint \
             Microsoft.Storage",
        ),
        Check::ApproverRoleTooWide => Row {
            mcsb: LEAST_PRIVILEGE,
            ..plain(
                High,
                "Assignments of the approver role, or of `approverRoleDefinitionId` of the AzureConnection, to the workspace's identity on more \
                 than one resource, in the workspace's subscription. What Azure itself assigns to the identity is not judged",
                "az role assignment delete --ids {about}; where an OutboundRule needs it, approverRole: Temporary",
            )
        },
        Check::ApproverRoleStanding => Row {
            mcsb: LEAST_PRIVILEGE,
            ..plain(
                Low,
                "The same on a single resource, but for what this operator assigned for a time: it is needed only until a rule is active",
                "az role assignment delete --ids {about}; where an OutboundRule needs it, approverRole: Temporary",
            )
        },
        Check::ComputeNotIsolated => Row {
            mcsb: SEGMENTATION,
            ..plain(
                High,
                "The condition Isolated of every AmlCompute of the workspace. Computes that no object declares are not looked at",
                "See the condition Isolated of the AmlCompute: it says what to do",
            )
        },
    }
}

impl Row {
    /// What to do about the flaw on `resource`.
    pub fn fix(&self, resource: &str, about: &str) -> String {
        let name = resource.rsplit('/').next().unwrap_or_default();
        self.fix.replace("{id}", resource).replace("{name}", name).replace("{about}", about)
    }

    /// What the check is called elsewhere.
    pub fn mappings(&self) -> Mappings {
        let text = |word: Option<&str>| word.map(ToOwned::to_owned);
        Mappings {
            azure_policy: text(self.policy),
            mcsb: text(self.mcsb),
            ps_rule: text(self.ps_rule),
            checkov: text(self.checkov),
        }
    }
}

/// The table as Markdown, for docs/posture.md.
pub fn to_markdown() -> String {
    let mut lines = vec![
        "| check | severity | what is looked at | what to do | elsewhere |".to_owned(),
        "|---|---|---|---|---|".to_owned(),
    ];
    for check in Check::ALL {
        let row = row(*check);
        let fix = row.fix.replace("{id}", "ID").replace("{name}", "NAME").replace("{about}", "ID");
        let code = |word: Option<&str>, from: &str| word.map(|word| format!("{from} `{word}`"));
        let names = [
            code(row.policy, "Azure Policy"),
            code(row.mcsb, "MCSB"),
            code(row.ps_rule, "PSRule"),
            code(row.checkov, "Checkov"),
        ];
        let names: Vec<String> = names.into_iter().flatten().collect();
        lines.push(format!(
            "| `{}` | {} | {} | {fix} | {} |",
            check.as_str(),
            row.severity.as_str(),
            row.looks_at,
            names.join(", ")
        ));
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixes_name_what_was_found() {
        let storage = row(Check::StoragePublicAccess).fix("/s/acc", "");
        assert!(storage.contains("az storage account update --ids /s/acc "), "{storage}");
        assert!(row(Check::RegistryAdminUser).fix("/s/acr", "").contains("--name acr "));
        assert!(row(Check::ConnectionStrangerApproved).fix("/pe", "/t/c").contains("--id /t/c."));
        for check in Check::ALL {
            let fix = row(*check).fix("/x/name", "/about");
            assert!(!fix.contains('{') && !fix.is_empty(), "{}: {fix}", check.as_str());
            // Two ids of the usual length in it, and it fits the schema.
            assert!(row(*check).fix(&"x".repeat(250), &"y".repeat(330)).chars().count() <= 1024, "{}", check.as_str());
        }
    }

    #[test]
    fn the_page_has_the_table_as_it_is() {
        let page = include_str!("../../../docs/posture.md");
        assert!(page.contains(&to_markdown()), "docs/posture.md: replace the table by\n{}", to_markdown());
    }
}
