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
}

/// Scheme, host and port: the only place a token is ever sent to. The scheme is always `https`.
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

    /// Whether `url` is on this scheme, host and port, and carries no user information.
    pub fn owns(&self, url: &Url) -> bool {
        url.scheme() == self.0.scheme()
            && url.host() == self.0.host()
            && url.port_or_known_default() == self.0.port_or_known_default()
            && url.username().is_empty()
            && url.password().is_none()
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
}

/// Resource Manager and authority of the clouds that everybody has. The environment cannot change them: a variable meant
/// for another program must not redirect where this one proves who it is.
const PUBLIC: (&str, &str) = ("https://management.azure.com", "https://login.microsoftonline.com");
const US_GOVERNMENT: (&str, &str) = ("https://management.usgovcloudapi.net", "https://login.microsoftonline.us");
const CHINA: (&str, &str) = ("https://management.chinacloudapi.cn", "https://login.chinacloudapi.cn");

impl Cloud {
    /// The cloud's endpoints, or why they cannot be used.
    pub fn endpoints(&self) -> Result<Endpoints, CloudError> {
        match self {
            Self::Public => known(PUBLIC),
            Self::UsGovernment => known(US_GOVERNMENT),
            Self::China => known(CHINA),
            Self::Custom(custom) => {
                if custom.audience.trim().is_empty() {
                    return Err(CloudError::NoAudience);
                }
                Ok(Endpoints {
                    resource_manager: Origin::new("resourceManager", &custom.resource_manager)?,
                    authority: Origin::new("authority", &custom.authority)?,
                    scope: format!("{}/.default", custom.audience.trim_end_matches('/')),
                })
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

fn known((resource_manager, authority): (&str, &str)) -> Result<Endpoints, CloudError> {
    Ok(Endpoints {
        resource_manager: Origin::new("resourceManager", &parse("resourceManager", resource_manager)?)?,
        authority: Origin::new("authority", &parse("authority", authority)?)?,
        scope: format!("{resource_manager}/.default"),
    })
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
        }))
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
