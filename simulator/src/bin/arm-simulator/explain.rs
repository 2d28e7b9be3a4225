//! `arm-simulator serve --explain`: how to point clients at a running simulator.

use std::path::Path;

use arm_simulator::Seed;

/// Who a reader can sign in as: the first of the seed that has a secret.
#[derive(Default)]
pub(crate) struct Credentials {
    tenant: String,
    client: String,
    secret: String,
    subscription: String,
}

impl Credentials {
    /// Those of a seed; what it has not stays a word in angle brackets.
    pub(crate) fn of(seed: &Seed) -> Self {
        let or = |text: Option<&str>, word: &str| text.map_or_else(|| format!("<{word}>"), str::to_owned);
        let principal = seed.service_principals.iter().find(|principal| principal.secret.is_some());
        let tenant = principal.map(|principal| principal.tenant_id.as_str());
        let subscription = seed.subscriptions.iter().find(|s| tenant.is_none_or(|tenant| s.tenant_id == tenant));
        Self {
            tenant: or(tenant, "tenant"),
            client: or(principal.map(|principal| principal.client_id.as_str()), "client id"),
            secret: or(principal.and_then(|principal| principal.secret.as_deref()), "client secret"),
            subscription: or(subscription.map(|s| s.subscription_id.as_str()), "subscription"),
        }
    }
}

/// The whole text. What was tried with the clients themselves and what is only read in their documentation is said.
pub(crate) fn text(arm: &str, imds: &str, ca: &Path, credentials: &Credentials) -> String {
    let Credentials { tenant, client, secret, subscription } = credentials;
    let ca = ca.display();
    format!(
        r#"The simulated Azure answers at {arm} until you press Ctrl-C.
Resource manager, authority and control interface are all there; the metadata service is at {imds}.

Trust its certificate first. It is made anew at each start, and is good for loopback only:

    export REQUESTS_CA_BUNDLE={ca} SSL_CERT_FILE={ca}

azure-cli (tried): a configuration of its own, so that yours stays as it is.

    export AZURE_CONFIG_DIR=$(mktemp -d)
    az config set core.instance_discovery=false core.collect_telemetry=false
    az cloud register --name Simulator --endpoint-resource-manager {arm}
    az cloud set --name Simulator
    az login --service-principal --username {client} --password {secret} --tenant {tenant}
    az rest --method get --url '/subscriptions/{subscription}/resourceGroups?api-version=2021-04-01'

Python SDK (tried):

    from azure.identity import ClientSecretCredential
    from azure.mgmt.network import NetworkManagementClient
    credential = ClientSecretCredential(
        "{tenant}", "{client}", "{secret}",
        authority="{arm}", disable_instance_discovery=True)
    client = NetworkManagementClient(
        credential, "{subscription}", base_url="{arm}",
        credential_scopes=["https://management.azure.com/.default"])
    print([network.name for network in client.virtual_networks.list_all()])

Terraform with azapi (names as in the provider's documentation; not tried here. Go reads SSL_CERT_FILE on Linux only):

    export ARM_ENVIRONMENT=custom ARM_RESOURCE_MANAGER_ENDPOINT={arm}/
    export ARM_ACTIVE_DIRECTORY_AUTHORITY_HOST={arm}/ ARM_RESOURCE_MANAGER_AUDIENCE=https://management.azure.com/
    export ARM_DISABLE_INSTANCE_DISCOVERY=true ARM_SKIP_PROVIDER_REGISTRATION=true
    export ARM_TENANT_ID={tenant} ARM_SUBSCRIPTION_ID={subscription}
    export ARM_CLIENT_ID={client} ARM_CLIENT_SECRET={secret}

What has reached it, and what is in it:

    curl --cacert {ca} {arm}/_simulator/requests
    curl --cacert {ca} '{arm}/_simulator/requests?format=har' > requests.har
    curl --cacert {ca} {arm}/_simulator/state

Operations take as long as in Azure. To let ten minutes pass at once:

    curl --cacert {ca} -d '{{"advanceMs": 600000}}' {arm}/_simulator/clock
"#
    )
}
