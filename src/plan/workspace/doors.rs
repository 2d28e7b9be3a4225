//! Doors: steps that cost money or cannot be taken back, and the words that open them.

use crate::api::common::{Door, acknowledged};
use crate::api::workspace::{
    AmlWorkspaceSpec, DefaultAction, FirewallSku, IdentityType, IsolationMode, PublicNetworkAccess,
};
use crate::azure::machine_learning::{OutboundRule, Workspace};
use crate::plan::outcome::{Reason, Verdict};
use crate::plan::rule_body::RuleBody;

use crate::plan::difference::Difference;
use crate::plan::effective::Effective;

/// How many computes a message names.
const NAMED: usize = 10;

/// Waits for the word for `door` and `value`; `cost` says what it costs or destroys.
fn closed(door: Door, value: &str, cost: &str) -> Verdict {
    Verdict::new(
        Reason::AcknowledgementRequired,
        format!("{cost}. If that is meant, acknowledge {{door: {door:?}, value: {value}}}"),
    )
}

/// The door of opening the workspace to the internet.
///
/// # Errors
/// With the verdict that asks for the word.
pub(super) fn public(spec: &AmlWorkspaceSpec, effective: &Effective) -> Result<(), Verdict> {
    if effective.public_network_access == PublicNetworkAccess::Disabled {
        return Ok(());
    }
    let said = |value| acknowledged(&spec.acknowledge, Door::PublicNetworkAccess, value);
    let some = spec.network_acls.as_ref().is_some_and(|acls| acls.default_action == DefaultAction::Deny);
    match some {
        _ if said("Enabled") => Ok(()),
        true if said("SelectedAddresses") => Ok(()),
        true => Err(closed(
            Door::PublicNetworkAccess,
            "SelectedAddresses",
            "publicNetworkAccess: Enabled makes the workspace reachable from the addresses in networkAcls",
        )),
        false => Err(closed(
            Door::PublicNetworkAccess,
            "Enabled",
            "publicNetworkAccess: Enabled makes the workspace reachable from the internet",
        )),
    }
}

/// The door of purging what Azure keeps of a deleted workspace.
///
/// # Errors
/// With the verdict that asks for the word.
pub(super) fn purge(spec: &AmlWorkspaceSpec, name: &str) -> Result<(), Verdict> {
    if acknowledged(&spec.acknowledge, Door::PurgeWorkspace, name) {
        return Ok(());
    }
    let cost = "Azure keeps a deleted workspace of this name; purging it destroys its runs, models, data assets and everything else \
                that it kept, for good";
    Err(closed(Door::PurgeWorkspace, name, cost))
}

/// What the doors of an existing workspace look at.
#[derive(Clone, Copy)]
pub(super) struct Doors<'a> {
    /// What is declared.
    pub(super) spec: &'a AmlWorkspaceSpec,
    /// What that comes to.
    pub(super) effective: &'a Effective,
    /// What ARM shows.
    pub(super) observed: &'a Workspace,
    /// Its rules.
    pub(super) rules: &'a [OutboundRule],
    /// Its computes, if they could be listed.
    pub(super) computes: Option<&'a [String]>,
}

impl Doors<'_> {
    fn says(&self, door: Door, value: &str) -> bool {
        acknowledged(&self.spec.acknowledge, door, value)
    }

    /// The doors that a difference's change leads through.
    ///
    /// # Errors
    /// With the verdict that asks for the word, or says that no word opens it.
    pub(super) fn of(&self, difference: &Difference) -> Result<(), Verdict> {
        match difference.field.as_ref() {
            "properties.publicNetworkAccess" => public(self.spec, self.effective),
            // From selected addresses to all of them is a way to the internet too.
            "properties.networkAcls" if self.opens_to_all() => public(self.spec, self.effective),
            "properties.managedNetwork.isolationMode" => self.isolation(),
            // The SKU's change sends the mode along.
            "properties.managedNetwork.firewallSku" => self.isolation().and_then(|()| self.firewall_sku()),
            // The primary identity is one of the set that comes through the same door.
            "identity" | "properties.primaryUserAssignedIdentity" => self.identity(),
            _ => Ok(()),
        }
    }

    fn opens_to_all(&self) -> bool {
        self.spec.network_acls.as_ref().is_some_and(|acls| acls.default_action == DefaultAction::Allow)
    }

    /// True if a rule asks for a firewall.
    fn has_host_rule(&self) -> bool {
        self.rules.iter().any(|rule| matches!(RuleBody::observed(rule), Some(RuleBody::Fqdn { .. })))
    }

    fn sku(&self) -> &'static str {
        self.effective.firewall_sku().map_or("Standard", FirewallSku::as_str)
    }

    /// Another SKU is another price, once there is a firewall: that is, an FQDN rule.
    fn firewall_sku(&self) -> Result<(), Verdict> {
        let sku = self.sku();
        if !self.has_host_rule() || self.says(Door::AzureFirewall, sku) {
            return Ok(());
        }
        let cost = format!("the workspace's Azure Firewall would change its SKU, and its price, to {sku}");
        Err(closed(Door::AzureFirewall, sku, &cost))
    }

    /// Building a network that has an FQDN rule starts its firewall.
    ///
    /// # Errors
    /// With the verdict that asks for the word.
    pub(super) fn building(&self) -> Result<(), Verdict> {
        let sku = self.sku();
        if self.observed.network_active() || !self.has_host_rule() || self.says(Door::AzureFirewall, sku) {
            return Ok(());
        }
        let cost = format!(
            "the workspace has an FQDN rule, so building its network starts an Azure Firewall ({sku}), which costs by the hour"
        );
        Err(closed(Door::AzureFirewall, sku, &cost))
    }

    /// A system-assigned identity that is given up is gone, with all its roles; a later one is another.
    fn identity(&self) -> Result<(), Verdict> {
        let type_ = self.spec.identity.type_;
        let shown = self.observed.identity.as_ref();
        let has =
            shown.and_then(|identity| identity.type_.as_deref()).is_some_and(|type_| type_.contains("SystemAssigned"));
        let own = shown.and_then(|identity| identity.principal_id.as_deref()).filter(|_| has);
        let Some(own) = own.filter(|_| type_ == IdentityType::UserAssigned) else { return Ok(()) };
        if self.says(Door::IdentityChanged, type_.as_str()) {
            return Ok(());
        }
        let cost = format!(
            "without its system-assigned identity {own} the workspace loses every role that this identity holds, and a later one is \
             another identity"
        );
        Err(closed(Door::IdentityChanged, type_.as_str(), &cost))
    }

    fn isolation(&self) -> Result<(), Verdict> {
        let wanted = self.effective.isolation_mode();
        let found = self.observed.isolation_mode();
        if found.eq_ignore_ascii_case(wanted.as_str()) {
            return Ok(());
        }
        if !self.may_become(wanted) {
            return Err(Verdict::new(
                Reason::NotChangeable,
                format!(
                    "the isolation mode is {found} in Azure, which does not let it become {}; declare {found}, or create another \
                     workspace",
                    wanted.as_str()
                ),
            ));
        }
        let mode = wanted.as_str();
        let mut missing = Vec::new();
        let mut costs = Vec::new();
        if !self.says(Door::IsolationMode, mode) {
            missing.push(format!("{{door: IsolationMode, value: {mode}}}"));
            costs.push(if wanted == IsolationMode::Disabled {
                format!(
                    "changing the isolation mode from {found} to {mode} gives up the managed network with all its rules"
                )
            } else {
                format!("changing the isolation mode from {found} to {mode} cannot be taken back")
            });
        }
        if let Some(computes) = self.computes_lost()
            && !self.says(Door::RecreateComputes, mode)
        {
            missing.push(format!("{{door: RecreateComputes, value: {mode}}}"));
            costs.push(format!(
                "{computes} must be deleted and created anew, since they are not in the managed network"
            ));
        }
        if missing.is_empty() {
            return Ok(());
        }
        Err(Verdict::new(
            Reason::AcknowledgementRequired,
            format!("{}. If that is meant, acknowledge {}", costs.join("; "), missing.join(" and ")),
        ))
    }

    /// Whether Azure lets the mode become `wanted`: as it says itself, else by the documented transitions (Microsoft: "Workspace
    /// managed virtual network isolation").
    fn may_become(&self, wanted: IsolationMode) -> bool {
        let network = self.observed.properties.managed_network.as_ref();
        if let Some(modes) = network.and_then(|network| network.changeable_isolation_modes.as_ref()) {
            return modes.iter().any(|mode| mode.eq_ignore_ascii_case(wanted.as_str()));
        }
        match IsolationMode::parse(self.observed.isolation_mode()) {
            Some(IsolationMode::Disabled) => true,
            Some(IsolationMode::AllowInternetOutbound) => wanted == IsolationMode::AllowOnlyApprovedOutbound,
            Some(IsolationMode::AllowOnlyApprovedOutbound) | None => false,
        }
    }

    /// The computes that a network which is switched on leaves outside, in words.
    fn computes_lost(&self) -> Option<String> {
        let switched_on = self.observed.isolation_mode().eq_ignore_ascii_case("Disabled");
        match self.computes {
            _ if !switched_on => None,
            Some([]) => None,
            Some(computes) => {
                let names: Vec<&str> = computes.iter().take(NAMED).map(String::as_str).collect();
                let more = computes.len().saturating_sub(NAMED);
                let more = if more == 0 { String::new() } else { format!(" and {more} more") };
                Some(format!("the computes {}{more}", names.join(", ")))
            }
            None => Some("its computes, if there are any (they could not be listed),".to_owned()),
        }
    }
}
