//! Where the provider is at home.

use crate::body;
use crate::clouds::Cloud;
use crate::error::ArmError;

/// Chosen: the regions of machine learning in each cloud. Which are open to a subscription is not the simulator's matter.
const PUBLIC: &[&str] = &[
    "australiacentral",
    "australiaeast",
    "australiasoutheast",
    "brazilsouth",
    "canadacentral",
    "canadaeast",
    "centralindia",
    "centralus",
    "eastasia",
    "eastus",
    "eastus2",
    "francecentral",
    "germanywestcentral",
    "italynorth",
    "japaneast",
    "japanwest",
    "koreacentral",
    "northcentralus",
    "northeurope",
    "norwayeast",
    "polandcentral",
    "qatarcentral",
    "southafricanorth",
    "southcentralus",
    "southeastasia",
    "southindia",
    "spaincentral",
    "swedencentral",
    "switzerlandnorth",
    "switzerlandwest",
    "uaenorth",
    "uksouth",
    "ukwest",
    "westcentralus",
    "westeurope",
    "westus",
    "westus2",
    "westus3",
];

const CHINA: &[&str] = &["chinaeast2", "chinanorth3"];

const US_GOVERNMENT: &[&str] = &["usgovarizona", "usgovvirginia"];

/// Refuses a region that Azure does not know (the code as recorded by azure-ai-ml's tests; the text is not known).
pub(super) fn check(cloud: Cloud, location: &str, kind: &str) -> Result<(), ArmError> {
    let known = match cloud {
        Cloud::AzureCloud => PUBLIC,
        Cloud::AzureChinaCloud => CHINA,
        Cloud::AzureUSGovernment => US_GOVERNMENT,
    };
    if known.contains(&body::location(location).as_str()) {
        return Ok(());
    }
    let regions = known.join(", ");
    let message = format!(
        "The provided location '{location}' is not available for resource type '{kind}'. List of available regions for \
         the resource type is '{regions}'."
    );
    Err(ArmError::new(400, "LocationNotAvailableForResourceType", message))
}
