//! Where ARM and its specifications are known to disagree: there ARM is right.

use crate::exchange::Exchange;
use crate::outcome::{Finding, Rule};
use crate::resource::Target;

/// A contradiction to a specification that is no fault.
#[derive(Clone, Copy, Debug)]
pub struct Deviation {
    /// The resource type that the path names, with what follows it (a collection's or an action's name); `*` stands for any.
    pub target: &'static str,
    /// The rule that is broken.
    pub rule: Rule,
    /// Where it is, as in [`Finding::place`]; each `*` stands for any text.
    pub places: &'static [&'static str],
    /// The status answered, if it is so with one only.
    pub status: Option<u16>,
    /// Why it is no fault.
    pub reason: &'static str,
    /// Who says so.
    pub source: &'static str,
}

const NETWORK_RECORDING: &str = "recording of private endpoints, api-version 2024-03-01";
const AML_CLIENT_RECORDINGS: &str = "public recordings of azure-ai-ml's own tests";
const AML_RECORDING: &str = "recording of AML workspaces, api-version 2024-04-01";

/// All of them.
pub const DEVIATIONS: &[Deviation] = &[
    Deviation {
        target: "*",
        rule: Rule::Presence,
        places: &["response body"],
        status: Some(202),
        reason: "an operation was accepted; what it makes is shown when it is done",
        source: "ARM RPC, async-api-reference; recording of storage accounts",
    },
    Deviation {
        target: "Microsoft.ManagedIdentity/userAssignedIdentities",
        rule: Rule::Polling,
        places: &["response header location"],
        status: Some(201),
        reason: "the path of the resource made, which HTTP allows; there is nothing to poll",
        source: "recording of user-assigned identities; RFC 9110, 10.2.2",
    },
    Deviation {
        target: "Microsoft.Network/privateEndpoints",
        rule: Rule::UnknownProperty,
        places: &["response body */properties/isIPv6EnabledPrivateEndpoint", "response body */properties/resourceGuid"],
        status: None,
        reason: "the service shows more than its specification says",
        source: NETWORK_RECORDING,
    },
    Deviation {
        target: "Microsoft.Network/privateEndpoints/privateDnsZoneGroups",
        rule: Rule::UnknownProperty,
        places: &[
            "response body */type",
            "response body */properties/privateDnsZoneConfigs/*/etag",
            "response body */properties/privateDnsZoneConfigs/*/id",
            "response body */properties/privateDnsZoneConfigs/*/properties/provisioningState",
            "response body */properties/privateDnsZoneConfigs/*/type",
        ],
        status: None,
        reason: "the service shows more than its specification says",
        source: NETWORK_RECORDING,
    },
    Deviation {
        target: "Microsoft.Network/networkInterfaces",
        rule: Rule::UnknownProperty,
        places: &["response body */kind", "response body */managedBy", "response body */properties/allowPort25Out"],
        status: None,
        reason: "the service shows more than its specification says",
        source: NETWORK_RECORDING,
    },
    Deviation {
        target: "Microsoft.Authorization/roleAssignments",
        rule: Rule::Null,
        places: &[
            "response body */properties/condition",
            "response body */properties/conditionVersion",
            "response body */properties/createdBy",
            "response body */properties/delegatedManagedIdentityResourceId",
            "response body */properties/description",
        ],
        status: None,
        reason: "the service shows what was not given as null",
        source: "recording of role assignments, api-version 2022-04-01",
    },
    Deviation {
        target: "Microsoft.MachineLearningServices/workspaces",
        rule: Rule::UnknownProperty,
        places: &[
            "response body */etag",
            "response body */properties/EnableSoftwareBillOfMaterials",
            "response body */properties/allowRoleAssignmentOnRG",
            "response body */properties/creationTime",
            "response body */properties/ipAllowlist",
            "response body */properties/linkedModelInventoryArmId",
            "response body */properties/managedNetwork/changeableIsolationModes",
            "response body */properties/notebookInfo/isPrivateLinkEnabled",
            "response body */properties/sasGetterUri",
            "response body */properties/sdkTelemetryAppInsightsKey",
            "response body */properties/softDeleteEnabled",
        ],
        status: None,
        reason: "the service shows more than its specification says",
        source: AML_RECORDING,
    },
    Deviation {
        target: "Microsoft.MachineLearningServices/workspaces",
        rule: Rule::Null,
        places: &[
            "response body */properties/applicationInsights",
            "response body */properties/imageBuildCompute",
            "response body */properties/notebookInfo/notebookPreparationError",
            "response body */properties/serverlessComputeSettings",
        ],
        status: None,
        reason: "the service shows what was not given as null",
        source: AML_RECORDING,
    },
    Deviation {
        target: "Microsoft.MachineLearningServices/workspaces/listKeys",
        rule: Rule::Null,
        places: &["response body /appInsightsInstrumentationKey", "response body /containerRegistryCredentials*"],
        status: None,
        reason: "a workspace without them",
        source: AML_RECORDING,
    },
    Deviation {
        target: "Microsoft.MachineLearningServices/workspaces/outboundRules",
        rule: Rule::UnknownProperty,
        places: &["response body */location", "response body */tags"],
        status: None,
        reason: "the service shows them, though a rule has neither",
        source: "public report Azure/azure-rest-api-specs#28982, with an answer of 2024-04-01-preview",
    },
    Deviation {
        target: "Microsoft.MachineLearningServices/workspaces/outboundRules",
        rule: Rule::Null,
        places: &["response body */systemData"],
        status: None,
        reason: "the service shows it as null; nor is the `id` a full one there",
        source: "public report Azure/azure-rest-api-specs#28982, with an answer of 2024-04-01-preview",
    },
    Deviation {
        target: "Microsoft.MachineLearningServices/workspaces/outboundRules",
        rule: Rule::Form,
        places: &["response body */name"],
        status: None,
        reason: "the service's own rules are called `__SYS_…`, which the pattern for people's rules does not allow",
        source: "lists of real workspaces' rules in public reports",
    },
    Deviation {
        target: "Microsoft.MachineLearningServices/workspaces/computes",
        rule: Rule::UnknownProperty,
        places: &[
            "response body */properties/properties/applicationUris",
            "response body */properties/properties/createdBy",
            "response body */properties/properties/imageVersion",
            "response body */properties/properties/ipAddress",
            "response body */properties/provisioningWarnings",
        ],
        status: None,
        reason: "the service shows a virtual machine's details",
        source: AML_RECORDING,
    },
    Deviation {
        target: "Microsoft.MachineLearningServices/workspaces/computes",
        rule: Rule::Null,
        places: &[
            "response body */properties/properties/administratorAccount",
            "response body */properties/properties/notebookServerPort",
        ],
        status: None,
        reason: "the service shows what was not given as null",
        source: AML_RECORDING,
    },
    Deviation {
        target: "Microsoft.MachineLearningServices/workspaces/computes",
        rule: Rule::Parameter,
        places: &["request query underlyingResourceAction"],
        status: Some(202),
        reason: "the service takes a deletion without it",
        source: AML_RECORDING,
    },
    Deviation {
        target: "Microsoft.MachineLearningServices/workspaces/computes",
        rule: Rule::UnknownProperty,
        places: &["response body */properties/properties/enableBatchPrivateLink"],
        status: None,
        reason: "the service shows more than its specification says",
        source: AML_CLIENT_RECORDINGS,
    },
    Deviation {
        target: "Microsoft.MachineLearningServices/workspaces/computes",
        rule: Rule::Null,
        places: &[
            "response body */properties/properties/address",
            "response body */properties/properties/scaleSettings/nodeIdleTimeBeforeScaleDown",
        ],
        status: None,
        reason: "computes are shown in full, with what was not given as null",
        source: AML_CLIENT_RECORDINGS,
    },
    Deviation {
        target: "Microsoft.MachineLearningServices/workspaces",
        rule: Rule::UnknownProperty,
        places: &["request body /properties/allowRecoverSoftDeletedWorkspace"],
        status: None,
        reason: "Microsoft's own client sends it with a version that does not have it, and the service takes it",
        source: "azure-ai-ml 1.35 with api-version 2025-12-01",
    },
    Deviation {
        target: "Microsoft.MachineLearningServices/workspaces/connections*",
        rule: Rule::UnknownProperty,
        places: &[
            "response body */location",
            "response body */properties/error",
            "response body */properties/peRequirement",
            "response body */properties/peStatus",
            "response body */properties/useWorkspaceManagedIdentity",
            "response body */tags",
        ],
        status: None,
        reason: "the service shows what later versions specify",
        source: AML_RECORDING,
    },
    Deviation {
        target: "Microsoft.MachineLearningServices/workspaces/connections*",
        rule: Rule::Null,
        places: &["response body */properties/expiryTime"],
        status: None,
        reason: "a connection that does not expire",
        source: AML_RECORDING,
    },
];

/// The entry that says that a finding is no fault.
pub(crate) fn allowing(exchange: &Exchange, finding: &Finding) -> Option<&'static Deviation> {
    let target = Target::of(&exchange.path).map(|target| target.item_type()).unwrap_or_default();
    let target = target.trim_end_matches('/').to_lowercase();
    DEVIATIONS.iter().find(|deviation| {
        deviation.rule == finding.rule
            && deviation.status.is_none_or(|status| status == exchange.status)
            && matches(&deviation.target.to_lowercase(), &target)
            && deviation.places.iter().any(|place| matches(place, &finding.place))
    })
}

/// Whether `text` is `pattern`, in which each `*` stands for any text.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*').peekable();
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = rest.get(at + part.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    true
}
