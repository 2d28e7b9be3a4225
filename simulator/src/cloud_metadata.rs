//! `GET /metadata/endpoints`: where a client that knows only ARM finds everything else, the authority before all.
//!
//! It is asked without a token: by `az cloud register`, by Terraform's `metadata_host`, by `Add-AzEnvironment`. What
//! the simulator does not stand for is named as its cloud names it (suffixes of data planes) or as the public one does.

use serde_json::{Value, json};

use crate::clouds::Cloud;
use crate::error::ArmError;
use crate::http::{Reply, Request};

/// One object; before, the answer was a list of clouds (documentation of `Add-AzEnvironment`).
const ONE: &str = "2022-09-01";
const LISTS: &[&str] = &["2019-05-01", "2020-06-01", "2021-04-01", "latest"];

/// Whether a path is this one.
pub(crate) fn serves(path: &str) -> bool {
    path.trim_end_matches('/').eq_ignore_ascii_case("/metadata/endpoints")
}

/// The answer, which names the host that the client used.
pub(crate) fn answer(request: &Request, which: Cloud) -> Reply {
    let version = request.query("api-version").unwrap_or_default();
    if version == ONE {
        Reply::ok(cloud(&request.base, which))
    } else if LISTS.contains(&version.as_str()) {
        Reply::ok(json!([cloud(&request.base, which)]))
    } else {
        // Chosen: the code under which every other path refuses a version.
        let message = format!("The api-version '{version}' is invalid.");
        ArmError::new(400, "InvalidApiVersionParameter", message).into()
    }
}

fn cloud(base: &str, which: Cloud) -> Value {
    json!({
        "name": which,
        "authentication": {
            "loginEndpoint": base,
            "audiences": ["https://management.core.windows.net/", "https://management.azure.com/"],
            "tenant": "common",
            "identityProvider": "AAD",
        },
        "resourceManager": format!("{base}/"),
        "microsoftGraphResourceId": "https://graph.microsoft.com/",
        "portal": "https://portal.azure.com",
        "synapseAnalyticsResourceId": format!("https://{}", which.spell("dev.azuresynapse.net")),
        "suffixes": {
            "acrLoginServer": which.spell("azurecr.io"),
            "keyVaultDns": which.spell("vault.azure.net"),
            "sqlServerHostname": which.spell("database.windows.net"),
            "storage": which.spell("core.windows.net"),
            "synapseAnalytics": which.spell("dev.azuresynapse.net"),
        },
    })
}
