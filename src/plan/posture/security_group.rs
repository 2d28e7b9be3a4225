//! Which outbound rules a network security group lacks for Azure Machine Learning to work behind it (Microsoft: "Secure an Azure Machine
//! Learning training environment with virtual networks", required public internet access). Groups are read, never written.

use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::Value;

use crate::plan::cover;

/// A network security group, as far as outbound traffic goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecurityGroup {
    /// Its ARM id.
    pub id: String,
    /// Its own outbound rules, in the order in which they are asked. The default ones let everything out to the internet.
    pub rules: Vec<SecurityRule>,
}

/// An outbound rule of a security group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecurityRule {
    /// Lower ones are asked first.
    pub priority: i64,
    /// Whether it lets through.
    pub allows: bool,
    /// `Tcp`, `Udp`, `*` and others.
    pub protocol: String,
    /// Addresses and tags that it is about.
    pub sources: Vec<String>,
    /// Addresses and tags.
    pub destinations: Vec<String>,
    /// Ports and ranges of ports.
    pub ports: Vec<String>,
}

/// Something that has to get out.
#[derive(Clone, Copy, Debug)]
struct Need {
    tag: &'static str,
    /// Whether the tag is used with the region behind it.
    regional: bool,
    protocol: &'static str,
    port: u16,
}

const fn tcp(tag: &'static str, port: u16) -> Need {
    Need { tag, regional: false, protocol: "Tcp", port }
}

const fn regional(tag: &'static str) -> Need {
    Need { tag, regional: true, protocol: "Tcp", port: 443 }
}

const STORAGE: Need = regional("Storage");

/// Every network that computes or clients of a workspace use. What is needed in some cases only (AzureMonitor, Keyvault, 8787 for
/// RStudio, 445) is left out.
const NEEDS: [Need; 11] = [
    tcp("AzureActiveDirectory", 80),
    tcp("AzureActiveDirectory", 443),
    tcp("AzureMachineLearning", 443),
    tcp("AzureMachineLearning", 18881),
    Need { tag: "AzureMachineLearning", regional: false, protocol: "Udp", port: 5831 },
    regional("BatchNodeManagement"),
    tcp("AzureResourceManager", 443),
    STORAGE,
    tcp("AzureFrontDoor.FrontEnd", 443),
    // Where the images of Microsoft's registry come from.
    tcp("AzureFrontDoor.FirstParty", 443),
    regional("MicrosoftContainerRegistry"),
];

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// It gets out.
    Out,
    /// It does not.
    Stopped,
    /// Rules by addresses come first, and which addresses a tag stands for Azure does not say here.
    Unknown,
}

impl Need {
    fn tag(self, region: &str) -> String {
        if self.regional && !region.is_empty() { format!("{}.{region}", self.tag) } else { self.tag.to_owned() }
    }

    fn words(self, region: &str) -> String {
        format!("{} {} {}", self.tag(region), self.protocol.to_ascii_uppercase(), self.port)
    }
}

impl SecurityGroup {
    /// Reads what ARM answered.
    pub fn read(answer: &Value) -> Self {
        let rules = answer["properties"]["securityRules"].as_array().into_iter().flatten();
        let mut rules: Vec<SecurityRule> =
            rules.filter_map(|rule| SecurityRule::outbound(&rule["properties"])).collect();
        rules.sort_by_key(|rule| rule.priority);
        Self { id: answer["id"].as_str().unwrap_or_default().to_owned(), rules }
    }

    fn way(&self, need: Need, region: &str, from: &[IpNet]) -> Way {
        let tag = need.tag(region);
        let mut by_address = false;
        for rule in self.rules.iter().filter(|rule| rule.concerns(need, from)) {
            if rule.destinations.iter().any(|destination| covers(destination, &tag)) {
                return match (rule.allows, by_address) {
                    (true, _) => Way::Out,
                    (false, true) => Way::Unknown,
                    (false, false) => Way::Stopped,
                };
            }
            by_address |= rule.allows && rule.destinations.iter().any(|destination| address(destination).is_some());
        }
        Way::Out
    }

    /// What has to get out from `from` and does not, and whether rules by addresses leave that open.
    pub(super) fn lacks(&self, region: &str, from: &[IpNet]) -> (Vec<String>, bool) {
        // Azure in China has no Front Door.
        let needs = NEEDS.iter().filter(|need| !(need.tag == "AzureFrontDoor.FrontEnd" && region.starts_with("china")));
        let ways: Vec<(String, Way)> = needs.map(|need| (need.words(region), self.way(*need, region, from))).collect();
        let unknown = ways.iter().any(|(_, way)| *way == Way::Unknown);
        (ways.into_iter().filter(|(_, way)| *way != Way::Out).map(|(words, _)| words).collect(), unknown)
    }

    /// Whether every storage account of the region can be reached from `from`.
    pub(super) fn opens_storage(&self, region: &str, from: &[IpNet]) -> Way {
        self.way(STORAGE, region, from)
    }
}

impl SecurityRule {
    fn outbound(properties: &Value) -> Option<Self> {
        let text = |key: &str| properties[key].as_str().unwrap_or_default();
        // One, or several in the list beside it.
        let both = |one: &str, many: &str| -> Vec<String> {
            let listed = properties[many].as_array().into_iter().flatten().filter_map(Value::as_str);
            let single = Some(text(one)).filter(|text| !text.is_empty());
            single.into_iter().chain(listed).map(ToOwned::to_owned).collect()
        };
        text("direction").eq_ignore_ascii_case("Outbound").then(|| Self {
            priority: properties["priority"].as_i64().unwrap_or(i64::MAX),
            allows: text("access").eq_ignore_ascii_case("Allow"),
            protocol: text("protocol").to_owned(),
            sources: both("sourceAddressPrefix", "sourceAddressPrefixes"),
            destinations: both("destinationAddressPrefix", "destinationAddressPrefixes"),
            ports: both("destinationPortRange", "destinationPortRanges"),
        })
    }

    /// True if it is about packets of this kind from anywhere in `from`.
    fn concerns(&self, need: Need, from: &[IpNet]) -> bool {
        let protocol = self.protocol == "*" || self.protocol.eq_ignore_ascii_case(need.protocol);
        let port = self.ports.iter().any(|range| holds(range, need.port));
        let source = self.sources.iter().any(|source| {
            source == "*"
                || source.eq_ignore_ascii_case("VirtualNetwork")
                || address(source).is_some_and(|net| !from.is_empty() && from.iter().all(|prefix| net.contains(prefix)))
        });
        protocol && port && source
    }
}

fn holds(range: &str, port: u16) -> bool {
    let number = |text: &str| text.trim().parse::<u16>().ok();
    match range.split_once('-') {
        _ if range == "*" => true,
        Some((low, high)) => number(low).zip(number(high)).is_some_and(|(low, high)| (low..=high).contains(&port)),
        None => number(range) == Some(port),
    }
}

fn address(text: &str) -> Option<IpNet> {
    text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).ok()
}

/// True if `destination` stands for all that `tag` does.
fn covers(destination: &str, tag: &str) -> bool {
    let everything = ["*", "Internet", "AzureCloud", "0.0.0.0/0"];
    everything.iter().any(|all| destination.eq_ignore_ascii_case(all)) || cover::tag(destination, tag)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn group(rules: &[(i64, &str, &str, &[&str], &str)]) -> SecurityGroup {
        let rule = |(priority, access, protocol, destinations, ports): &(i64, &str, &str, &[&str], &str)| {
            json!({"properties": {"priority": priority, "direction": "Outbound", "access": access, "protocol": protocol,
                "sourceAddressPrefix": "*", "destinationAddressPrefixes": destinations, "destinationPortRange": ports}})
        };
        SecurityGroup::read(
            &json!({"id": "/g", "properties": {"securityRules": rules.iter().map(rule).collect::<Vec<_>>()}}),
        )
    }

    fn lacks(group: &SecurityGroup) -> (Vec<String>, bool) {
        group.lacks("westeurope", &["10.1.1.0/24".parse().unwrap()])
    }

    #[test]
    fn what_nobody_stops_gets_out() {
        assert_eq!(lacks(&SecurityGroup::default()), (Vec::new(), false));
        let inbound = SecurityGroup::read(
            &json!({"properties": {"securityRules": [{"properties": {"direction": "Inbound", "access": "Deny",
            "protocol": "*", "sourceAddressPrefix": "*", "destinationAddressPrefix": "*", "destinationPortRange": "*"}}]}}),
        );
        assert_eq!(lacks(&inbound), (Vec::new(), false));
        assert_eq!(
            lacks(&group(&[(100, "Deny", "*", &["Storage.northeurope"], "*")])),
            (Vec::new(), false),
            "another region"
        );
        let other = SecurityGroup::read(
            &json!({"properties": {"securityRules": [{"properties": {"direction": "Outbound", "access": "Deny",
            "protocol": "*", "sourceAddressPrefix": "10.9.0.0/16", "destinationAddressPrefix": "*", "destinationPortRange": "*"}}]}}),
        );
        assert_eq!(lacks(&other), (Vec::new(), false), "another subnet");
    }

    #[test]
    fn each_rule_that_is_missing_is_named() {
        let deny = (4000, "Deny", "*", &["Internet"][..], "*");
        let (all, unknown) = lacks(&group(&[deny]));
        assert_eq!((all.len(), unknown), (NEEDS.len(), false));
        assert!(
            all.contains(&"AzureMachineLearning UDP 5831".to_owned())
                && all.contains(&"Storage.westeurope TCP 443".to_owned())
        );
        let most = [
            (100, "Allow", "Tcp", &["AzureActiveDirectory"][..], "80-443"),
            (110, "Allow", "*", &["AzureMachineLearning"], "*"),
            (
                120,
                "Allow",
                "*",
                &["BatchNodeManagement.WestEurope", "Storage", "MicrosoftContainerRegistry.westeurope"],
                "443",
            ),
            (130, "Allow", "Tcp", &["AzureFrontDoor.FrontEnd", "AzureFrontDoor.FirstParty"], "443"),
            deny,
        ];
        assert_eq!(lacks(&group(&most)), (vec!["AzureResourceManager TCP 443".to_owned()], false));
        let mut first = most.to_vec();
        first.insert(0, (50, "Deny", "Tcp", &["Storage"], "443"));
        assert!(
            lacks(&group(&first)).0.contains(&"Storage.westeurope TCP 443".to_owned()),
            "the first rule that speaks of it decides"
        );
        let (china, _) = group(&most).lacks("chinanorth3", &[]);
        assert!(
            !china.iter().any(|need| need.contains("FrontEnd"))
                && china.contains(&"BatchNodeManagement.chinanorth3 TCP 443".to_owned())
        );
    }

    #[test]
    fn rules_by_addresses_leave_it_open() {
        let by_address = [(100, "Allow", "Tcp", &["20.40.0.0/16"][..], "443"), (4000, "Deny", "*", &["*"], "*")];
        let (missing, unknown) = lacks(&group(&by_address));
        assert!(unknown && missing.contains(&"AzureResourceManager TCP 443".to_owned()));
        assert_eq!(group(&by_address).opens_storage("westeurope", &[]), Way::Unknown);
        assert_eq!(group(&[(100, "Allow", "*", &["Storage"], "443")]).opens_storage("westeurope", &[]), Way::Out);
        assert_eq!(group(&[(100, "Deny", "*", &["*"], "*")]).opens_storage("westeurope", &[]), Way::Stopped);
    }
}
