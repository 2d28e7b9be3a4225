//! Where a cloud's Resource Manager and its Entra authority are, and which audience a token needs.

use std::fmt;

use thiserror::Error;
use url::Url;

/// An Azure cloud.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cloud {
    /// Azure itself.
    Public,
    /// Azure Government.
    UsGovernment,
    /// Azure operated in China.
    China,
    /// Another installation of ARM: Azure Stack, a private cloud, the simulator.
    Custom(Box<CustomCloud>),
}

/// The audience of the tokens for Synapse's data planes (OpenAPI of Synapse, 2020-12-01).
pub const SYNAPSE_AUDIENCE: &str = "https://dev.azuresynapse.net";
/// What stands for a workspace's name in a [`SynapseEndpoint`].
pub const WORKSPACE_PLACEHOLDER: &str = "{workspace}";
/// The longest name of a Synapse workspace (Microsoft's page on naming rules).
const WORKSPACE_NAME: usize = 50;

/// Where the data planes of Synapse workspaces are, and the audience of their tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SynapseEndpoint {
    /// The URL of a workspace's data plane, with [`WORKSPACE_PLACEHOLDER`] for its name: `https`, without query or fragment.
    pub template: String,
    /// The audience of its tokens, without `/.default`.
    pub audience: String,
}

/// The endpoints of a cloud that this program does not know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomCloud {
    /// Base URL of Resource Manager: `https`, no path.
    pub resource_manager: Url,
    /// The audience of its tokens, without `/.default`.
    pub audience: String,
    /// Base URL of the token authority: `https`, no path.
    pub authority: Url,
    /// PEM certificates of the authorities that signed both servers' certificates. If given, no others are trusted.
    pub ca_bundle: Option<String>,
    /// Synapse's data planes, if the cloud has them.
    pub synapse: Option<SynapseEndpoint>,
}

/// Why a cloud's endpoints cannot be used.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum CloudError {
    /// The URL is not a plain `https://host[:port]/`.
    #[error("{which} must be an https URL of a host, without user, path, query or fragment, but is {url}")]
    NotAnOrigin {
        /// Which endpoint it is.
        which: &'static str,
        /// The URL, without any user information.
        url: String,
    },
    /// The audience is empty.
    #[error("the audience of a custom cloud must not be empty")]
    NoAudience,
    /// The template of Synapse's data planes does not say where a workspace's is.
    #[error(
        "the template of Synapse's data planes must be an https URL with {{workspace}} in it, without user, query or fragment"
    )]
    NoTemplate,
    /// The cloud does not say where Synapse's data planes are.
    #[error("it is not known where Synapse's data planes are in this cloud; set customCloud.synapseEndpointTemplate")]
    NoSynapse,
    /// It is no name of a Synapse workspace.
    #[error("{0:?} is no name of a Synapse workspace")]
    NotAWorkspace(String),
}

/// Scheme, host, port, and the path below which everything lies: the only place a token is ever sent to. The scheme is always
/// `https`; the path is that of the root, but for data planes of clouds of one's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin(Url);

impl Origin {
    fn new(which: &'static str, url: &Url) -> Result<Self, CloudError> {
        let plain = url.scheme() == "https"
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none();
        if plain {
            return Ok(Self(url.clone()));
        }
        let host = url.host_str().unwrap_or_default();
        Err(CloudError::NotAnOrigin { which, url: format!("{}://{host}{}", url.scheme(), url.path()) })
    }

    /// A place that may lie below a path.
    fn below(template: &str) -> Result<Self, CloudError> {
        let url = Url::parse(template).map_err(|_| CloudError::NoTemplate)?;
        let mut root = url.clone();
        root.set_path("/");
        Self::new("synapse", &root).map_err(|_| CloudError::NoTemplate)?;
        // As written: what parsing would turn into another path is refused.
        let written = template.split_once("://").and_then(|(_, rest)| rest.find('/').map(|slash| &rest[slash..]));
        if written.unwrap_or("/") != url.path() || url.path().contains("//") || url.path().contains('%') {
            return Err(CloudError::NoTemplate);
        }
        Ok(Self(url))
    }

    /// The path below which everything lies, without a slash at its end.
    pub(super) fn base(&self) -> &str {
        self.0.path().trim_end_matches('/')
    }

    /// What of the path of a URL lies below the base; `None` if it does not.
    pub(super) fn within<'a>(&self, path: &'a str) -> Option<&'a str> {
        path.strip_prefix(self.base()).filter(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// Whether `url` is on this scheme, host and port, below this path, and carries no user information.
    pub fn owns(&self, url: &Url) -> bool {
        url.scheme() == self.0.scheme()
            && url.host() == self.0.host()
            && url.port_or_known_default() == self.0.port_or_known_default()
            && url.username().is_empty()
            && url.password().is_none()
            && self.within(url.path()).is_some()
    }

    /// The root of the origin.
    pub fn root(&self) -> &Url {
        &self.0
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

/// A cloud's endpoints, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// Resource Manager.
    pub resource_manager: Origin,
    /// The token authority.
    pub authority: Origin,
    /// The scope to ask tokens for.
    pub scope: String,
    /// Synapse's data planes, if it is known where they are.
    pub synapse: Option<SynapseEndpoint>,
}

impl Endpoints {
    /// Where the data plane of the Synapse workspace `name` is.
    ///
    /// # Errors
    /// If the cloud does not say, or `name` is none.
    pub fn synapse_workspace(&self, name: &str) -> Result<Origin, CloudError> {
        let synapse = self.synapse.as_ref().ok_or(CloudError::NoSynapse)?;
        // It becomes a label of a host or a segment of a path, and must stay one.
        let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let fits = (1..=WORKSPACE_NAME).contains(&name.len())
            && name.chars().all(inner)
            && !name.starts_with('-')
            && !name.ends_with('-');
        if !fits {
            return Err(CloudError::NotAWorkspace(name.chars().take(64).collect()));
        }
        Origin::below(&synapse.template.replace(WORKSPACE_PLACEHOLDER, name))
    }
}

/// Resource Manager, authority, and the domain of Synapse's data planes of the clouds that everybody has. The environment cannot
/// change them: a variable meant for another program must not redirect where this one proves who it is. Synapse's domains are those of
/// Microsoft's own action for deployments (Azure/Synapse-workspace-deployment); its audiences, of azure-cli.
const PUBLIC: [&str; 3] = ["https://management.azure.com", "https://login.microsoftonline.com", "dev.azuresynapse.net"];
const US_GOVERNMENT: [&str; 3] =
    ["https://management.usgovcloudapi.net", "https://login.microsoftonline.us", "dev.azuresynapse.usgovcloudapi.net"];
const CHINA: [&str; 3] =
    ["https://management.chinacloudapi.cn", "https://login.chinacloudapi.cn", "dev.azuresynapse.azure.cn"];

impl Cloud {
    /// The cloud's endpoints, or why they cannot be used.
    pub fn endpoints(&self) -> Result<Endpoints, CloudError> {
        match self {
            Self::Public => known(PUBLIC),
            Self::UsGovernment => known(US_GOVERNMENT),
            Self::China => known(CHINA),
            Self::Custom(custom) => {
                let synapse = custom.synapse.clone();
                let audiences = synapse.iter().map(|synapse| &synapse.audience).chain([&custom.audience]);
                if audiences.into_iter().any(|audience| audience.trim().is_empty()) {
                    return Err(CloudError::NoAudience);
                }
                let endpoints = Endpoints {
                    resource_manager: Origin::new("resourceManager", &custom.resource_manager)?,
                    authority: Origin::new("authority", &custom.authority)?,
                    scope: scope(&custom.audience),
                    synapse,
                };
                if let Some(synapse) = &endpoints.synapse {
                    if synapse.template.matches(WORKSPACE_PLACEHOLDER).count() != 1 {
                        return Err(CloudError::NoTemplate);
                    }
                    endpoints.synapse_workspace("workspace")?;
                }
                Ok(endpoints)
            }
        }
    }

    /// The PEM bundle that replaces the system's certificate authorities, if the cloud has its own.
    pub fn ca_bundle(&self) -> Option<&str> {
        match self {
            Self::Custom(custom) => custom.ca_bundle.as_deref(),
            Self::Public | Self::UsGovernment | Self::China => None,
        }
    }

    /// Whether ARM throttles here by the hour instead of by token buckets ("sovereign clouds still use the hourly model",
    /// Resource Manager throttling documentation).
    pub fn throttles_by_the_hour(&self) -> bool {
        matches!(self, Self::UsGovernment | Self::China)
    }
}

impl fmt::Display for Cloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Public => f.write_str("Public"),
            Self::UsGovernment => f.write_str("UsGovernment"),
            Self::China => f.write_str("China"),
            Self::Custom(custom) => write!(f, "Custom({})", custom.resource_manager.host_str().unwrap_or_default()),
        }
    }
}

fn known([resource_manager, authority, synapse]: [&str; 3]) -> Result<Endpoints, CloudError> {
    Ok(Endpoints {
        resource_manager: Origin::new("resourceManager", &parse("resourceManager", resource_manager)?)?,
        authority: Origin::new("authority", &parse("authority", authority)?)?,
        scope: scope(resource_manager),
        synapse: Some(SynapseEndpoint {
            template: format!("https://{WORKSPACE_PLACEHOLDER}.{synapse}"),
            audience: format!("https://{synapse}"),
        }),
    })
}

/// The scope that asks for tokens of `audience`.
pub(super) fn scope(audience: &str) -> String {
    format!("{}/.default", audience.trim_end_matches('/'))
}

fn parse(which: &'static str, url: &str) -> Result<Url, CloudError> {
    Url::parse(url).map_err(|_| CloudError::NotAnOrigin { which, url: url.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn custom(resource_manager: &str, authority: &str) -> Cloud {
        Cloud::Custom(Box::new(CustomCloud {
            resource_manager: Url::parse(resource_manager).unwrap(),
            audience: "https://arm.test/".into(),
            authority: Url::parse(authority).unwrap(),
            ca_bundle: None,
            synapse: None,
        }))
    }

    fn with_synapse(template: &str) -> Result<Endpoints, CloudError> {
        let Cloud::Custom(mut cloud) = custom("https://arm.test", "https://login.test") else { unreachable!() };
        cloud.synapse = Some(SynapseEndpoint { template: template.into(), audience: "https://dev.test/".into() });
        Cloud::Custom(cloud).endpoints()
    }

    #[test]
    fn each_workspace_has_a_place_of_its_own() {
        for (cloud, host) in [
            (Cloud::Public, "analytics.dev.azuresynapse.net"),
            (Cloud::UsGovernment, "analytics.dev.azuresynapse.usgovcloudapi.net"),
            (Cloud::China, "analytics.dev.azuresynapse.azure.cn"),
        ] {
            let origin = cloud.endpoints().unwrap().synapse_workspace("analytics").unwrap();
            assert_eq!(origin.to_string(), format!("https://{host}"));
            assert!(!origin.owns(&Url::parse(&format!("https://other.{host}/")).unwrap()));
        }
        let origin = with_synapse("https://arm.test/synapse/{workspace}").unwrap().synapse_workspace("ws1").unwrap();
        for (url, owned) in [
            ("https://arm.test/synapse/ws1", true),
            ("https://arm.test/synapse/ws1/linkedservices", true),
            ("https://arm.test/synapse/ws1/../ws2/linkedservices", false),
            ("https://arm.test/synapse/ws12", false),
            ("https://arm.test/synapse/ws2/linkedservices", false),
            ("https://arm.test/subscriptions", false),
            ("https://evil.test/synapse/ws1", false),
        ] {
            assert_eq!(origin.owns(&Url::parse(url).unwrap()), owned, "{url}");
        }
    }

    #[test]
    fn no_name_leads_a_token_elsewhere() {
        let endpoints = Cloud::Public.endpoints().unwrap();
        for name in ["", "evil.test/", "a.b", "WS", "a b", "-a", "a-", "a@b", "a%2e", "{workspace}", &"a".repeat(51)] {
            assert!(endpoints.synapse_workspace(name).is_err(), "{name:?}");
        }
        assert_eq!(
            custom("https://arm.test", "https://login.test").endpoints().unwrap().synapse_workspace("a"),
            Err(CloudError::NoSynapse)
        );
        for template in [
            "http://arm.test/{workspace}",
            "https://arm.test/",
            "https://arm.test/{workspace}/{workspace}",
            "https://user@arm.test/{workspace}",
            "https://arm.test/{workspace}?x=1",
            "https://arm.test/a/../{workspace}",
            "https://arm.test//{workspace}",
            "https://arm.test/%2e/{workspace}",
            "{workspace}",
        ] {
            assert_eq!(with_synapse(template), Err(CloudError::NoTemplate), "{template}");
        }
    }

    #[test]
    fn a_custom_cloud_must_be_plain_https_origins() {
        let endpoints = custom("https://arm.test:8443", "https://login.test").endpoints().unwrap();
        assert_eq!(endpoints.scope, "https://arm.test/.default");
        assert_eq!(endpoints.resource_manager.to_string(), "https://arm.test:8443");
        for bad in ["http://arm.test", "https://user@arm.test", "https://arm.test/base", "https://arm.test/?x=1"] {
            assert!(custom(bad, "https://login.test").endpoints().is_err(), "{bad} as resource manager");
            assert!(custom("https://arm.test", bad).endpoints().is_err(), "{bad} as authority");
        }
    }

    #[test]
    fn an_error_does_not_repeat_a_password() {
        let error = custom("https://user:hunter2@arm.test", "https://login.test").endpoints().unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }

    #[test]
    fn an_origin_owns_only_its_scheme_host_and_port() {
        let origin = Cloud::Public.endpoints().unwrap().resource_manager;
        for (url, owned) in [
            ("https://management.azure.com/subscriptions", true),
            ("https://management.azure.com:443/subscriptions", true),
            ("https://MANAGEMENT.azure.com/", true),
            ("http://management.azure.com/", false),
            ("https://management.azure.com:8443/", false),
            ("https://management.azure.com@evil.test/", false),
            ("https://user@management.azure.com/", false),
            ("https://management.azure.com.evil.test/", false),
            ("https://westeurope.management.azure.com/", false),
        ] {
            assert_eq!(origin.owns(&Url::parse(url).unwrap()), owned, "{url}");
        }
    }
}
