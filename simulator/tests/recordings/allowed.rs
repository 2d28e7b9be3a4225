//! The whole list of what the simulator need not answer as Azure did, each entry with its reason. What is not
//! named here has to be equal, field by field.

/// How a value may differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum May {
    /// Any other value of the same JSON type.
    Vary,
    /// Other, but the same wherever the recording's is the same, and different wherever it differs.
    BeNamedOtherwise,
}

/// A field that may differ.
pub(crate) struct Field {
    /// The end of the JSON pointer; `*` stands for one segment.
    pub(crate) pointer: &'static str,
    pub(crate) may: May,
    pub(crate) why: &'static str,
}

/// Besides these, two kinds of values are compared by rule wherever they stand:
/// - ids that the service made up (UUIDs that no request had named before): another one, but consistently so, through
///   bodies, headers and later requests;
/// - times: another time, written in any form of RFC 3339.
pub(crate) const FIELDS: &[Field] = &[
    Field {
        pointer: "/systemData/createdBy",
        may: May::Vary,
        why: "a person made the recordings; here an application asks",
    },
    Field { pointer: "/systemData/createdByType", may: May::Vary, why: "likewise" },
    Field { pointer: "/systemData/lastModifiedBy", may: May::Vary, why: "likewise" },
    Field { pointer: "/systemData/lastModifiedByType", may: May::Vary, why: "likewise" },
    Field { pointer: "/userStorageKey", may: May::Vary, why: "a secret, blanked out in the recording" },
    Field { pointer: "/notebookAccessKeys/*", may: May::Vary, why: "secrets" },
    Field {
        pointer: "/properties/notebookInfo/fqdn",
        may: May::Vary,
        why: "some regions have their notebooks served by another one (westus3 by westus2); which, no source tells",
    },
    Field {
        pointer: "/properties/dnsSettings/internalDomainNameSuffix",
        may: May::BeNamedOtherwise,
        why: "a random word of the virtual network",
    },
    Field {
        pointer: "/properties/ipAddress",
        may: May::BeNamedOtherwise,
        why: "a public address that Azure happens to have free; the simulator hands out documentation addresses",
    },
];

/// A header of Azure's answers that is not compared.
pub(crate) struct Header {
    /// Its name; a `*` at the end stands for the rest.
    pub(crate) name: &'static str,
    pub(crate) why: &'static str,
}

pub(crate) const HEADERS: &[Header] = &[
    Header { name: "cache-control", why: "of Azure's front ends; says nothing about the resource" },
    Header { name: "content-length", why: "follows from the body, which is compared" },
    Header { name: "expires", why: "of Azure's front ends" },
    Header { name: "pragma", why: "of Azure's front ends" },
    Header { name: "request-context", why: "telemetry of the resource provider" },
    Header { name: "set-cookie", why: "of the front end of Microsoft.Authorization; clients keep no cookies" },
    Header { name: "strict-transport-security", why: "a browser's business" },
    Header { name: "vary", why: "of Azure's front ends" },
    Header { name: "x-aml-cluster", why: "the machine that answered" },
    Header { name: "x-aspnet-version", why: "the software that answered" },
    Header { name: "x-cache", why: "of Azure's front ends" },
    Header { name: "x-content-type-options", why: "a browser's business" },
    Header { name: "x-ms-keyvault-service-version", why: "the software that answered" },
    Header { name: "x-ms-operation-identifier", why: "telemetry, in some answers of 2025 only" },
    Header {
        name: "x-ms-ratelimit-remaining-*",
        why: "its name changed between the recordings (global-writes, resource-requests)",
    },
    Header { name: "x-msedge-ref", why: "of Azure's front ends" },
    Header { name: "x-powered-by", why: "the software that answered" },
    Header { name: "x-request-time", why: "how long the machine took" },
];

/// Two errors of which Azure answers now one, now the other.
pub(crate) struct Either {
    /// The method.
    pub(crate) method: &'static str,
    /// A part of the path.
    pub(crate) path: &'static str,
    /// Azure's code, and the simulator's.
    pub(crate) codes: (&'static str, &'static str),
    pub(crate) why: &'static str,
}

/// Deleting what lay below a resource of a group that is gone: of two recordings of a subnet, one misses the network
/// and one the group.
pub(crate) const EITHER: &[Either] = &[
    Either {
        method: "DELETE",
        path: "/subnets/",
        codes: ("ResourceNotFound", "ResourceGroupNotFound"),
        why: "one recording misses the network, another one the group",
    },
    Either {
        method: "DELETE",
        path: "/securityRules/",
        codes: ("ResourceNotFound", "ResourceGroupNotFound"),
        why: "as with subnets",
    },
];

/// Requests that are not played. What such a PUT made is seeded, so that others can refer to it, and not asked for.
pub(crate) struct Unplayed {
    /// The method.
    pub(crate) method: &'static str,
    /// A part of the path.
    pub(crate) path: &'static str,
    pub(crate) why: &'static str,
}

pub(crate) const UNPLAYED: &[Unplayed] =
    &[Unplayed { method: "PUT", path: "/providers/Microsoft.Compute/", why: "virtual machines are not served" }];
